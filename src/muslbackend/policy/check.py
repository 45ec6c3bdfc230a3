"""Check finished wheels: read, resolve and judge them, and answer a question about them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MalformedError, TooMuchError
from muslbackend.loader.graph import Supply
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl import releases
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import DEFAULT_FLOOR, PlatformTag, Target, claimed_floor
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.reach import answer, floors, with_system
from muslbackend.policy.registry import ANY_LIBC_RULES, FINISHED_RULES, judge_contents
from muslbackend.policy.rules.platform import (
    Declared,
    declared,
    machines_without_files,
    understated,
    unknown_machines,
    unknown_tags,
)
from muslbackend.policy.verdict import Verdict, in_order, judge
from muslbackend.system.failures import reported_io_errors
from muslbackend.system.progress import Progress
from muslbackend.wheel.archive import file_name
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.reader import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from muslbackend.errors import MuslBackendError
    from muslbackend.loader.graph import Graph
    from muslbackend.musl.releases import Architecture, MuslVersion
    from muslbackend.wheel.reader import Wheel
    from muslbackend.wheel.zip.directory import Listed

_ZLIB: Final = "libz.so.1"


class Question(NamedTuple):
    """The question about a wheel; by default, whether its tags are true."""

    floor: MuslVersion | None = None
    """The oldest musl release on which the wheel must load; it must load on all later ones too."""
    against: MuslVersion | None = None
    """The only musl release on which the wheel must load."""
    arch: Architecture | None = None
    """The machine to judge for; by default the one of the tags, else the one of the files."""
    library_dirs: tuple[str, ...] = ()
    """Absolute directories of libraries that will be in the system's search path."""
    exclude: tuple[str, ...] = ()
    """Globs of library names that are assumed to be present."""
    max_unpacked: int | None = None
    """The maximum unpacked size of a wheel, in bytes; ``None`` for the default of the reader."""
    assume_symbols: tuple[str, ...] = ()
    """Globs of symbols that external libraries are assumed to define."""
    ignore: tuple[str, ...] = ()
    """Globs of ELF files of the wheel that are not judged."""


_DEFAULT_QUESTION: Final = Question()


class File(NamedTuple):
    """The result of ``check`` for one ELF file of a wheel."""

    size: int
    """In bytes."""
    floor: MuslVersion | None
    """The oldest release on which the file itself loads; ``None`` if it loads on none."""


class Checked(NamedTuple):
    """The result of ``check`` for one wheel."""

    wheel: str
    """The file name."""
    verdict: Verdict
    claimed: tuple[str, ...] = ()
    """The platform tags of the file name, sorted."""
    arch: str | None = None
    libc: str | None = None
    """``musl``, ``glibc``, or ``None`` for a wheel without ELF files or without a libc."""
    earned: str | None = None
    """The tag that muslbackend would write at the default floor."""
    graph: Graph | None = None
    """``None`` if the files were not analyzed; of several machines, the graph of the first."""
    question: Question = _DEFAULT_QUESTION
    files: Mapping[str, File] = {}
    """By path, for each ELF file of the wheel that could be read."""
    seconds: Mapping[str, float] = {}
    """Durations of the stages, in order, and their sum as ``total``."""
    listed: tuple[Listed, ...] = ()
    """All members of the archive, if it could be read."""
    declared: MuslVersion | None = None
    """The floor that the ``WHEEL`` file declares, if it is valid."""

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return self.verdict.ok


def check_wheel(
    path: str | Path, question: Question = _DEFAULT_QUESTION, progress: Progress | None = None
) -> Checked:
    """Judge a finished wheel by its bytes alone.

    By default, the question is whether it loads on the musl X.Y.0 that its tag claims and on all
    later releases. A damaged wheel is a finding (MB100). Raises :class:`MuslBackendError` if the
    file cannot be read.
    """
    progress = progress or Progress()
    try:
        with (
            reported_io_errors(),
            Scratch() as scratch,
            reading(path, scratch, progress, question.max_unpacked) as wheel,
        ):
            return _judged(wheel, question, progress)
    except MalformedError as error:
        name = file_name(path)
        finding = Finding("MB100", Severity.ERROR, name, error.message, error.hint)
        return Checked(name, Verdict(None, (), (finding,)))


def _judged(wheel: Wheel, question: Question, progress: Progress) -> Checked:
    """Return the result for a wheel that is being read.

    Raises :class:`MalformedError` if it turns out to be damaged.
    """
    _read_tables(wheel, question)
    scan = Scan.of_wheel(wheel)
    progress.enter("judge")
    declaration = _declaration(wheel, question)
    about = (*judge_contents(wheel.contents), *declaration.findings)
    targets = _targets(wheel, scan, question, declaration.floor)
    if not targets:
        return _without_graph(wheel, about, declaration)
    try:
        each = [_judged_for(wheel, scan, question, target) for target in targets]
    except TooMuchError as error:
        return _without_graph(wheel, (*about, _too_much(wheel.name, error)), declaration)
    whole = _together(each, (*about, *_about_machines(wheel, each, targets)))
    more = _understated(wheel, question, declaration.floor, whole.verdict)
    verdict = whole.verdict._replace(findings=in_order((*whole.verdict.findings, *more)))
    return whole._replace(listed=wheel.listed, declared=declaration.floor, verdict=verdict)


def _judged_for(wheel: Wheel, scan: Scan, question: Question, target: Target) -> Checked:
    """Return the result for one machine."""
    graph = with_system(resolve(scan, target.arch, _system(question, scan)))
    graph = graph._replace(assumed=question.assume_symbols)
    libc = _libc(graph)
    verdict = answer(graph, target, question.against)
    if libc == "glibc" and target.floor is None:
        verdict = Verdict(None, (), judge(graph, target, ANY_LIBC_RULES).findings)
    default = target._replace(floor=DEFAULT_FLOOR)
    # For most wheels, the question is the one that has just been answered.
    same = target == default and question.against is None
    whole = verdict if same else judge(graph, default, FINISHED_RULES)
    files = {
        name: File(wheel.sizes[name], floor)
        for name, floor in floors(graph, target.arch, whole.findings).items()
    }
    return Checked(
        wheel.name,
        verdict,
        claimed=wheel.platforms,
        arch=target.arch.name,
        libc=libc,
        earned=str(default.tag) if whole.ok else None,
        graph=graph,
        question=question,
        files=files,
    )


def _without_graph(wheel: Wheel, findings: Iterable[Finding], declaration: Declared) -> Checked:
    """Return the result for a wheel whose files are not, or cannot be, analyzed."""
    return Checked(
        wheel.name,
        Verdict(None, (), in_order(findings)),
        claimed=wheel.platforms,
        listed=wheel.listed,
        declared=declaration.floor,
    )


def _too_much(name: str, error: MuslBackendError) -> Finding:
    return Finding("MB150", Severity.ERROR, name, error.message, error.hint)


def _together(each: Sequence[Checked], more: Iterable[Finding]) -> Checked:
    """Return the result for all machines that a wheel claims; other fields are the first one's."""
    first, verdicts = each[0], [checked.verdict for checked in each]
    # The worst verdict: no release at all, else the latest of the oldest releases.
    on_none = [verdict for verdict in verdicts if verdict.floor is None]
    worst = on_none or sorted(verdicts, key=lambda verdict: verdict.floor or DEFAULT_FLOOR)
    findings = {finding for verdict in verdicts for finding in verdict.findings}
    verdict = worst[-1]._replace(findings=in_order((*findings, *more)))
    earned = first.earned if all(checked.earned for checked in each) else None
    return first._replace(earned=earned, verdict=verdict)


def _about_machines(
    wheel: Wheel, each: Sequence[Checked], targets: Sequence[Target]
) -> tuple[Finding, ...]:
    """Return the errors of machines that the tags name and the files do not support."""
    graphs = [checked.graph for checked in each if checked.graph is not None]
    found = {graph.elf[path].arch for graph in graphs for path in graph.wheel}
    archs = [target.arch.name for target in targets]
    return (
        *unknown_machines(wheel.name, _promises(wheel)),
        *machines_without_files(wheel.name, archs, found),
    )


def _declaration(wheel: Wheel, question: Question) -> Declared:
    """Return the floor that a wheel declares, with findings only if its own tag is in question."""
    declaration = declared(wheel.contents, wheel.platforms)
    if question.floor or question.against:
        return declaration._replace(findings=())
    unknown = unknown_tags(wheel.name, wheel.platforms)
    return declaration._replace(findings=(*declaration.findings, *unknown))


def _understated(
    wheel: Wheel, question: Question, declaration: MuslVersion | None, verdict: Verdict
) -> tuple[Finding, ...]:
    """Return the warning about a tag that is true only with the declared floor."""
    if declaration is None or question.floor or question.against or not verdict.ok:
        return ()
    return understated(wheel.name, wheel.platforms, verdict.floor, verdict.alpine)


def _read_tables(wheel: Wheel, question: Question) -> None:
    """Read the tables of musl's symbols while worker threads decompress the wheel."""
    for name in _claimed_archs(wheel) if question.arch is None else ():
        releases.todays(ARCHITECTURES[name])


def _claimed_archs(wheel: Wheel) -> Counter[str]:
    """Count the architectures of musl that the tags name.

    Tags without a musl version count only if no tag has one.
    """
    tags = _promises(wheel) or [t for t in map(PlatformTag.parse, wheel.platforms) if t is not None]
    return Counter(t.arch for t in tags if t.arch in ARCHITECTURES)


def _promises(wheel: Wheel) -> list[PlatformTag]:
    """Return the tags that promise a musl release."""
    tags = map(PlatformTag.parse, wheel.platforms)
    return [tag for tag in tags if tag is not None and tag.floor is not None]


def _system(question: Question, scan: Scan) -> Supply:
    """Return the libraries that a machine is assumed to have besides musl.

    auditwheel's policy leaves zlib to the system; unless a library directory contains it, it is
    excluded, which is a warning (MB109).
    """
    known = any(scan.look(f"{folder}/{_ZLIB}") for folder in question.library_dirs)
    exclude = (*question.exclude, *(() if known else (_ZLIB,)))
    return Supply(question.library_dirs, exclude=exclude, installed=True, ignore=question.ignore)


def _targets(
    wheel: Wheel, scan: Scan, question: Question, declaration: MuslVersion | None
) -> list[Target]:
    """Return the targets to judge a wheel for; none if it contains no ELF files.

    These are all machines of the musllinux tags. Without such a tag, it is the machine that most
    tags, or else most files, name.
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
        for floor in [_asked_floor(wheel, name, question, declaration)]
    ]


def _asked_floor(
    wheel: Wheel, arch: str, question: Question, declaration: MuslVersion | None
) -> MuslVersion | None:
    """Return the release to judge for: of the question, else declared, else of the tags."""
    own = claimed_floor(str(tag) for tag in _promises(wheel) if tag.arch == arch)
    claimed = own or claimed_floor(wheel.platforms)
    if declaration is not None and (
        claimed is None or (declaration.major, declaration.minor) == claimed[:2]
    ):
        claimed = declaration
    return question.floor or question.against or claimed


def _libc(graph: Graph) -> str | None:
    """Return the libc of the wheel's files: musl if any file names it, else glibc if any does."""
    found = {graph.elf[path].libc for path in graph.wheel}
    return next((libc for libc in ("musl", "glibc") if libc in found), None)
