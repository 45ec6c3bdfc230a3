"""The projects of scikit-build-core's own tests, and their hooks called as frontends do.

Each project is named by its folder below ``tests/packages``. Upstream's tests put other files in
the place of some ``pyproject.toml``; those are projects of their own, named FOLDER/FILE.toml.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pyproject_hooks import BuildBackendHookCaller, HookMissing

from support.projects.building import PROJECT
from support.projects.pypackages import CYTHON, NUMPY, PYBIND11, environment, installed
from support.projects.skbuild import MIDDLE, NEWEST, OLDEST, RELEASES, source
from support.tools.debian import Pin, cached
from support.tools.gfortran import gfortran

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

THEIRS: Final = "scikit_build_core.build"
OURS: Final = "muslbackend"

#: What a Python that has nothing else takes to import either backend.
BASE: Final = (
    Pin("packaging==26.3", "d7193f7c8e4e93f444fde0262bf90af30e16fa0ad0ad44cb553c87339b23cd1c"),
    Pin("pathspec==1.1.1", "a00ce642f577bf7f473932318056212bc4f8bfdf53128c78bbd5af0b9b20b189"),
)
_PROVIDERS: Final = (
    Pin(
        "hatch-fancy-pypi-readme==25.1.0",
        "ce0134c40d63d874ac48f48ccc678b8f3b62b8e50e9318520d2bffc752eedaf3",
    ),
    Pin(
        "setuptools-scm==10.3.4",
        "82f34c3e3084fc2b57d397200637cc13f2338004052d2fee47baa5f0e902464e",
    ),
    Pin(
        "vcs-versioning==2.6.0",
        "f8bebd1302ebc12e67ceb30fc7dd698ec969414b6fa43b30c3f14ac9b1e72c41",
    ),
    Pin("setuptools==80.9.0", "062d34222ad13e0cc312a4c02d73f059e86a4acbfbdea8f8f76b28c99f306922"),
)
#: The providers that upstream's tests make up, each a module of its own.
_MADE_UP: Final = {
    "test_version": '"0.0.2"',
    "test_readme": '{"content-type": "text/x-rst", "text": "Some text"}',
    "test_license": '{"text": "MIT License"}',
    "test_dual": '"0.3" if field == "version" else {"text": "BSD License"}',
}


_ALWAYS: Final = frozenset(
    {
        "abi3_pyproject_ext",
        "broken_fallback",
        "custom_cmake",
        "cython_pxd_editable/pkg1",
        "cython_pxd_editable/pkg2",
        "dynamic_metadata",
        "dynamic_metadata/dual_project.toml",
        "dynamic_metadata/faulty_dual_project.toml",
        "dynamic_metadata/faulty_project.toml",
        "dynamic_metadata/local_pyproject.toml",
        "dynamic_metadata/plugin_project.toml",
        "dynamic_metadata/warn_project.toml",
        "filepath_pure",
        "fortran_example",
        "navigate_editable",
        "sdist_config",
        "simple_pure",
        "simple_purelib_package",
        "simple_pyproject_ext",
        "simple_pyproject_script_with_flags",
        "simple_pyproject_source_dir",
        "simplest_c",
    }
)
_SINCE_MIDDLE: Final = _ALWAYS | {
    "cmake_defines",
    "cmake_generated",
    "dynamic_metadata/build_requires_project.toml",
    "importlib_editable",
    "pep639_pure",
}
_SINCE_NEWEST: Final = _SINCE_MIDDLE | {
    "config_settings",
    "dynamic_metadata/plugin_array_project.toml",
    "generate_include",
    "multi_build_type",
    "namespace_purelib_package",
}
#: Those that scikit_build_core.build is for; three name no backend, and fail with each.
PROJECTS: Final = {OLDEST: _ALWAYS, MIDDLE: _SINCE_MIDDLE, NEWEST: _SINCE_NEWEST}

_SETUPTOOLS: Final = dict.fromkeys(
    ("abi3_setuptools_ext", "mixed_setuptools", "simple_setuptools_ext"),
    "scikit_build_core.setuptools.build_meta",
)
_HATCHLING: Final = dict.fromkeys(("custom_cmake/extern", "hatchling"), "hatchling.build")
#: Those that name another backend: whoever has one of them does not switch by changing one line.
OTHERS: Final[dict[str, dict[str, str]]] = {
    OLDEST: _SETUPTOOLS | _HATCHLING,
    MIDDLE: _SETUPTOOLS
    | _HATCHLING
    | {"toml_setuptools_ext": "scikit_build_core.setuptools.build_meta"},
    NEWEST: _SETUPTOOLS
    | _HATCHLING
    | dict.fromkeys(
        (
            "plugin_setuptools_install_dir",
            "toml_setuptools_ext",
            "wrapper_setuptools_classic_layout",
            "wrapper_setuptools_install_dir",
            "wrapper_setuptools_install_dir_pkgdir",
        ),
        "scikit_build_core.setuptools.build_meta",
    )
    | {"namespace_sibling_package": "hatchling.build"},
}
#: The same projects with one variable of the environment changed.
CHANGED: Final = (
    "broken_fallback FAIL_NOW=1",
    "broken_fallback SKBUILD_CMAKE_DEFINE=BROKEN_CMAKE=1",
    "broken_fallback SKBUILD_CMAKE_DEFINE=BROKEN_CODE=1",
    "dynamic_metadata/build_requires_project.toml LOCAL_FOO=1",
    "simple_pyproject_script_with_flags SKBUILD_CMAKE_ARGS=",
)

#: What the last line says of those that cannot be built, by whichever backend.
FAILS: Final = {
    "broken_fallback FAIL_NOW=1": "fail setting was enabled",
    "cmake_defines": "KeyError: 'project'",
    "config_settings": "KeyError: 'project'",
    "dynamic_metadata/build_requires_project.toml": '"project.version" missing',
    "dynamic_metadata/build_requires_project.toml LOCAL_FOO=1": '"project.version" missing',
    "dynamic_metadata/faulty_dual_project.toml": "content-type",
    "dynamic_metadata/faulty_project.toml": "KeyError",
    "dynamic_metadata/warn_project.toml": "No module named 'non_existent'",
    "simple_pure": "No such file or directory: 'pyproject.toml'",
    "simple_pyproject_script_with_flags SKBUILD_CMAKE_ARGS=": "CMake build failed",
}


def cases(version: str) -> list[str]:
    """Return what is built with a release: PROJECT, or PROJECT NAME=VALUE."""
    known = PROJECTS[version]
    return sorted({*known, *(case for case in CHANGED if case.partition(" ")[0] in known)})


def projects(root: Path) -> dict[str, str | None]:
    """Return the projects below a folder and the backend that each names, by their names."""
    found: dict[str, str | None] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(folder.rglob("*.toml"))
        if not files:
            found[folder.name] = None
        for file in files:
            path = file.relative_to(root)
            name = path.parent if path.name == "pyproject.toml" else path
            table = tomllib.loads(file.read_text()).get("build-system", {})
            found[name.as_posix()] = table.get("build-backend")
    return found


def lay(version: str, case: str, folder: Path, backend: str, cache: Path) -> None:
    """Make ``folder`` a fresh copy of a case's project, whose backend is ``backend``."""
    place = source(version, cache) / "tests/packages" / case.partition(" ")[0]
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(place.parent if place.suffix else place, folder)
    toml = folder / "pyproject.toml"
    if place.suffix:
        (folder / place.name).replace(toml)
    if toml.is_file():
        moment = toml.stat()
        toml.write_text(swapped(toml.read_text(), backend))
        os.utime(toml, ns=(moment.st_atime_ns, moment.st_mtime_ns))


def swapped(toml: str, backend: str) -> str:
    """Return the text of a pyproject.toml with another backend."""
    return re.sub(r'(?m)^build-backend = ".*"$', f'build-backend = "{backend}"', toml)


def environ(version: str, case: str, cache: Path) -> dict[str, str]:
    """Return the variables that both backends get for a case, beside those of this process."""
    project, _, change = case.partition(" ")
    family = project.partition("/")[0]
    pins = [RELEASES[version].wheel, *_REQUIRED.get(family, ())]
    folders = [_FOLDERS[family](version, cache)] if family in _FOLDERS else []
    more = environment(pins, cache)
    more["PYTHONPATH"] = os.pathsep.join([*map(str, folders), more["PYTHONPATH"]])
    more |= {"SOURCE_DATE_EPOCH": "1700000000", **_VARIABLES.get(family, {})}
    if family == "fortran_example":
        more["FC"] = str(gfortran(cache))
    if family == "sdist_config":  # older releases fetch it from GitHub
        more["SKBUILD_CMAKE_DEFINE"] += f";FETCHCONTENT_SOURCE_DIR_PYBIND11={_pybind11(cache)}"
    name, _, value = change.partition("=")
    return {**more, name: value} if name else more


def _pybind11(cache: Path) -> Path:
    """Return a CMake project that is pybind11, as installed."""
    package = installed(PYBIND11["2.13.6"], cache.absolute())
    config = package / "pybind11/share/cmake/pybind11"

    def fill(folder: Path) -> None:
        (folder / "CMakeLists.txt").write_text(
            "set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)\n"
            f'find_package(pybind11 CONFIG REQUIRED NO_DEFAULT_PATH PATHS "{config}")\n'
        )

    return cached(package.with_name(f"skbuild-{package.name}"), fill)


def _made_up(_: str, cache: Path) -> Path:
    def fill(folder: Path) -> None:
        for name, value in _MADE_UP.items():
            text = f"def dynamic_metadata(field, settings=None):\n    return {value}\n"
            (folder / f"{name}.py").write_text(text)

    return cached(cache / "skbuild-providers-1", fill)


def _plugin(version: str, cache: Path) -> Path:
    """Return a folder with the package that ``custom_cmake`` needs, as if installed."""
    project = source(version, cache) / "tests/packages/custom_cmake/extern"
    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    name = table["name"]

    def fill(folder: Path) -> None:
        shutil.copytree(project / name, folder / name)
        info = folder / f"{name}-{table['version']}.dist-info"
        info.mkdir()
        identity = f"Name: {name}\nVersion: {table['version']}\n"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{identity}")
        lines: list[str] = []
        for group, entries in table["entry-points"].items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")

    return cached(cache / f"skbuild-plugin-{version}", fill)


def _first(version: str, cache: Path) -> Path:
    """Return where the second of two projects finds the first, as if installed."""
    return source(version, cache) / "tests/packages/cython_pxd_editable/pkg1/src"


_FOLDERS: Final = {
    "custom_cmake": _plugin,
    "cython_pxd_editable": _first,
    "dynamic_metadata": _made_up,
}
_REQUIRED: Final[Mapping[str, Sequence[Pin]]] = {
    "cython_pxd_editable": CYTHON[:1],
    "dynamic_metadata": _PROVIDERS,
    "fortran_example": [NUMPY],
    "simple_pyproject_ext": [PYBIND11["2.13.6"]],
    "simple_pyproject_source_dir": [PYBIND11["2.13.6"]],
}
#: C++ that is not optimised compiles in less time.
_FAST: Final = "CMAKE_CXX_FLAGS_RELEASE=-O0;CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF"
_VARIABLES: Final = {
    "dynamic_metadata": {"SETUPTOOLS_SCM_PRETEND_VERSION": "0.1.1"},
    "filepath_pure": {
        "SKBUILD_CMAKE_DEFINE": "SOME_DEFINE2=bar;SOME_DEFINE3=baz;SOME_DEFINE4=baz",
        "SKBUILD_CMAKE_ARGS": "-DSOME_ARGS1=baz",
    },
    "sdist_config": {"SKBUILD_CMAKE_DEFINE": _FAST},
    "simple_pyproject_ext": {"SKBUILD_CMAKE_DEFINE": _FAST},
    "simple_pyproject_source_dir": {"SKBUILD_CMAKE_DEFINE": _FAST},
    "simple_pyproject_script_with_flags": {"SKBUILD_CMAKE_ARGS": "-DCMAKE_C_FLAGS=-DFOO=1 -DBAR="},
}


@dataclass(frozen=True)
class Called:
    """What came of one hook."""

    status: int | None
    """``None`` where the backend has no such hook."""
    value: Any
    output: str

    @property
    def last(self) -> str:
        """The last line with words in it, without the names of temporary folders."""
        lines = [line for line in self.output.splitlines() if re.search(r"\w", line)]
        folder = re.escape(tempfile.gettempdir()) + r"/[\w-]+"
        return re.sub(folder, "TEMPORARY", lines[-1]).strip() if lines else ""


@dataclass(frozen=True)
class Frontend:
    """Calls hooks as frontends do: in processes of their own, in the project's folder."""

    project: Path
    environ: Mapping[str, str]
    python: Path | str = sys.executable
    config: Mapping[str, Any] | None = None

    def make(self, backend: str, kind: str, folder: Path, *, asks: bool = True) -> list[Called]:
        """Ask what is needed, have metadata prepared, and build; return what came of each.

        ``kind`` is "wheel", "editable" or "sdist"; what is made is in ``folder``, below
        ``metadata`` and ``out``. Like pip, stop where a hook fails and build without metadata
        where it is not offered. Without ``asks`` only build.
        """
        metadata, out = folder / "metadata", folder / "out"
        for made in (metadata, out):
            made.mkdir(parents=True)
        called = [self.call(backend, f"get_requires_for_build_{kind}")] if asks else []
        options = {}
        if asks and kind != "sdist" and not called[-1].status:
            hook = f"prepare_metadata_for_build_{kind}"
            called.append(self.call(backend, hook, metadata, _allow_fallback=False))
            given = called[-1].value
            options = {"metadata_directory": str(metadata / given)} if given else {}
        if not called or not called[-1].status:
            called.append(self.call(backend, f"build_{kind}", out, **options))
        return called

    def call(self, backend: str, hook: str, *args: object, **options: object) -> Called:
        """Call one hook of a backend."""
        done: list[subprocess.CompletedProcess[str]] = []

        def runner(
            cmd: Sequence[str],
            cwd: str | None = None,
            extra_environ: Any = None,  # noqa: ANN401
        ) -> None:
            done.append(
                subprocess.run(
                    cmd,
                    cwd=cwd,
                    env={**os.environ, **self.environ, **extra_environ},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    check=False,
                )
            )
            done[-1].check_returncode()

        caller = BuildBackendHookCaller(
            str(self.project), backend, runner=runner, python_executable=str(self.python)
        )
        try:
            value = getattr(caller, hook)(*map(str, args), config_settings=self.config, **options)
        except HookMissing:
            return Called(None, None, "")
        except subprocess.CalledProcessError:
            return Called(done[-1].returncode, None, done[-1].stdout)
        return Called(0, value, done[-1].stdout)


def musl_frontend(
    project: Path,
    environ: Mapping[str, str],
    python: Path,
    cache: Path,
    config: Mapping[str, Any] | None = None,
) -> Frontend:
    """Return a frontend whose Python is one for musl, which finds both backends by their folders.

    There is no Fortran for musl: a compiler of this machine would make a wheel for nobody.
    """
    own = str(PROJECT / "src")
    folders = [environ["PYTHONPATH"], environment(BASE, cache)["PYTHONPATH"], own]
    more = {**environ, "FC": "/no/fortran", "PYTHONPATH": os.pathsep.join(folders)}
    return Frontend(project, more, python, config)


def files(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def assert_same(theirs: Path, ours: Path) -> None:
    """Check that two wheels or sdists have every byte in common, but for the backend's name."""
    if theirs.suffix == ".whl":
        assert zip_members(ours) == zip_members(theirs)
        assert ours.read_bytes() == theirs.read_bytes()
    else:
        assert tar_members(ours, THEIRS) == tar_members(theirs, THEIRS)


#: Of every member where SOURCE_DATE_EPOCH is not set: 1667997441, to two seconds.
TIME: Final = (2022, 11, 9, 12, 37, 20)


def zip_members(wheel: Path) -> list[tuple[Any, ...]]:
    """Return the members of a wheel in their order, with all that is known of them."""
    with zipfile.ZipFile(wheel) as archive:
        return [
            (i.filename, oct(i.external_attr >> 16), i.date_time, i.create_system, archive.read(i))
            for i in archive.infolist()
        ]


def reproducible(wheel: Path, *, dated: bool) -> list[tuple[Any, ...]]:
    """Return the members of a wheel without their bytes, as ``wheel.reproducible`` makes them.

    Older releases do not know that; ``dated`` says that SOURCE_DATE_EPOCH was set.
    """
    found = []
    for name, mode, time, system, _ in zip_members(wheel):
        normal = oct(stat.S_IFREG | (0o755 if int(mode, 8) & 0o100 else 0o644))
        found.append((name, normal, time if dated else TIME, system))
    return found


def tar_members(sdist: Path, backend: str) -> list[tuple[Any, ...]]:
    """Return the members of an sdist likewise; the backend that they name is ``backend``."""
    packed = sdist.read_bytes()
    found: list[tuple[Any, ...]] = [(packed[:10],)]  # gzip's header, with its time
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            data = stream.read() if stream else b""
            if member.name.endswith("/pyproject.toml"):
                data = swapped(data.decode(), backend).encode()
            owner = (member.uid, member.gid, member.uname, member.gname)
            kept = (member.name, member.type, oct(member.mode), member.mtime, owner)
            found.append((*kept, member.linkname, data))
    return found
