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
    """What a build wrote."""

    name: WheelName
    verdict: Verdict
    plan: Plan
    promised: bool | None
    """The tag is the promise; or it is the plain one and the findings say why; ``None``: the
    wheel is for any platform and there was nothing to promise."""
    sizes: Mapping[str, tuple[int, int]] = {}
    """Of each member of the wheel that was written: bytes, and bytes in the archive."""
    opened: Opened | None = None
    """What a real loader opened before the wheel was written, if that was asked for."""
    graph: Graph | None = None
    """Of its files as they are in the end, if there was anything to judge."""
    remarks: tuple[str, ...] = ()
    """Lines of the report about how it was compiled."""
    seconds: Mapping[str, float] = {}
    """Of each stage, in order, and of all as ``total``; empty where nobody counted."""
    declared: MuslVersion | None = None
    """The floor that the wheel declares, where its tag does not name it."""

    @property
    def strippable(self) -> int:
        """About how many bytes of its ELF files ``strip`` would take out."""
        return sum(elf.strippable for elf in self.graph.elf.values()) if self.graph else 0

    @property
    def wheel(self) -> str:
        """Its file name."""
        return str(self.name)


class Repaired(NamedTuple):
    """What ``repair`` made of one wheel: an outcome, or what stopped it."""

    wheel: str
    """File name of the wheel that was given."""
    outcome: Outcome | None = None
    error: str | None = None
    verdict: Verdict | None = None
    """Whose findings stopped it, if it was findings."""
    seconds: Mapping[str, float] = {}
    """As those of :class:`Outcome`."""
