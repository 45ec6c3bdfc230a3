"""The files that each file loads, as bit sets, and in musl's order.

Two thousand files that require each other have four million pairs; as bits these take half a
megabyte, and one operation compares two sets. An order is computed on request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set


class Plain(NamedTuple):
    """Files whose needed names resolve to the same files for every root that loads them."""

    following: Sequence[tuple[int, ...]]
    """By file, the files that its needed names resolve to, in order."""
    reached: Sequence[int]
    """By file, the files that it loads, as bits."""
    reaching: Sequence[int]
    """By file, the files that load it, as bits."""

    def order(self, root: int) -> list[int]:
        """Return the files that a root loads, breadth first (``load_deps``, ldso/dynlink.c)."""
        order, seen, count = [root], {root}, self.reached[root].bit_count()
        for at in order:
            if len(order) == count:
                break
            for target in self.following[at]:
                if target not in seen:
                    seen.add(target)
                    order.append(target)
        return order


class Loads(Mapping[str, tuple[str, ...]]):
    """The files that each root (a file opened by name) loads, itself first, in musl's order.

    The sets are stored once, as bits; an order is computed on request.
    """

    def __init__(
        self,
        paths: Sequence[str],
        roots: Sequence[int],
        plain: Plain,
        single: Mapping[int, tuple[int, ...]],
    ) -> None:
        """Store the roots by number; ``single`` has the load order of roots not in ``plain``."""
        self.paths = paths
        self._roots = {paths[root]: root for root in roots}
        self._plain = plain
        self._single = single
        self._reached = {
            root: union(1 << number for number in single[root])
            if root in single
            else plain.reached[root]
            for root in roots
        }
        self._loaders: dict[str, int] | None = None
        self._orders: dict[int, tuple[str, ...]] = {}

    @classmethod
    def of(cls, loads: Mapping[str, tuple[str, ...]]) -> Loads:
        """Return the equivalent of a plain mapping."""
        if isinstance(loads, Loads):
            return loads
        paths = tuple(dict.fromkeys(path for loaded in loads.values() for path in loaded))
        numbers = {path: number for number, path in enumerate(paths)}
        single = {
            numbers[root]: tuple(numbers[path] for path in loaded) for root, loaded in loads.items()
        }
        return cls(paths, tuple(single), Plain((), (), ()), single)

    def __getitem__(self, root: str) -> tuple[str, ...]:
        number = self._roots[root]
        known = self._orders.get(number)
        if known is None:
            single = self._single.get(number)
            order = self._plain.order(number) if single is None else single
            known = self._orders[number] = tuple([self.paths[at] for at in order])
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(self._roots)

    def __len__(self) -> int:
        return len(self._roots)

    def __contains__(self, root: object) -> bool:
        return root in self._roots

    def __repr__(self) -> str:
        return f"Loads({dict(self)!r})"

    def mask(self, roots: Iterable[str]) -> int:
        """Return some of the roots, as bits."""
        return union(1 << self._roots[root] for root in roots)

    def reached(self, root: str) -> int:
        """Return a root and the files that are loaded with it, as bits."""
        return self._reached[self._roots[root]]

    def loaded(self) -> tuple[str, ...]:
        """Return the files that at least one root loads, sorted."""
        whole = union(set(self._reached.values()))
        return tuple(sorted([self.paths[number] for number in bits(whole)]))

    def loaders(self) -> Mapping[str, int]:
        """Return the roots that load each loaded file, as bits."""
        if self._loaders is None:
            self._loaders = self._inverted()
        return self._loaders

    def _inverted(self) -> dict[str, int]:
        plain = union(1 << root for root in self._reached if root not in self._single)
        masks = [mask & plain for mask in self._plain.reaching]
        masks += [0] * (len(self.paths) - len(masks))
        for root in self._reached:
            for number in self._single.get(root, ()):
                masks[number] |= 1 << root
        return {path: mask for path, mask in zip(self.paths, masks, strict=True) if mask}


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
