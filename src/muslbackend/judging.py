"""A finished wheel that is read → what it loads on: resolved, judged, answered."""

from __future__ import annotations

from collections import Counter

from muslbackend import musl
from muslbackend.findings import Finding, Severity
from muslbackend.graph import Supply
from muslbackend.integrity import judge_contents
from muslbackend.musl import ARCHITECTURES
from muslbackend.packaged import ABOUT_THE_PACKAGE
from muslbackend.policy import Verdict, in_order, judge
from muslbackend.reach import answer, floors, with_system
from muslbackend.report import Checked, File
from muslbackend.resolve import resolve
from muslbackend.rules import FINISHED_RULES
from muslbackend.scan import Scan
from muslbackend.target import DEFAULT_FLOOR, PlatformTag, Target, claimed_floor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from muslbackend.errors import MalformedError
    from muslbackend.graph import Graph
    from muslbackend.progress import Progress
    from muslbackend.question import Question
    from muslbackend.wheelreader import Wheel

_ZLIB: Final = "libz.so.1"


def judged(wheel: Wheel, question: Question, progress: Progress) -> Checked:
    """Return what a wheel loads on, as its bytes alone tell.

    Raises :class:`MalformedError` for one that turns out to be damaged while it is read.
    """
    _read_tables(wheel, question)
    scan = Scan.of_wheel(wheel)
    progress.enter("judge")
    claimed, about = wheel.platforms, judge_contents(wheel.contents)
    target = _claimed_target(wheel, scan, question)
    if target is None:
        alone = Verdict(None, (), in_order(about))
        checked = Checked(wheel.name, alone.ok, None, None, claimed, None, alone, None)
        return checked._replace(listed=wheel.listed)
    graph = with_system(resolve(scan, target.arch, _system(question, scan)))
    graph = graph._replace(assumed=question.assume_symbols)
    libc = _libc(graph)
    verdict = answer(graph, target, question.against)
    if libc == "glibc" and target.floor is None:
        verdict = judge(graph, target, ABOUT_THE_PACKAGE)._replace(floor=None, because=())
    default = target._replace(floor=DEFAULT_FLOOR)
    # Most wheels were asked just that.
    asked = target == default and question.against is None
    whole = verdict if asked else judge(graph, default, FINISHED_RULES)
    tag = str(default.tag) if whole.ok else None
    files = {
        name: File(wheel.sizes[name], floor)
        for name, floor in floors(graph, target.arch, whole.findings).items()
    }
    # What is wrong with the archive is so on each musl.
    verdict = verdict._replace(findings=in_order((*verdict.findings, *about)))
    known = (wheel.name, verdict.ok, target.arch.name, libc, claimed, tag, verdict, graph)
    return Checked(*known, question, files, listed=wheel.listed)


def damaged(name: str, error: MalformedError) -> Checked:
    """Return what is to be said of a wheel that cannot be read."""
    finding = Finding("MB100", Severity.ERROR, name, error.message, error.hint)
    verdict = Verdict(None, (), (finding,))
    return Checked(name, False, None, None, (), None, verdict, None)


def _read_tables(wheel: Wheel, question: Question) -> None:
    """Read what will be looked up of musl, while other threads inflate the wheel."""
    for name in _claimed_archs(wheel) if question.arch is None else ():
        musl.todays(ARCHITECTURES[name])


def _claimed_archs(wheel: Wheel) -> Counter[str]:
    """Return for which machines with musl the tags say that a wheel is, and how many say so."""
    tags = [t for t in map(PlatformTag.parse, wheel.platforms) if t is not None]
    return Counter(t.arch for t in tags if t.arch in ARCHITECTURES)


def _system(question: Question, scan: Scan) -> Supply:
    """Return what a machine is taken to have besides musl.

    auditwheel's policy leaves zlib to the system; where nothing says that it is there, a warning
    tells.
    """
    known = any(scan.look(f"{folder}/{_ZLIB}") for folder in question.library_dirs)
    exclude = (*question.exclude, *(() if known else (_ZLIB,)))
    return Supply(question.library_dirs, exclude=exclude, installed=True)


def _claimed_target(wheel: Wheel, scan: Scan, question: Question) -> Target | None:
    """Return what a wheel is to be judged for; ``None`` if that is nothing with musl to it."""
    archs = _claimed_archs(wheel)
    if not archs:
        found = (scan.look(path) for path in scan.wheel_paths())
        archs = Counter(e.arch for e in found if not isinstance(e, str | None) and e.arch)
    if question.arch is not None:
        archs = Counter([question.arch.name])
    if not archs or not scan.wheel_paths():
        return None
    claimed = claimed_floor(wheel.platforms)
    promised = question.floor or question.against or claimed
    arch = ARCHITECTURES[min(archs, key=lambda a: (-archs[a], a))]
    return Target(arch, promised, native=False, strict=True)


def _libc(graph: Graph) -> str | None:
    """Return the libc that the wheel's files name: musl if any does, else glibc if any does."""
    found = {graph.elf[path].libc for path in graph.wheel}
    return next((libc for libc in ("musl", "glibc") if libc in found), None)
