"""The story: what happens to a project or a wheel, from beginning to end. Read this page first.

``build_wheel`` stages and finishes; ``check_wheel`` judges what is finished already.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from muslbackend import __version__, stage
from muslbackend.cmakecache import without_openmp
from muslbackend.emulation import Emulation, find_emulation, read_loader
from muslbackend.errors import MalformedError, MuslBackendError, SettingsError
from muslbackend.findings import Finding, Severity
from muslbackend.finish import Material, Order, after_build, finish, order_for
from muslbackend.graph import Supply
from muslbackend.invocation import build_dir_setting, named_toolchain, plan_invocation
from muslbackend.musl import ARCHITECTURES
from muslbackend.notes import failure, parse_notes, remarks, unanswered
from muslbackend.packaged import ABOUT_THE_PACKAGE
from muslbackend.policy import Verdict, judge
from muslbackend.reach import Question, answer, floors, with_system
from muslbackend.report import Checked, File
from muslbackend.resolve import resolve
from muslbackend.rules import FINISHED_RULES
from muslbackend.scan import Scan, own_loader
from muslbackend.settings import DEFAULT_FLOOR
from muslbackend.target import PlatformTag, Target, claimed_floor
from muslbackend.toolchain import Choice, cross_toolchain
from muslbackend.verify import opener_for
from muslbackend.wheel import read_wheel
from muslbackend.wrapper import NOTES_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from muslbackend.graph import Graph
    from muslbackend.notes import Note
    from muslbackend.outcome import Outcome
    from muslbackend.settings import Settings
    from muslbackend.stage import Staged
    from muslbackend.wheel import Wheel, WheelName

_ZLIB: Final = "libz.so.1"
_ITS_TAGS: Final = Question()


@dataclass(frozen=True, slots=True)
class Job:
    """A wheel to build for musl."""

    project: Path
    target: Target
    settings: Settings
    config: Mapping[str, object]
    """scikit-build-core's ``-C`` keys."""
    table: Mapping[str, Any]
    """``[tool.scikit-build]``"""
    output: Path
    metadata: Path | None = None
    """A ``.dist-info`` folder prepared earlier, which the wheel must agree with."""


def build_wheel(job: Job) -> Outcome:
    """Build, judge, bundle, prove and write one wheel; return what came of it.

    Raises :class:`PolicyError` when the promise cannot be kept and the target is strict; the
    output folder then is as it was.
    """
    order = order_for(job.target, job.settings, job.project, job.output)
    native, arch = job.target.native, job.target.arch
    toolchain = None if native else cross_toolchain(arch, _choice(job, order.sysroot))
    emulation = _emulation(job, order)
    if job.settings.verify:
        compiler = toolchain.cmake_file.with_name("bin") / "cc" if toolchain else None
        order = replace(order, opener=opener_for(emulation, compiler))
    call = plan_invocation(job.target, job.config, job.table, os.environ, toolchain)
    outcomes: list[Outcome] = []

    with _noting(job) as notes:

        def finished(staged: Staged) -> WheelName:
            _agree(staged, job.metadata)
            idle = unanswered(notes())
            if idle is not None:
                raise idle
            generator = f"muslbackend {__version__} ({staged.backend})"
            material = Material(staged.name, staged.members, generator)
            made = finish(material, after_build(order, staged.build_dir))
            known = (*made.verdict.findings, *_about_the_build(staged))
            verdict = replace(made.verdict, findings=known)
            outcomes.append(replace(made, verdict=verdict, remarks=remarks(notes())))
            return made.name

        if toolchain is not None:
            stage.log(toolchain.description)
        with _environment({**call.environment, **({} if native else emulation.environment)}):
            unset = build_dir_setting(call.config, job.table, os.environ) is None
            stage.build(call.config, finished, keeps_no_build_dir=unset)
    return outcomes[-1]


def _choice(job: Job, sysroot: Path | None) -> Choice:
    """Return what was decided about the toolchain; :class:`SettingsError` for a missing file."""
    name = job.settings.toolchain_file or named_toolchain(job.config, os.environ)
    if name is None:
        return Choice(sysroot)
    file = (job.project / name).resolve()
    if not file.is_file():
        raise SettingsError(f"toolchain-file = {name}: there is no file {file}", hint="give a path")
    return Choice(sysroot, file)


@contextmanager
def _noting(job: Job) -> Iterator[Callable[[], Sequence[Note]]]:
    """Have wrappers and CMake note down what happens; if they fail, say what of it is the reason.

    Gives a function that reads what was noted up to then.
    """
    with tempfile.TemporaryDirectory(prefix="muslbackend-") as folder:
        file = Path(folder) / "notes"
        file.touch()

        def notes() -> Sequence[Note]:
            return parse_notes(file.read_text(encoding="utf-8", errors="replace"))

        try:
            with _environment({NOTES_VARIABLE: str(file)}):
                yield notes
        except SystemExit as error:  # scikit-build-core's, which has printed what it knows
            texts = stage.cmake_texts(job.project)
            raise failure(notes(), os.environ, texts) or error from None


def _emulation(job: Job, order: Order) -> Emulation:
    """Return what runs programs of the target here; of a native build, what runs this one."""
    arch, named = job.target.arch, job.settings.loader
    if job.target.native:
        return find_emulation(arch, own_loader(Path(sys.executable)))
    given = None if named is None else read_loader(job.project, named, arch)
    return find_emulation(arch, given, order.sysroot)


def _about_the_build(staged: Staged) -> Iterator[Finding]:
    cache = staged.build_dir / "CMakeCache.txt" if staged.build_dir else None
    if cache is not None and cache.is_file():
        yield from without_openmp(cache.read_text(encoding="utf-8", errors="replace"))


def _agree(staged: Staged, metadata: Path | None) -> None:
    """Check that the wheel has the metadata that was prepared for it (PEP 517).

    ``WHEEL`` may differ: the tag is known only when the files have been judged.
    """
    if metadata is None:
        return
    members = {m.path.removeprefix(staged.name.dist_info): m for m in staged.members}
    for name in ("METADATA", "entry_points.txt"):
        prepared = metadata / name
        now = members[name].read() if name in members else b""
        before = prepared.read_bytes() if prepared.is_file() else b""
        if now != before:
            msg = f"{name} is not what prepare_metadata_for_build_wheel announced"
            raise MuslBackendError(msg, hint="do not change the project between the two hooks")


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def check_wheel(path: Path, question: Question = _ITS_TAGS) -> Checked:
    """Judge a finished wheel by its bytes alone.

    By default the question is whether it loads on the X.Y.0 that its tag claims and later. A
    damaged wheel is a finding too.
    """
    try:
        wheel = read_wheel(path)
    except MalformedError as error:
        finding = Finding("MB100", Severity.ERROR, path.name, error.message, error.hint)
        verdict = Verdict(None, (), (finding,))
        return Checked(path.name, False, None, None, (), None, verdict, None)
    scan = Scan.of_wheel(wheel)
    claimed = tuple(sorted({tag.platform for tag in wheel.tags}))
    target = _claimed_target(wheel, scan, question)
    if target is None:
        nothing = Verdict(None, (), ())
        return Checked(path.name, True, None, None, claimed, None, nothing, None)
    graph = with_system(resolve(scan, target.arch, _system(question)))
    libc = _libc(graph)
    verdict = answer(graph, target, question.against)
    if libc == "glibc" and target.floor is None:
        verdict = replace(judge(graph, target, ABOUT_THE_PACKAGE), floor=None, because=())
    default = replace(target, floor=DEFAULT_FLOOR)
    # Most wheels were asked just that.
    asked = target == default and question.against is None
    whole = verdict if asked else judge(graph, default, FINISHED_RULES)
    tag = str(default.tag) if whole.ok else None
    files = {
        name: File(len(wheel.elf[name]), floor)
        for name, floor in floors(graph, target.arch, whole.findings).items()
    }
    arch = target.arch.name
    return Checked(path.name, verdict.ok, arch, libc, claimed, tag, verdict, graph, question, files)


def _system(question: Question) -> Supply:
    """Return what a machine is taken to have besides musl.

    auditwheel's policy leaves zlib to the system; where nothing says that it is there, a warning
    tells.
    """
    known = any((Path(folder) / _ZLIB).is_file() for folder in question.library_dirs)
    exclude = (*question.exclude, *(() if known else (_ZLIB,)))
    return Supply(question.library_dirs, exclude=exclude, installed=True)


def _claimed_target(wheel: Wheel, scan: Scan, question: Question) -> Target | None:
    """Return what a wheel is to be judged for; ``None`` if that is nothing with musl to it."""
    tags = [t for t in (PlatformTag.parse(tag.platform) for tag in wheel.tags) if t is not None]
    archs = Counter(t.arch for t in tags if t.arch in ARCHITECTURES)
    if not archs:
        found = (scan.look(path) for path in scan.wheel_paths())
        archs = Counter(e.arch for e in found if not isinstance(e, str | None) and e.arch)
    if question.arch is not None:
        archs = Counter([question.arch.name])
    if not archs or not scan.wheel_paths():
        return None
    claimed = claimed_floor(tag.platform for tag in wheel.tags)
    promised = question.floor or question.against or claimed
    arch = ARCHITECTURES[min(archs, key=lambda a: (-archs[a], a))]
    return Target(arch, promised, native=False, strict=True)


def _libc(graph: Graph) -> str | None:
    """Return the libc that the wheel's files name: musl if any does, else glibc if any does."""
    found = {graph.elf[path].libc for path in graph.wheel}
    return next((libc for libc in ("musl", "glibc") if libc in found), None)
