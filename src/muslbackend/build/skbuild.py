"""Run scikit-build-core, and hand on the files that it would put into the wheel.

This is the only module that depends on scikit-build-core. While its ``build_wheel`` runs, its wheel
writer is replaced by one that records the list of files and calls back before an archive is
written, while the build folder still exists. In an unknown release without that writer, the public
hook is called instead and its wheel is read.

- scikit-build-core compares the prepared ``WHEEL`` byte for byte with its own, so it never gets
  ``metadata_directory``; :mod:`pipeline` compares the parts that must not differ.
- It archives Python files from the source tree (since 1.1.1): never edit a member in place.
- It raises ``SystemExit`` for its own errors, which are passed on.
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


class Staged(NamedTuple):
    """A complete wheel that is not written yet."""

    name: WheelName
    members: tuple[Member, ...]
    """In the order of the archive, without RECORD."""
    build_dir: Path | None
    """CMake's build folder, while it exists; it contains libraries that were not installed."""
    backend: str
    """``scikit-build-core X.Y.Z``"""


def call(name: str, *args: object) -> Any:  # noqa: ANN401 - theirs
    """Call a hook of scikit-build-core and return its result.

    Raises :class:`MuslBackendError` if the hook does not exist for this project.
    """
    backend = import_module("scikit_build_core.build")
    if name not in backend.__all__:
        msg = f"scikit-build-core offers no {name} for this project"
        raise MuslBackendError(msg, hint="call build_wheel instead")
    try:
        return getattr(backend, name)(*args)
    except Exception as error:
        fact = _fact(error)
        if fact is not None:  # above the traceback, which frontends print
            log(f"error: pyproject.toml: {fact} (PEP 621)")
        raise


def _fact(error: BaseException) -> str | None:
    """Return the fact about pyproject.toml that an error of scikit-build-core states, if any.

    It passes on those of pyproject-metadata, with a traceback.
    """
    if isinstance(error, ExceptionGroup):
        facts = [_fact(each) for each in error.exceptions]
        return "; ".join(filter(None, facts)) if all(facts) else None
    if isinstance(error, KeyError) and error.args == ("project",):
        return "there is no [project] table, which names the project and its version"
    return str(error) if type(error).__name__ == "ConfigurationError" else None


def hook_names() -> frozenset[str]:
    """Return the names of the hooks that scikit-build-core offers for this project."""
    return frozenset(import_module("scikit_build_core.build").__all__)


def log(text: str) -> None:
    """Print one line in the log of the build."""
    from muslbackend.report import terminal  # slow to import; most hooks print nothing

    terminal.tell(f"muslbackend: {text}", flush=True)


class BackendSettings(NamedTuple):
    """Settings of scikit-build-core for a project, after overrides."""

    cmake: bool = True
    """Whether CMake runs for a wheel (``wheel.cmake``)."""
    build_dir: str = ""
    """``build-dir`` with its placeholders; empty for a temporary one."""


def backend_settings(pyproject: Mapping[str, Any], config: Mapping[str, object]) -> BackendSettings:
    """Return scikit-build-core's settings for a wheel; the defaults if its reader is unknown.

    Errors in the settings are reported by its own hooks.
    """
    try:
        reader = import_module("scikit_build_core.settings.skbuild_read_settings").SettingsReader
        settings = reader(dict(pyproject), dict(config), state="wheel").settings
        return BackendSettings(bool(settings.wheel.cmake), str(settings.build_dir))
    except (ImportError, AttributeError, TypeError):
        return BackendSettings()


class Program(NamedTuple):
    """A build program."""

    name: str
    path: str = ""
    """Empty if it is missing."""
    version: str = ""
    works: bool = True
    """Whether it printed its version, if that was requested."""


def programs() -> Iterator[Program]:
    """Yield the ``cmake``, ``ninja`` and ``make`` that scikit-build-core would use here."""
    for name in ("cmake", "ninja", "make"):
        try:
            search = import_module("scikit_build_core.program_search")
            found = list(getattr(search, f"get_{name}_programs")())
        except (ImportError, AttributeError, TypeError):  # an unknown release
            from shutil import which

            yield Program(name, which(name) or "")
            continue
        versioned = [each for each in found if getattr(each, "version", None)]
        best = next(iter([*versioned, *found]), None)
        version = str(getattr(best, "version", None) or "")
        path = str(getattr(best, "path", best) or "")
        yield Program(name, path, version, bool(version) or name == "make")


def requires(pyproject: Mapping[str, Any], config: Mapping[str, object]) -> tuple[str, ...]:
    """Return scikit-build-core's requirements for the project in the current folder.

    Raises :class:`MuslBackendError` if it fails, or if its settings are not valid.
    """
    try:
        asked = tuple(call("get_requires_for_build_wheel", dict(config)))
        with suppress(ImportError, AttributeError, TypeError):  # an unknown release
            module = import_module("scikit_build_core.settings.skbuild_read_settings")
            reader = module.SettingsReader(dict(pyproject), dict(config), state="wheel")
            reader.validate_may_exit()
    except (Exception, SystemExit) as error:
        reason = "" if isinstance(error, SystemExit) else f": {error}"
        msg = f"scikit-build-core cannot list the requirements of this project{reason}"
        raise MuslBackendError(msg, hint="fix the error that it reports") from error
    return asked


@contextmanager
def machine_of(target: Target) -> Iterator[None]:
    """Make overrides (``if.platform-machine``) use the machine of the target."""
    module = import_module("scikit_build_core.settings.skbuild_overrides")
    before = getattr(module, "platform", None)
    # In unknown releases, overrides use this machine.
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
    """Build the project in the current folder; return the name of the wheel that ``finish`` wrote.

    ``config`` has scikit-build-core's ``-C`` keys; ``keeps_no_build_dir`` means that no setting
    names a ``build-dir``. Errors of scikit-build-core (such as ``SystemExit``) are passed on. No
    output folder is changed here.
    """
    from muslbackend.system.folders import temporary_folder

    base = _writer_class()
    with temporary_folder() as folder:
        if base is not None:
            with _replaced_writer(base, finish):
                return str(call("build_wheel", folder, dict(config), None))
        from muslbackend.report import terminal

        terminal.say(
            f"muslbackend: {version()} has an unknown wheel writer; reading its finished wheel"
        )
        from muslbackend.wheel.member import Scratch
        from muslbackend.wheel.reader import unpack

        # The build folder must outlive the call: it may contain libraries to bundle.
        build_dir = Path(folder) / "build"
        kept = {"build-dir": str(build_dir)} if keeps_no_build_dir else {}
        name = call("build_wheel", folder, {**config, **kept}, None)
        with Scratch() as scratch:
            own = unpack(Path(folder) / name, scratch)
            build_dir_kept = build_dir if kept else None
            return str(finish(Staged(own.name, own.members, build_dir_kept, version())))


def version() -> str:
    """Return ``scikit-build-core X.Y.Z``, the generator in ``WHEEL`` files."""
    return f"scikit-build-core {import_module('scikit_build_core').__version__}"


def _writer_class() -> type[Any] | None:
    """Return scikit-build-core's wheel writer if it has the expected methods."""
    import inspect

    module = import_module("scikit_build_core.build.wheel")
    base = getattr(module, "WheelWriter", None)
    methods = ("__enter__", "__exit__", "build", "timestamp", "write", "writestr")
    if not all(callable(getattr(base, m, None)) for m in methods):
        return None
    known = "wheel_dirs" in inspect.signature(base.build).parameters  # type: ignore[union-attr]
    return base if known and hasattr(base, "dist_info") else None


@contextmanager
def _replaced_writer(base: type[Any], finish: Callable[[Staged], WheelName]) -> Iterator[None]:
    """Replace scikit-build-core's writer, and record CMake's build folder."""
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
    """Return a wheel writer that writes nothing and calls ``finish`` with the list of files."""
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.member_names import name_for
    from muslbackend.wheel.name import WheelName

    class PlanWriter(base):  # type: ignore[misc]
        """Record members in the order in which they are written."""

        tags: Collection[Tag]

        def __enter__(self) -> PlanWriter:
            self.timestamp()  # reports an invalid SOURCE_DATE_EPOCH
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
            # scikit-build-core reports and returns the name with these tags.
            self.tags = final.tags

    return PlanWriter
