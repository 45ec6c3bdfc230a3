"""A finished wheel that is read → what it loads on: resolved, judged, answered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from muslbackend.errors import TooMuchError
from muslbackend.loader.graph import Supply
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl import releases
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import DEFAULT_FLOOR, PlatformTag, Target, claimed_floor
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.question import Checked, File
from muslbackend.policy.reach import answer, floors, with_system
from muslbackend.policy.rules.declared_floor import Declared, declared, understated, unknown_tags
from muslbackend.policy.rules.loading import FINISHED_RULES
from muslbackend.policy.rules.package import ABOUT_THE_PACKAGE
from muslbackend.policy.rules.soundness import judge_contents
from muslbackend.policy.verdict import Verdict, in_order, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from muslbackend.errors import MalformedError, MuslBackendError
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import MuslVersion
    from muslbackend.policy.question import Question
    from muslbackend.system.progress import Progress
    from muslbackend.wheel.reader import Wheel

_ZLIB: Final = "libz.so.1"


def judged(wheel: Wheel, question: Question, progress: Progress) -> Checked:
    """Return what a wheel loads on, as its bytes alone tell.

    Raises :class:`MalformedError` for one that turns out to be damaged while it is read.
    """
    _read_tables(wheel, question)
    scan = Scan.of_wheel(wheel)
    progress.enter("judge")
    said = _declared(wheel, question)
    about = (*judge_contents(wheel.contents), *said.findings)
    targets = _targets(wheel, scan, question, said.floor)
    if not targets:
        return _without_graph(wheel, about, said)
    try:
        each = [_judged_for(wheel, scan, question, target) for target in targets]
    except TooMuchError as error:
        return _without_graph(wheel, (*about, _too_much(wheel.name, error)), said)
    # What is wrong with the archive is so on each musl.
    whole = _together(each, (*about, *_unjudged(wheel), *_without_files(each, targets)))
    more = _understated(wheel, question, said.floor, whole.verdict)
    verdict = whole.verdict._replace(findings=in_order((*whole.verdict.findings, *more)))
    return whole._replace(listed=wheel.listed, declared=said.floor, verdict=verdict)


def _judged_for(wheel: Wheel, scan: Scan, question: Question, target: Target) -> Checked:
    """Return what a wheel loads on, on one machine."""
    graph = with_system(resolve(scan, target.arch, _system(question, scan)))
    graph = graph._replace(assumed=question.assume_symbols)
    libc = _libc(graph)
    verdict = answer(graph, target, question.against)
    if libc == "glibc" and target.floor is None:
        about_it = judge(graph, target, ABOUT_THE_PACKAGE).findings
        verdict = Verdict(None, (), about_it)
    default = target._replace(floor=DEFAULT_FLOOR)
    # Most wheels were asked just that.
    asked = target == default and question.against is None
    whole = verdict if asked else judge(graph, default, FINISHED_RULES)
    tag = str(default.tag) if whole.ok else None
    files = {
        name: File(wheel.sizes[name], floor)
        for name, floor in floors(graph, target.arch, whole.findings).items()
    }
    known = (wheel.name, verdict.ok, target.arch.name, libc, wheel.platforms, tag, verdict, graph)
    return Checked(*known, question, files)


def _without_graph(wheel: Wheel, findings: Iterable[Finding], said: Declared) -> Checked:
    """Return what is to be said of a wheel whose files are not looked at, or cannot be."""
    alone = Verdict(None, (), in_order(findings))
    checked = Checked(wheel.name, alone.ok, None, None, wheel.platforms, None, alone, None)
    return checked._replace(listed=wheel.listed, declared=said.floor)


def _too_much(name: str, error: MuslBackendError) -> Finding:
    return Finding("MB150", Severity.ERROR, name, error.message, error.hint)


def _together(each: Sequence[Checked], more: Iterable[Finding]) -> Checked:
    """Return the answer for all machines that a wheel claims; what is shown is the first's."""
    first, verdicts = each[0], [checked.verdict for checked in each]
    # On no release at all, or on the latest of those from which on each machine's files load.
    on_none = [verdict for verdict in verdicts if verdict.floor is None]
    worst = on_none or sorted(verdicts, key=lambda verdict: verdict.floor or DEFAULT_FLOOR)
    findings = {finding for verdict in verdicts for finding in verdict.findings}
    verdict = worst[-1]._replace(findings=in_order((*findings, *more)))
    earned = first.earned if all(checked.earned for checked in each) else None
    return first._replace(ok=verdict.ok, earned=earned, verdict=verdict)


def _unjudged(wheel: Wheel) -> Iterator[Finding]:
    """A promise for a machine that we know nothing of is one that nobody has looked at."""
    tags = [tag for tag in _promises(wheel) if tag.arch not in ARCHITECTURES]
    for tag in tags:
        yield Finding(
            "MB106",
            Severity.ERROR,
            wheel.name,
            f"claims {tag}, a machine that muslbackend does not know",
            hint=f"leave the tag out; known are {', '.join(ARCHITECTURES)}",
        )


def _without_files(each: Sequence[Checked], targets: Sequence[Target]) -> Iterator[Finding]:
    """Of several machines that a wheel claims each needs native code of its own."""
    graphs = [checked.graph for checked in each if checked.graph is not None]
    found = {graph.elf[path].arch for graph in graphs for path in graph.wheel}
    for target in targets if len(targets) > 1 else ():
        if target.arch.name not in found:
            yield Finding(
                "MB106",
                Severity.ERROR,
                each[0].wheel,
                f"claims to be for {target.arch.name} too, and has no native code for it",
                hint="build one wheel for each machine",
            )


def damaged(name: str, error: MalformedError) -> Checked:
    """Return what is to be said of a wheel that cannot be read."""
    finding = Finding("MB100", Severity.ERROR, name, error.message, error.hint)
    verdict = Verdict(None, (), (finding,))
    return Checked(name, False, None, None, (), None, verdict, None)


def _declared(wheel: Wheel, question: Question) -> Declared:
    """Return the floor that a wheel declares; findings only if its own promise is in question."""
    said = declared(wheel.contents, wheel.platforms)
    if question.floor or question.against:
        return said._replace(findings=())
    unknown = unknown_tags(wheel.name, wheel.platforms)
    return said._replace(findings=(*said.findings, *unknown))


def _understated(
    wheel: Wheel, question: Question, said: MuslVersion | None, verdict: Verdict
) -> tuple[Finding, ...]:
    """Return the warning about a tag that a true declaration makes up for."""
    if said is None or question.floor or question.against or not verdict.ok:
        return ()
    return understated(wheel.name, wheel.platforms, verdict.floor, verdict.alpine)


def _read_tables(wheel: Wheel, question: Question) -> None:
    """Read what will be looked up of musl, while other threads inflate the wheel."""
    for name in _claimed_archs(wheel) if question.arch is None else ():
        releases.todays(ARCHITECTURES[name])


def _claimed_archs(wheel: Wheel) -> Counter[str]:
    """Return for which machines with musl the tags say that a wheel is, and how many say so.

    Where tags promise a musl, the machines of those.
    """
    tags = _promises(wheel) or [t for t in map(PlatformTag.parse, wheel.platforms) if t is not None]
    return Counter(t.arch for t in tags if t.arch in ARCHITECTURES)


def _promises(wheel: Wheel) -> list[PlatformTag]:
    """Return the tags that promise a musl."""
    tags = map(PlatformTag.parse, wheel.platforms)
    return [tag for tag in tags if tag is not None and tag.floor is not None]


def _system(question: Question, scan: Scan) -> Supply:
    """Return what a machine is taken to have besides musl.

    auditwheel's policy leaves zlib to the system; where nothing says that it is there, a warning
    tells.
    """
    known = any(scan.look(f"{folder}/{_ZLIB}") for folder in question.library_dirs)
    exclude = (*question.exclude, *(() if known else (_ZLIB,)))
    return Supply(question.library_dirs, exclude=exclude, installed=True, ignore=question.ignore)


def _targets(
    wheel: Wheel, scan: Scan, question: Question, said: MuslVersion | None
) -> list[Target]:
    """Return what a wheel is to be judged for; nothing if there is nothing with musl to it.

    Each machine of a musllinux tag is judged; of other tags, the one that most of them name.
    ``said`` is the floor that the wheel declares.
    """
    if not scan.wheel_paths():
        return []
    archs = _claimed_archs(wheel)
    if not archs:
        found = (scan.look(path) for path in scan.wheel_paths())
        archs = Counter(e.arch for e in found if not isinstance(e, str | None) and e.arch)
    if question.arch is not None:
        archs = Counter([question.arch.name])
    names = sorted(archs, key=lambda arch: (-archs[arch], arch))
    return [
        Target(ARCHITECTURES[name], floor, native=False, strict=True)
        for name in (names if _promises(wheel) else names[:1])
        for floor in [_asked_floor(wheel, name, question, said)]
    ]


def _asked_floor(
    wheel: Wheel, arch: str, question: Question, said: MuslVersion | None
) -> MuslVersion | None:
    """Return the release that a wheel is asked for on a machine.

    By default it is the one that the wheel declares, else the one that its tags claim.
    """
    own = claimed_floor(str(tag) for tag in _promises(wheel) if tag.arch == arch)
    claimed = own or claimed_floor(wheel.platforms)
    if said is not None and (claimed is None or (said.major, said.minor) == claimed[:2]):
        claimed = said
    return question.floor or question.against or claimed


def _libc(graph: Graph) -> str | None:
    """Return the libc that the wheel's files name: musl if any does, else glibc if any does."""
    found = {graph.elf[path].libc for path in graph.wheel}
    return next((libc for libc in ("musl", "glibc") if libc in found), None)
