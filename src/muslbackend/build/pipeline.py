"""Build a wheel for musl, from the project to the written file. Read this module first."""

from __future__ import annotations

import operator
import os
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NamedTuple

from muslbackend import __version__
from muslbackend.build import skbuild
from muslbackend.build.invocation import build_dir_setting, named_toolchain, plan_invocation
from muslbackend.errors import MuslBackendError, SettingsError
from muslbackend.repair.finish import finish
from muslbackend.repair.request import Material, after_build, order_for
from muslbackend.system import paths
from muslbackend.system.progress import Line, Progress
from muslbackend.wheel.metadata import made_by, said_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from muslbackend.build.cross.emulation import Emulation
    from muslbackend.build.cross.notes import Note
    from muslbackend.build.cross.toolchain import Choice, Toolchain
    from muslbackend.build.invocation import Invocation
    from muslbackend.build.skbuild import Staged
    from muslbackend.musl.releases import Architecture
    from muslbackend.musl.tags import Target
    from muslbackend.policy.findings import Finding
    from muslbackend.repair.options import Settings
    from muslbackend.repair.outcome import Outcome
    from muslbackend.repair.verify import Opener
    from muslbackend.system.paths import Place
    from muslbackend.wheel.name import WheelName


class Job(NamedTuple):
    """A wheel to build for musl."""

    project: Path
    target: Target
    settings: Settings
    config: Mapping[str, object]
    """scikit-build-core's ``-C`` keys."""
    pyproject: Mapping[str, Any]
    output: Path
    """Folder for the wheel, or for its metadata."""
    metadata: Path | None = None
    """A ``.dist-info`` folder prepared earlier, which the wheel must agree with."""


def build_wheel(job: Job) -> Outcome:
    """Build, judge, bundle, prove and write one wheel; return the outcome.

    Raises :class:`PolicyError` if the promise cannot be kept and the target is strict; the output
    folder is then unchanged.
    """
    progress = Progress()
    progress.enter("build")
    order = order_for(job.target, job.settings, job.project, job.output)
    order = order._replace(progress=progress)
    native, arch = job.target.native, job.target.arch
    toolchain, emulation = (None, None) if native else _cross(job, order.sysroot)
    if job.settings.verify:
        order = order._replace(opener=_opener(arch, toolchain, emulation))
    outcomes: list[Outcome] = []

    # Only cross builds write notes.
    noting = nullcontext(_nothing) if native else _noting(job)
    with noting as notes, skbuild.machine_of(job.target):
        table = _table(job)
        call = plan_invocation(job.target, job.config, table, os.environ, toolchain)

        def finished(staged: Staged) -> WheelName:
            _agree(staged, job.metadata)
            _refuse_unanswered(notes())
            material = Material(staged.name, staged.members, _generator(staged.backend))
            with Line(sys.stderr) as line:
                line.show(progress, "muslbackend: ", str(staged.name))
                made = finish(material, after_build(order, staged.build_dir))
            known = (*made.verdict.findings, *_about_the_build(staged))
            verdict = made.verdict._replace(findings=known)
            made = made._replace(verdict=verdict, remarks=_remarks(notes()))
            outcomes.append(made._replace(seconds=progress.seconds()))
            return made.name

        if toolchain is not None:
            skbuild.log(toolchain.description)
        with _environment({**call.environment, **(emulation.environment if emulation else {})}):
            build_dir = build_dir_setting(call.config, table, os.environ)
            cmake = table.get("wheel", {}).get("cmake", True)
            with paths.blamed(_places(job, build_dir, toolchain), cmake=bool(cmake)):
                skbuild.build(call.config, finished, keeps_no_build_dir=build_dir is None)
    return outcomes[-1]


def _places(job: Job, build_dir: tuple[str, str] | None, made: Toolchain | None) -> list[Place]:
    cache = str(made.cache) if made else None
    return paths.of_build(job.project, build_dir, gettempdir(), sys.prefix, cache)


class Foreseen(NamedTuple):
    """The call and the toolchain of a build."""

    call: Invocation
    toolchain: Toolchain | None
    """``None`` for a native build."""


def foresee(job: Job) -> Foreseen:
    """Return the call and the toolchain of a build without running or writing anything.

    Raises :class:`MuslBackendError` for errors that occur before scikit-build-core is called.
    """
    order = order_for(job.target, job.settings, job.project, job.output)
    native = job.target.native
    toolchain, emulation = (None, None) if native else _cross(job, order.sysroot, make=False)
    if job.settings.verify:
        _opener(job.target.arch, toolchain, emulation)
    with skbuild.machine_of(job.target):
        call = plan_invocation(job.target, job.config, _table(job), os.environ, toolchain)
        return Foreseen(call, toolchain)


def prepare_metadata(job: Job) -> str:
    """Write the wheel's ``.dist-info`` folder, and return its name (PEP 517).

    The tag and the floor in ``WHEEL`` may still change: they depend on the files.
    """
    from muslbackend.build.cross.toolchain import PLATFORM_VARIABLE

    changes = {} if job.target.native else {PLATFORM_VARIABLE: f"linux-{job.target.arch.name}"}
    with skbuild.machine_of(job.target), _environment(changes):
        prepare = "prepare_metadata_for_build_wheel"
        name = str(skbuild.call(prepare, str(job.output), dict(job.config)))
    file = job.output / name / "WHEEL"
    said = made_by(file.read_bytes(), _generator(skbuild.version()), job.target.declared)
    file.write_bytes(said)
    return name


def _table(job: Job) -> Mapping[str, Any]:
    """Return ``[tool.scikit-build]`` with the ``build-dir`` after its overrides."""
    table: Mapping[str, Any] = job.pyproject.get("tool", {}).get("scikit-build", {})
    if not table.get("overrides"):
        return table
    return {**table, "build-dir": skbuild.decided(job.pyproject, job.config).build_dir}


def _generator(backend: str) -> str:
    return f"muslbackend {__version__} ({backend})"


def _opener(arch: Architecture, toolchain: Toolchain | None, emulation: Emulation | None) -> Opener:
    """Return the opener for the files of the wheel: this interpreter for a native build."""
    from muslbackend.build.cross.emulation import find_emulation
    from muslbackend.repair.libraries import own_loader

    if toolchain is None or emulation is None:
        return opener_for(find_emulation(arch, own_loader(Path(sys.executable))), None)
    if toolchain.compiler is None:
        raise SettingsError(
            "verify takes a C compiler for the target, and only the toolchain file knows one",
            hint="name the compiler with CC instead of a toolchain file, or leave out verify",
        )
    return opener_for(emulation, toolchain.compiler)


def _cross(job: Job, sysroot: Path | None, *, make: bool = True) -> tuple[Toolchain, Emulation]:
    """Return the toolchain of a cross build, and the means to run programs of the target."""
    from muslbackend.build.cross.toolchain import cross_toolchain
    from muslbackend.system.cache import cache_folder, plainly_named

    cache = cache_folder()
    root = plainly_named(sysroot, cache) if sysroot is not None and make else sysroot
    toolchain = cross_toolchain(job.target.arch, _choice(job, root), cache, make=make)
    return toolchain, _emulation(job, root)


def _choice(job: Job, sysroot: Path | None) -> Choice:
    """Return the choice of the toolchain; raise :class:`SettingsError` for a missing file."""
    from muslbackend.build.cross.toolchain import Choice

    named = named_toolchain(job.settings.toolchain_file, job.config, os.environ)
    if named is None:
        return Choice(sysroot)
    place, name = named
    file = (job.project / name).resolve()
    if not file.is_file():
        hint = "give the path of one, absolute or relative to the project"
        raise SettingsError(f"{place} = {name}: there is no file {file}", hint=hint)
    return Choice(sysroot, file)


def _nothing() -> Sequence[Note]:
    return ()


@contextmanager
def _noting(job: Job) -> Iterator[Callable[[], Sequence[Note]]]:
    """Collect notes of the compiler wrappers and CMake; on a failure, report its cause.

    The context is a function that returns the notes so far.
    """
    from muslbackend.build.cross.notes import failure, parse_notes, said
    from muslbackend.build.cross.wrapper import NOTES_VARIABLE
    from muslbackend.system.folders import temporary_folder

    with temporary_folder() as folder:
        file = Path(folder) / "notes"
        file.touch()

        def notes() -> Sequence[Note]:
            return parse_notes(file.read_text(encoding="utf-8", errors="replace"))

        try:
            with _environment({NOTES_VARIABLE: str(file)}):
                yield notes
        except SystemExit as error:  # by scikit-build-core, which has printed its message
            texts = skbuild.cmake_texts(job.project)
            raise failure(notes(), said(job.config, os.environ), texts) or error from None


def _refuse_unanswered(notes: Sequence[Note]) -> None:
    """Raise an error for programs that could not be run: CMake continued without their answer."""
    if notes:
        from muslbackend.build.cross.notes import unanswered

        idle = unanswered(notes)
        if idle is not None:
            raise idle


def _remarks(notes: Sequence[Note]) -> tuple[str, ...]:
    if not notes:
        return ()
    from muslbackend.build.cross.notes import remarks

    return remarks(notes)


def _emulation(job: Job, sysroot: Path | None) -> Emulation:
    """Return the means to run programs of the target on this machine."""
    from muslbackend.build.cross.emulation import find_emulation, read_loader

    arch, named = job.target.arch, job.settings.loader
    given = None if named is None else read_loader(job.project, named, arch)
    return find_emulation(arch, given, sysroot)


def _about_the_build(staged: Staged) -> Iterator[Finding]:
    cache = staged.build_dir / "CMakeCache.txt" if staged.build_dir else None
    if cache is not None and cache.is_file():
        text = cache.read_text(encoding="utf-8", errors="replace")
        if "OpenMP_" in text:
            from muslbackend.build.cmake_cache import without_openmp

            yield from without_openmp(text)


def _agree(staged: Staged, metadata: Path | None) -> None:
    """Check that the wheel has the metadata that were prepared for it (PEP 517).

    The tag and the floor in ``WHEEL`` may differ: they depend on the files. The wheel may have more
    files, such as those that CMake installs into ``SKBUILD_METADATA_DIR``.
    """
    if metadata is None:
        return
    folder = staged.name.dist_info
    now = {m.path.removeprefix(folder): m for m in staged.members if m.path.startswith(folder)}
    files = (path for path in metadata.rglob("*") if path.is_file())
    before = {path.relative_to(metadata).as_posix(): path.read_bytes() for path in files}
    for name in sorted({"METADATA", "entry_points.txt", *before} - {"RECORD"}):
        same = said_alike if name == "WHEEL" else operator.eq
        if not same(now[name].read() if name in now else b"", before.get(name, b"")):
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


def opener_for(emulation: Emulation, compiler: Path | None) -> Opener:
    """Return the opener; raise :class:`ToolError` if no loader for the target runs here."""
    from muslbackend.repair.verify import Opener

    through = Path(emulation.qemu or "").name
    return Opener(emulation.start, emulation.musl(), through, compiler)
