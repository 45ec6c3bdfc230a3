"""Runs scikit-build-core and hands over what it would have put into the wheel.

The only module that knows scikit-build-core. While its ``build_wheel`` runs, its wheel writer is
replaced by one that notes down the list of files and calls us back before anything is zipped;
the build folder is still there at that moment. Where that seam is not found (a release we do not
know), the public hook is called instead and its wheel is read back.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from muslbackend.errors import MuslBackendError

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Collection, Iterator, Mapping

    from packaging.tags import Tag

    from muslbackend.musl.tags import Target
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.name import WheelName

# Most hooks only ask for scikit-build-core's: what building takes is imported when it comes to it.


class Staged(NamedTuple):
    """A wheel that is ready but not written."""

    name: WheelName
    members: tuple[Member, ...]
    """In the order of the archive, without RECORD."""
    build_dir: Path | None
    """CMake's build folder, while it exists; libraries that were not installed lie there."""
    backend: str
    """``scikit-build-core X.Y.Z``"""


def call(name: str, *args: object) -> Any:  # noqa: ANN401 - theirs
    """Call scikit-build-core's own hook of that name and return what it returns.

    Raises :class:`MuslBackendError` if it offers none for this project.
    """
    backend = import_module("scikit_build_core.build")
    if name not in backend.__all__:
        msg = f"scikit-build-core offers no {name} for this project"
        raise MuslBackendError(msg, hint="call build_wheel instead")
    return getattr(backend, name)(*args)


def hook_names() -> frozenset[str]:
    """Return the names of the hooks that scikit-build-core offers for this project."""
    return frozenset(import_module("scikit_build_core.build").__all__)


def log(text: str) -> None:
    """Print one line among those of scikit-build-core and CMake."""
    from muslbackend.report import terminal  # where musl is asked for

    terminal.tell(f"muslbackend: {text}", flush=True)


def cmake_texts(project: Path) -> dict[str, str]:
    """Return the texts that tell CMake of a project what to do, by their paths below it."""
    names = ("pyproject.toml", "**/CMakeLists.txt", "**/*.cmake")
    found = (path for name in names for path in project.glob(name))
    return {
        path.relative_to(project).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in found
        if path.is_file()
    }


class Decided(NamedTuple):
    """What scikit-build-core decided for a project: pyproject.toml with overrides and the rest."""

    cmake: bool = True
    """It runs CMake for a wheel (``wheel.cmake``)."""
    build_dir: str = ""
    """``build-dir`` with its placeholders; empty for a temporary one."""


def decided(pyproject: Mapping[str, Any], config: Mapping[str, object]) -> Decided:
    """Return its settings for a wheel; the defaults where its reader is none that we know.

    Mistakes in the settings are for its own hooks to tell.
    """
    try:
        reader = import_module("scikit_build_core.settings.skbuild_read_settings").SettingsReader
        settings = reader(dict(pyproject), dict(config), state="wheel").settings
        return Decided(bool(settings.wheel.cmake), str(settings.build_dir))
    except (ImportError, AttributeError, TypeError):
        return Decided()


class Program(NamedTuple):
    """What it builds with."""

    name: str
    path: str = ""
    """Empty if it is not there."""
    version: str = ""
    works: bool = True
    """It told its release, if it was asked."""


def programs() -> Iterator[Program]:
    """Yield the ``cmake``, ``ninja`` and ``make`` that it would take here."""
    for name in ("cmake", "ninja", "make"):
        try:
            search = import_module("scikit_build_core.program_search")
            found = list(getattr(search, f"get_{name}_programs")())
        except (ImportError, AttributeError, TypeError):  # a release that we do not know
            from shutil import which

            yield Program(name, which(name) or "")
            continue
        told = [each for each in found if getattr(each, "version", None)]
        best = next(iter([*told, *found]), None)
        version = str(getattr(best, "version", None) or "")
        path = str(getattr(best, "path", best) or "")
        yield Program(name, path, version, bool(version) or name == "make")


def requires(pyproject: Mapping[str, Any], config: Mapping[str, object]) -> tuple[str, ...]:
    """Return what it asks a frontend for, to build a wheel of the project in the current folder.

    Raises :class:`MuslBackendError` where it does not get so far, or ends by its settings later,
    whatever the reason.
    """
    try:
        asked = tuple(call("get_requires_for_build_wheel", dict(config)))
        with suppress(ImportError, AttributeError, TypeError):  # a release that we do not know
            module = import_module("scikit_build_core.settings.skbuild_read_settings")
            reader = module.SettingsReader(dict(pyproject), dict(config), state="wheel")
            reader.validate_may_exit()
    except (Exception, SystemExit) as error:
        reason = "" if isinstance(error, SystemExit) else f": {error}"
        msg = f"scikit-build-core does not say what it takes to build this project{reason}"
        raise MuslBackendError(msg, hint="mend what it complains of") from error
    return asked


@contextmanager
def machine_of(target: Target) -> Iterator[None]:
    """Have overrides (``if.platform-machine``) look at the machine that the wheel is for."""
    module = import_module("scikit_build_core.settings.skbuild_overrides")
    before = getattr(module, "platform", None)
    # A release that asks another way: its overrides look at this machine.
    if target.native or before is None:
        yield
        return
    module.platform = _Elsewhere(before, target.arch.name)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.platform = before  # type: ignore[attr-defined]


class _Elsewhere:
    """The module ``platform``, on another machine."""

    def __init__(self, platform: Any, name: str) -> None:  # noqa: ANN401 - a module
        self._platform, self._name = platform, name

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the module's
        return getattr(self._platform, name)

    def machine(self) -> str:
        return self._name


def build(
    config: Mapping[str, object],
    finish: Callable[[Staged], WheelName],
    *,
    keeps_no_build_dir: bool,
) -> str:
    """Build the project in the current folder; return the name of the wheel ``finish`` wrote.

    ``config`` is scikit-build-core's share of the ``-C`` keys; ``keeps_no_build_dir`` says that
    nothing sets its ``build-dir``. Its own errors (``SystemExit`` among them) pass through;
    nothing is written to any output folder here.
    """
    from muslbackend.system.folders import temporary_folder

    base = _writer_class()
    with temporary_folder() as folder:
        if base is not None:
            with _seam(base, finish):
                return str(call("build_wheel", folder, dict(config), None))
        from muslbackend.report import terminal

        terminal.say(
            f"muslbackend: {version()} shows no list of files that we know; its wheel is read back"
        )
        from muslbackend.wheel.member import Scratch
        from muslbackend.wheel.reader import unpack

        # Its build folder must outlive the call: libraries to bundle may lie there.
        build_dir = Path(folder) / "build"
        kept = {"build-dir": str(build_dir)} if keeps_no_build_dir else {}
        name = call("build_wheel", folder, {**config, **kept}, None)
        with Scratch() as scratch:
            own = unpack(Path(folder) / name, scratch)
            build_dir_kept = build_dir if kept else None
            return str(finish(Staged(own.name, own.members, build_dir_kept, version())))


def version() -> str:
    """Return ``scikit-build-core X.Y.Z``, as ``WHEEL`` files name it."""
    return f"scikit-build-core {import_module('scikit_build_core').__version__}"


def _writer_class() -> type[Any] | None:
    """Return scikit-build-core's wheel writer if it has the shape the seam was made for."""
    import inspect

    module = import_module("scikit_build_core.build.wheel")
    base = getattr(module, "WheelWriter", None)
    methods = ("__enter__", "__exit__", "build", "timestamp", "write", "writestr")
    if not all(callable(getattr(base, m, None)) for m in methods):
        return None
    known = "wheel_dirs" in inspect.signature(base.build).parameters  # type: ignore[union-attr]
    return base if known and hasattr(base, "dist_info") else None


@contextmanager
def _seam(base: type[Any], finish: Callable[[Staged], WheelName]) -> Iterator[None]:
    """Put our writer in place of scikit-build-core's, and note CMake's build folder."""
    wheel_module = import_module("scikit_build_core.build.wheel")
    builder = import_module("scikit_build_core.builder.builder").Builder
    build_dirs: list[Path] = []
    install = builder.install

    def noting_install(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - theirs
        build_dirs.append(Path(self.config.build_dir))
        return install(self, *args, **kwargs)

    wheel_module.WheelWriter = _plan_writer(base, finish, build_dirs)  # type: ignore[attr-defined]
    builder.install = noting_install
    try:
        yield
    finally:
        wheel_module.WheelWriter = base  # type: ignore[attr-defined]
        builder.install = install


def _plan_writer(
    base: type[Any], finish: Callable[[Staged], WheelName], build_dirs: list[Path]
) -> type[Any]:
    """Return a wheel writer that writes nothing and calls ``finish`` with what it was given."""
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.member_names import name_for
    from muslbackend.wheel.name import WheelName

    class PlanWriter(base):  # type: ignore[misc]
        """Notes members down in the order in which they are written."""

        tags: Collection[Tag]

        def __enter__(self) -> PlanWriter:
            self.timestamp()  # tells of a SOURCE_DATE_EPOCH that is none, in its own words
            self.noted: list[Member] = []
            return self

        def write(self, filename: str, arcname: str | None = None) -> None:
            source = Path(filename).resolve()
            executable = bool(source.stat().st_mode & 0o100)
            path = name_for((arcname or filename).replace("\\", "/"))
            self.noted.append(Member(path, source, executable))

        def writestr(self, zinfo_or_arcname: str | zipfile.ZipInfo, data: bytes) -> None:
            path = getattr(zinfo_or_arcname, "filename", zinfo_or_arcname)
            self.noted.append(Member(name_for(str(path).replace("\\", "/")), data))

        def __exit__(self, *exc: object) -> None:
            if exc and exc[0] is not None:
                return
            distribution = self.dist_info.removesuffix(".dist-info")
            name = WheelName(
                distribution,
                self.wheel_metadata.build_tag,
                frozenset(self.tags),
                getattr(self, "variant_label", ""),
            )
            build_dir = next((d for d in reversed(build_dirs) if d.is_dir()), None)
            final = finish(Staged(name, tuple(self.noted), build_dir, version()))
            # What scikit-build-core reports and returns is the name it would have given.
            self.tags = final.tags

    return PlanWriter
