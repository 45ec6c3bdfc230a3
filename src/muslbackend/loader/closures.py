"""Transitive closures of a directed graph, as bit sets in integers.

Two thousand files that require each other have four million pairs; as bits these take half a
megabyte, and one operation compares two sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set


def bits(mask: int) -> Iterator[int]:
    """Yield the positions of the set bits, lowest first."""
    for at, byte in enumerate(mask.to_bytes((mask.bit_length() + 7) // 8, "little")):
        while byte:
            yield 8 * at + (byte & -byte).bit_length() - 1
            byte &= byte - 1


def union(masks: Iterable[int]) -> int:
    """Return the bits that are set in at least one mask."""
    result = 0
    for mask in masks:
        result |= mask
    return result


def twice(masks: Iterable[int]) -> tuple[int, int]:
    """Return the bits that are set in at least one mask, and in at least two."""
    once = more = 0
    for mask in masks:
        more |= once & mask
        once |= mask
    return once, more


def circles(following: Sequence[Iterable[int]]) -> list[list[int]]:
    """Return the strongly connected components, successors first.

    This is Tarjan's algorithm ("Depth-first search and linear graph algorithms", 1972) without
    recursion: a chain may contain every file of a wheel.
    """
    walk = _Walk(following)
    for start in range(len(following)):
        if not walk.order[start]:
            walk.from_(start)
    return walk.found


class _Walk:
    def __init__(self, following: Sequence[Iterable[int]]) -> None:
        self.following = following
        self.found: list[list[int]] = []
        self.order = [0] * len(following)
        self.lowest = [0] * len(following)
        self.done = bytearray(len(following))
        self.open: list[int] = []
        self.path: list[tuple[int, Iterator[int]]] = []
        self.entered = 0

    def from_(self, start: int) -> None:
        self._enter(start)
        while self.path:
            at, rest = self.path[-1]
            new = self._next(at, rest)
            if new is not None:
                self._enter(new)
                continue
            self.path.pop()
            if self.path:
                above = self.path[-1][0]
                self.lowest[above] = min(self.lowest[above], self.lowest[at])
            if self.lowest[at] == self.order[at]:
                self._take(at)

    def _enter(self, number: int) -> None:
        self.entered += 1
        self.order[number] = self.lowest[number] = self.entered
        self.open.append(number)
        self.path.append((number, iter(self.following[number])))

    def _next(self, at: int, rest: Iterator[int]) -> int | None:
        """Return the next unvisited successor; update the low link with earlier ones."""
        order, done, lowest = self.order, self.done, self.lowest[at]
        for target in rest:
            if not order[target]:
                self.lowest[at] = lowest
                return target
            if order[target] < lowest and not done[target]:
                lowest = order[target]
        self.lowest[at] = lowest
        return None

    def _take(self, last: int) -> None:
        """Remove a finished component from the stack."""
        taken: list[int] = []
        while not (taken and taken[-1] == last):
            taken.append(self.open.pop())
            self.done[taken[-1]] = 1
        self.found.append(taken)


def closures(following: Sequence[Set[int]]) -> tuple[list[int], list[int]]:
    """Return the reachable nodes of each node, and the nodes that reach it, itself included."""
    parts = circles(following)
    down = [0] * len(following)
    for part in parts:
        mask = union(1 << number for number in part)
        mask |= union(down[target] for number in part for target in following[number])
        for number in part:
            down[number] = mask
    up = [0] * len(following)
    for part in reversed(parts):
        mask = union(1 << number for number in part) | union(up[number] for number in part)
        targets = set().union(*(following[number] for number in part))
        for number in part:
            up[number] = mask
        for target in targets.difference(part):
            up[target] |= mask
    return down, up
