"""Build a wheel for musl: prepare the machine, run scikit-build-core, finish the wheel.

:func:`build_wheel` is the whole; the functions after it are in the order of the work. The other
hooks stop earlier: :func:`prepare_metadata` builds nothing, and :func:`foresee` (for ``muslbackend
doctor``) runs nothing.
"""

from __future__ import annotations

import operator
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend import __version__
from muslbackend.build import skbuild
from muslbackend.build.invocation import build_dir_setting, plan_invocation
from muslbackend.errors import MuslBackendError
from muslbackend.policy.findings import Finding, Severity
from muslbackend.repair.finish import finish
from muslbackend.repair.request import Material, after_build, order_for
from muslbackend.system import paths
from muslbackend.system.progress import Line, Progress
from muslbackend.wheel.metadata import made_by, said_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from muslbackend.build.cross.notes import Note
    from muslbackend.build.cross.prepare import Cross
    from muslbackend.build.cross.toolchain import Toolchain
    from muslbackend.build.invocation import Invocation
    from muslbackend.build.job import Job
    from muslbackend.build.skbuild import Staged
    from muslbackend.repair.outcome import Outcome
    from muslbackend.repair.request import Order
    from muslbackend.wheel.name import WheelName

    Notes = Callable[[], Sequence[Note]]

_NO_OPENMP: Final = re.compile(r"(?m)^OpenMP_(\w+)_FLAGS:\w+=NOTFOUND$")


def build_wheel(job: Job) -> Outcome:
    """Build, judge, bundle, prove and write one wheel; return the outcome.

    Raises :class:`PolicyError` if the promise cannot be kept and the target is strict; the output
    folder is then unchanged.
    """
    progress = Progress()
    progress.enter("build")
    order, cross = _prepare(job)
    order = order._replace(progress=progress)
    outcomes: list[Outcome] = []
    with _notes(job) as notes, skbuild.machine_of(job.target):
        # scikit-build-core calls it in place of writing an archive, while the build folder exists.
        def finish_staged(staged: Staged) -> WheelName:
            _refuse_foreign(job, staged, cross)
            made = _finish(job, order, staged, notes)
            outcomes.append(made._replace(seconds=progress.seconds()))
            return made.name

        _compile(job, cross, finish_staged)
    return outcomes[-1]


def _prepare(job: Job, *, make: bool = True) -> tuple[Order, Cross | None]:
    """Return the order, and the means of a cross build (``None`` for a native one).

    Without ``make`` nothing is written.
    """
    order, cross = order_for(job.target, job.settings.repair, job.project, job.output), None
    # An ordinary native build loads nothing of cross compilation.
    if not job.target.native:
        from muslbackend.build.cross.prepare import prepare

        cross = prepare(job, order.sysroot, make=make)
    if job.settings.verify:
        from muslbackend.build.cross.prepare import opener

        order = order._replace(opener=opener(job.target.arch, cross))
    return order, cross


def _compile(job: Job, cross: Cross | None, finish_staged: Callable[[Staged], WheelName]) -> None:
    """Run scikit-build-core, which calls ``finish_staged`` with the files of the wheel."""
    table = _table(job)
    call = _invocation(job, cross, table)
    environment, cache = dict(call.environment), None
    if cross is not None:
        skbuild.log(cross.toolchain.description)
        environment |= cross.emulation.environment
        cache = str(cross.toolchain.cache)
    with _environment(environment):
        build_dir = build_dir_setting(call.config, table, os.environ)
        places = paths.of_build(job.project, build_dir, gettempdir(), sys.prefix, cache)
        with paths.blamed(places, cmake=bool(table.get("wheel", {}).get("cmake", True))):
            skbuild.build(call.config, finish_staged, keeps_no_build_dir=build_dir is None)


def _table(job: Job) -> Mapping[str, Any]:
    """Return ``[tool.scikit-build]`` with the ``build-dir`` after its overrides."""
    table: Mapping[str, Any] = job.pyproject.get("tool", {}).get("scikit-build", {})
    if not table.get("overrides"):
        return table
    return {**table, "build-dir": skbuild.backend_settings(job.pyproject, job.config).build_dir}


def _invocation(job: Job, cross: Cross | None, table: Mapping[str, Any]) -> Invocation:
    toolchain = cross.toolchain if cross else None
    return plan_invocation(job.target, job.config, table, os.environ, toolchain)


def _finish(job: Job, order: Order, staged: Staged, notes: Notes) -> Outcome:
    """Make the wheel, and add the findings and remarks about the compilation to the outcome."""
    _check_announced(staged, job.metadata)
    _refuse_unanswered(notes())
    material = Material(staged.name, staged.members, _generator(staged.backend))
    with Line(sys.stderr) as line:
        line.show(order.progress, "muslbackend: ", str(staged.name))
        made = finish(material, after_build(order, staged.build_dir))
    findings = (*made.verdict.findings, *_openmp_findings(staged.build_dir))
    verdict = made.verdict._replace(findings=findings)
    return made._replace(verdict=verdict, remarks=_remarks(notes()))


def _generator(backend: str) -> str:
    return f"muslbackend {__version__} ({backend})"


def _check_announced(staged: Staged, metadata: Path | None) -> None:
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
            msg = f"{name} differs from the one of prepare_metadata_for_build_wheel"
            raise MuslBackendError(msg, hint="do not change the project between the two hooks")


def _refuse_unanswered(notes: Sequence[Note]) -> None:
    """Raise an error for programs that could not be run: CMake continued without their answer."""
    if notes:
        from muslbackend.build.cross.notes import unanswered

        error = unanswered(notes)
        if error is not None:
            raise error


def _refuse_foreign(job: Job, staged: Staged, cross: Cross | None) -> None:
    """Raise an error if a cross build called a compiler for glibc.

    Natively, or with a toolchain file of the user, its compiler is not known.
    """
    if cross is not None and cross.toolchain.compiler_version is not None:
        from muslbackend.build.foreign_objects import refuse_foreign_objects

        options = job.settings.repair
        folders = [*filter(None, [staged.build_dir]), job.project]
        aside = (*options.ignore, *options.keep_in_place)
        refuse_foreign_objects(staged.members, folders, aside, cross.toolchain.compiler_version)


def _remarks(notes: Sequence[Note]) -> tuple[str, ...]:
    if not notes:
        return ()
    from muslbackend.build.cross.notes import remarks

    return remarks(notes)


def _openmp_findings(build_dir: Path | None) -> Iterator[Finding]:
    """Yield a warning if CMake searched for OpenMP and did not find it, according to its cache."""
    cache = build_dir / "CMakeCache.txt" if build_dir else None
    if cache is not None and cache.is_file():
        yield from without_openmp(cache.read_text(encoding="utf-8", errors="replace"))


def without_openmp(cache: str) -> Iterator[Finding]:
    """Yield a warning if, according to ``CMakeCache.txt``, OpenMP was searched for and not found.

    A project for which OpenMP is optional builds without it, and CMake prints a single line.
    """
    languages = _NO_OPENMP.findall(cache)
    if languages:
        yield Finding(
            "MB136",
            Severity.WARNING,
            "CMakeLists.txt",
            f"find_package(OpenMP) found no OpenMP for {' and '.join(languages)}: "
            "parallel code runs in one thread",
            hint="build with a compiler that has OpenMP, such as Alpine's gcc; zig has none",
        )


@contextmanager
def _notes(job: Job) -> Iterator[Notes]:
    """Collect notes of the compiler wrappers and CMake; on a failure, report its cause.

    The context is a function that returns the notes so far. Only cross builds write notes.
    """
    if job.target.native:
        yield tuple
        return
    from muslbackend.build.cross.causes import cause
    from muslbackend.build.cross.notes import failure, parse_notes, user_flags
    from muslbackend.build.cross.wrapper import NOTES_VARIABLE
    from muslbackend.system.folders import temporary_folder
    from muslbackend.system.recording import recorded

    with temporary_folder() as folder, recorded() as output:
        file = Path(folder) / "notes"
        file.touch()

        def notes() -> Sequence[Note]:
            return parse_notes(file.read_text(encoding="utf-8", errors="replace"))

        try:
            with _environment({NOTES_VARIABLE: str(file)}):
                yield notes
        except SystemExit as error:  # by scikit-build-core, which has printed its message
            flags = user_flags(job.config, os.environ)
            noted = failure(notes(), flags, _cmake_texts(job.project))
            raise noted or cause(output(), str(job.project)) or error from None


def _cmake_texts(project: Path) -> dict[str, str]:
    """Return the CMake files and pyproject.toml of a project, by path."""
    names = ("pyproject.toml", "**/CMakeLists.txt", "**/*.cmake")
    found = (path for name in names for path in project.glob(name))
    return {
        path.relative_to(project).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in found
        if path.is_file()
    }


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change environment variables within the context."""
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
    generator = _generator(skbuild.version())
    file.write_bytes(made_by(file.read_bytes(), generator, job.target.declared))
    return name


class Foreseen(NamedTuple):
    """The call and the toolchain of a build."""

    call: Invocation
    toolchain: Toolchain | None
    """``None`` for a native build."""


def foresee(job: Job) -> Foreseen:
    """Return the call and the toolchain of a build without running or writing anything.

    Raises :class:`MuslBackendError` for errors that occur before scikit-build-core is called.
    """
    _, cross = _prepare(job, make=False)
    with skbuild.machine_of(job.target):
        call = _invocation(job, cross, _table(job))
        return Foreseen(call, cross.toolchain if cross else None)
