"""The files that each file loads, in musl's order, without a list for each root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.loader.closures import bits, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


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
