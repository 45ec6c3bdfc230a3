"""The packages that some packages require, chosen as apk chooses (apk-tools, src/solver.c).

The result is the closure of the dependencies. Nothing is tried and taken back: when a package
excludes one that was chosen before, the choice starts again and knows that requirement.
"""

from __future__ import annotations

from collections import defaultdict, deque
from functools import cmp_to_key
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.cli.sysroot.version import compare
from muslbackend.errors import MuslBackendError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from _typeshed import SupportsRichComparison

    from muslbackend.cli.sysroot.index import Dependency, Record

#: A sysroot with all of LLVM and Qt has fewer.
MOST_PACKAGES: Final = 5_000
#: Each round knows at least one more requirement.
_MOST_ROUNDS: Final = 1_000


class Solution(NamedTuple):
    """The chosen packages, and the names that were left out."""

    packages: tuple[Record, ...]
    """In the order of the choice: requested ones first."""
    left_out: frozenset[str]
    """The names in ``skip`` that a package required."""


class _Again(Exception):  # noqa: N818 - not an error
    """A requirement refuses a chosen package; the choice starts again."""


class _Request(NamedTuple):
    dependency: Dependency
    chain: tuple[str, ...]
    """The packages that led to it, the first is from the command line."""

    def __str__(self) -> str:
        return " → ".join((*self.chain, str(self.dependency)))


def solve(
    records: Iterable[Record], wanted: Sequence[Dependency], skip: Iterable[str] = ()
) -> Solution:
    """Return the packages for the names that are wanted.

    Names that only programs need are not followed: ``/bin/sh`` and ``cmd:NAME``. Neither are names
    in ``skip``, nor packages of these names. Raises :class:`SettingsError` for a wanted name that
    does not exist, :class:`MuslBackendError` if requirements contradict each other.
    """
    providers = defaultdict(list)
    for record in records:
        for name in record.provides:
            providers[name].append(record)
    requirements: dict[str, dict[Dependency, _Request]] = defaultdict(dict)
    for _ in range(_MOST_ROUNDS):
        try:
            return _Round(providers, frozenset(skip), requirements).run(wanted)
        except _Again:
            continue
    msg = "the requirements of the packages are too tangled to choose from"
    raise MuslBackendError(msg, hint="request the packages of fewer repositories")


class _Round:
    """One choice of packages, with the requirements of earlier ones."""

    def __init__(
        self,
        providers: dict[str, list[Record]],
        skip: frozenset[str],
        requirements: dict[str, dict[Dependency, _Request]],
    ) -> None:
        self._providers = providers
        self._skip = skip
        self._requirements = requirements
        self._chosen: dict[str, Record] = {}
        self._providing: defaultdict[str, list[Record]] = defaultdict(list)
        self._left_out: set[str] = set()
        self._waiting: deque[_Request] = deque()

    def run(self, wanted: Sequence[Dependency]) -> Solution:
        self._waiting.extend(_Request(dependency, ()) for dependency in wanted)
        while self._waiting:
            self._follow(self._waiting.popleft())
        return Solution(tuple(self._chosen.values()), frozenset(self._left_out))

    def _follow(self, request: _Request) -> None:
        dependency = request.dependency
        name = dependency.name
        if not dependency.excludes and (self._is_skipped(name) or name.startswith(("/", "cmd:"))):
            return
        present = self._providing[name]
        if dependency.operator or dependency.excludes:
            self._requirements[name].setdefault(dependency, request)
            if any(self._refusal(record, name) for record in present):
                raise _Again
        if dependency.excludes or any(dependency.accepts(r.provides[name]) for r in present):
            return
        record = self._best(request)
        if not self._is_skipped(record.name):
            self._choose(record, request)

    def _is_skipped(self, name: str) -> bool:
        if name in self._skip:
            self._left_out.add(name)
        return name in self._skip

    def _refusal(self, record: Record, name: str) -> _Request | None:
        """Return a requirement that refuses a record as the provider of a name.

        A bare name satisfies no version, and conflicts with none.
        """
        version = record.provides[name]
        for dependency, request in self._requirements[name].items():
            accepted = dependency.accepts(version)
            # A package may exclude others that provide the same name.
            if dependency.excludes and accepted and request.chain[-1:] != (str(record),):
                return request
            if not dependency.excludes and not accepted and version:
                return request
        return None

    def _best(self, request: _Request) -> Record:
        name = request.dependency.name
        found = self._providers.get(name, [])
        matching = [
            record
            for record in found
            if request.dependency.accepts(record.provides[name]) and not self._refusal(record, name)
        ]
        if not matching:
            raise self._missing(request, found)
        best = min(matching, key=_ranking(name))
        if not best.provides[name] and not best.priority:
            names = ", ".join(sorted({record.name for record in matching}))
            msg = f"{request}: several packages may provide it: {names}"
            raise MuslBackendError(msg, hint="name one of them, too")
        return best

    def _missing(self, request: _Request, found: Sequence[Record]) -> MuslBackendError:
        kind = MuslBackendError if request.chain else SettingsError
        if not found:
            hint = "check the name and --repository, or leave it out with --skip"
            return kind(f"{request}: not in the repositories", hint=hint)
        versions = ", ".join(sorted({str(record) for record in found})[:5])
        others = [str(r) for d, r in self._requirements[request.dependency.name].items()]
        asked = "; ".join(others[:5])
        msg = f"{request}: none of {versions} fits all requirements: {asked or request}"
        return kind(
            msg, hint="name a version that fits, with its -rN, or leave one out with --skip"
        )

    def _choose(self, record: Record, request: _Request) -> None:
        for name, version in record.provides.items():
            rivals = [r for r in self._providing[name] if version and r.provides[name]]
            if rivals:
                raise _rivals(record, rivals[0], name, request)
            if refusal := self._refusal(record, name):
                raise _contradiction(request, record, refusal)
        if len(self._chosen) >= MOST_PACKAGES:
            msg = f"more than {MOST_PACKAGES:,} packages are required"
            raise MuslBackendError(msg, hint="request fewer packages, or use --skip")
        self._chosen[record.name] = record
        for name in record.provides:
            self._providing[name].append(record)
        chain = (*request.chain, str(record))
        self._waiting.extend(_Request(dependency, chain) for dependency in record.depends)


def _ranking(name: str) -> Callable[[Record], SupportsRichComparison]:
    """Return a key for providers of a name."""

    def rank(one: Record, other: Record) -> int:
        return _rank(one, other, name)

    return cmp_to_key(rank)


def _rank(one: Record, other: Record, name: str) -> int:
    """Compare two providers of a name; the better one is lower."""
    left, right = one.provides[name], other.provides[name]
    if bool(left) != bool(right):
        return -1 if left else 1
    if left and (result := compare(right, left)):
        return result
    if one.name == other.name and (result := compare(other.version, one.version)):
        return result
    key = (-one.priority, one.repository, one.name)
    return -1 if key < (-other.priority, other.repository, other.name) else 1


def _contradiction(request: _Request, record: Record, other: _Request) -> MuslBackendError:
    msg = f"{request}: {record} does not fit another requirement: {other}"
    return MuslBackendError(msg, hint="leave one of the two out with --skip")


def _rivals(one: Record, other: Record, name: str, request: _Request) -> MuslBackendError:
    msg = f"{request}: {one} and {other} cannot be installed together: both provide {name}"
    return MuslBackendError(msg, hint="leave one of the two out with --skip")
