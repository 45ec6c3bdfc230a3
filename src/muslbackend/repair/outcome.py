"""The outcome of a build or a repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.policy.verdict import Verdict
    from muslbackend.repair.plan import Plan
    from muslbackend.repair.verify import Opened
    from muslbackend.wheel.name import WheelName


class Outcome(NamedTuple):
    """The outcome of a build or a repair."""

    name: WheelName
    verdict: Verdict
    plan: Plan
    promised: bool | None
    """Whether the tag promises a musl; if not, the findings give the reasons. ``None`` for a wheel
    without native code."""
    sizes: Mapping[str, tuple[int, int]] = {}
    """The size and the compressed size of each member of the wheel, in bytes."""
    opened: Opened | None = None
    """The result of the real loader, if ``verify`` is set."""
    graph: Graph | None = None
    """The graph of the final files, if there are any to judge."""
    remarks: tuple[str, ...] = ()
    """Lines of the report about the compilation."""
    seconds: Mapping[str, float] = {}
    """The seconds of each stage, in order, and ``total``; empty if they were not measured."""
    declared: MuslVersion | None = None
    """The floor that the wheel declares, if its tag cannot express it."""

    @property
    def strippable(self) -> int:
        """The approximate number of bytes that ``strip`` would remove from its ELF files."""
        return sum(elf.strippable for elf in self.graph.elf.values()) if self.graph else 0

    @property
    def wheel(self) -> str:
        """The file name."""
        return str(self.name)


class Repaired(NamedTuple):
    """The result of ``repair`` for one wheel: an outcome or an error."""

    wheel: str
    """The file name of the input."""
    outcome: Outcome | None = None
    error: str | None = None
    verdict: Verdict | None = None
    """The verdict, if its findings are the reason of the error."""
    seconds: Mapping[str, float] = {}
    """As in :class:`Outcome`."""
