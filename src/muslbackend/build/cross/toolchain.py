"""The toolchain of a cross build: compiler wrappers for CMake, and a Python for the target.

One folder contains the wrappers, the toolchain file and the target Python. Its name is a digest of
its contents, and it is written once. zig is found through an environment variable at run time, so
that a build folder remains valid when the isolated environment with zig is removed.

CMake ignores a toolchain file in a build folder that was configured before; cross builds therefore
get a build folder of their own (:mod:`muslbackend.build.invocation`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.cross.cmake import (
    PACKAGES_VARIABLE,
    PREFIXES_VARIABLE,
    TOOLCHAIN_VARIABLE,
    ToolchainTarget,
    cmake_text,
)
from muslbackend.build.cross.compilers import Compilers, find_compilers
from muslbackend.build.cross.emulation import emulate_script
from muslbackend.build.cross.python import (
    header_folder,
    library_file,
    link_headers,
    read_host_python,
    sysconfigdata_name,
    target_python_files,
)
from muslbackend.build.cross.target_python import HOST_VARIABLE, Wanted, script_files
from muslbackend.build.cross.wrapper import BINUTILS, SYSROOT_VARIABLE
from muslbackend.build.cross.zig import kept_library, library_place
from muslbackend.system.cache import cache_folder, once, user_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from muslbackend.build.cross.python import HostPython
    from muslbackend.musl.releases import Architecture


#: The platform for sysconfig and scikit-build-core.
PLATFORM_VARIABLE: Final = "_PYTHON_HOST_PLATFORM"


class Toolchain(NamedTuple):
    """The toolchain of a cross build."""

    cmake_file: Path
    environment: Mapping[str, str]
    """Environment variables to set while scikit-build-core runs."""
    description: str
    """The compiler, for the log."""
    key: str
    """An identifier: toolchains with different keys have separate build folders."""
    python: Wanted
    """The properties of a Python for the target."""
    compiler: Path | None = None
    """The C compiler; ``None`` if only the user's toolchain file names it."""
    compiler_version: str | None = None
    """The answer of the user's C compiler to ``--version``, empty for zig, ``None`` if unknown."""

    @property
    def cache(self) -> Path:
        """The folder that contains it and other toolchains."""
        return self.cmake_file.parents[2]


class Choice(NamedTuple):
    """The user's choices."""

    sysroot: Path | None = None
    """The folder of the target's libraries and headers; musl itself comes with the compiler."""
    file: Path | None = None
    """A CMake toolchain file that names the compilers."""


NO_CHOICE = Choice()


def cross_toolchain(
    arch: Architecture,
    choice: Choice = NO_CHOICE,
    cache: Path | None = None,
    *,
    make: bool = True,
) -> Toolchain:
    """Return the toolchain for ``arch``, and create it in the user's cache if necessary.

    Without ``make`` nothing is written. The compilers are those of the user's toolchain file, those
    in ``CC`` and ``CXX`` if they target musl on ``arch``, or zig. Raises :class:`ToolError` if zig
    is required and is missing or lacks the target, and if the host's Python headers are missing.
    """
    compilers = (
        find_compilers(arch, os.environ) if choice.file is None else _users_file(choice.file)
    )
    host = read_host_python()
    cache = cache or cache_folder()
    root = _root(arch, compilers, host, cache)
    if make:
        once(root, cache, lambda new: _fill(new, _files(arch, compilers, host, root), host))
    soabi = f"{host.soabi}-{arch.multiarch}"
    environment = {
        **compilers.environment,
        **_for_programs(root, compilers, os.environ),
        # A preliminary platform tag for scikit-build-core.
        PLATFORM_VARIABLE: f"linux-{arch.name}",
        "SETUPTOOLS_EXT_SUFFIX": f".{soabi}.so",
        HOST_VARIABLE: sys.executable,
        # ccache checks the compiler's modification time; the wrapper's does not depend on zig.
        "CCACHE_COMPILERCHECK": os.environ.get("CCACHE_COMPILERCHECK", "content"),
    }
    if compilers.zig is not None:
        kept = kept_library if make else library_place
        library = os.environ.get("ZIG_LIB_DIR") or kept(compilers.zig, cache)
        environment |= {"ZIG_LIB_DIR": str(library)} if library else {}
        environment |= _zig_cache(cache)
    if choice.sysroot is not None:
        environment[SYSROOT_VARIABLE] = str(choice.sysroot)
        # The wrapper adds the sysroot's headers, which ccache's direct mode does not see: make it
        # compare preprocessed sources.
        environment["CCACHE_NODIRECT"] = "1"
    packages = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    environment[PACKAGES_VARIABLE] = ";".join(packages)
    environment[PREFIXES_VARIABLE] = ";".join(_own_prefixes(packages))
    words = f"{compilers.description} compiles for musl on {arch.name}"
    if compilers.passed_over:
        words = f"{words}; {compilers.passed_over}"
    key = hashlib.sha256(repr((root.name, choice)).encode()).hexdigest()[:8]
    compiler = root / "bin/cc" if "cc" in compilers.programs else None
    python = Wanted(host.version, soabi, arch)
    file = root / "toolchain.cmake"
    return Toolchain(file, environment, words, key, python, compiler, compilers.version)


def _own_prefixes(packages: Sequence[str]) -> list[str]:
    """Return the prefixes of isolated environments, from their ``site-packages`` folders.

    The prefixes of Python itself and of the user contain packages of the machine.
    """
    prefixes = [str(Path(folder).parents[2]) for folder in packages if len(Path(folder).parts) > 3]
    machine = {"/", "/usr", "/usr/local", sys.base_prefix, site.getuserbase()}
    return [prefix for prefix in dict.fromkeys(prefixes) if prefix not in machine]


#: The variables in which Makefiles and configure scripts look for the programs of the toolchain.
_PROGRAM_VARIABLES: Final = {
    "CC": "cc",
    "CXX": "c++",
    **{tool.upper(): tool for tool in ("ar", "ranlib", "strip", *BINUTILS)},
}

#: Compilers for programs that run during the build, in the order of preference.
_FOR_BUILD: Final = {
    "CC_FOR_BUILD": ("cc", "gcc", "clang"),
    "CXX_FOR_BUILD": ("c++", "g++", "clang++"),
}


def _for_programs(
    root: Path, compilers: Compilers, environ: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the variables for programs that CMake starts: CMake itself, make, configure.

    Without them scikit-build-core sets ``CC`` and ``CXX`` to the compilers of this machine, for
    external projects too. ``CC_FOR_BUILD`` names a compiler for this machine.
    """
    programs = {
        name: str(root / "bin" / program)
        for name, program in _PROGRAM_VARIABLES.items()
        if program in compilers.programs
    }
    own = {
        name: found
        for name, names in _FOR_BUILD.items()
        if (found := environ.get(name) or next(filter(shutil.which, names), None))
    }
    files = {
        "CMAKE_TOOLCHAIN_FILE": str(root / "toolchain.cmake"),
        # A list; later files override earlier ones.
        "CONFIG_SITE": f"{root}/config.site {environ.get('CONFIG_SITE', '')}".strip(),
    }
    return {**own, **files, **programs}


def _config_site(arch: Architecture) -> str:
    """Return the file that tells configure scripts of Autoconf for which machine they compile."""
    return (
        'if test -z "$host_alias"; then\n'
        f"  host_alias={arch.multiarch}\n"
        "  cross_compiling=yes\n"
        "fi\n"
    )


def _zig_cache(cache: Path) -> dict[str, str]:
    """Return the variable for zig's cache, if zig cannot derive it from HOME."""
    if os.environ.get("ZIG_GLOBAL_CACHE_DIR") or user_cache() is not None:
        return {}
    return {"ZIG_GLOBAL_CACHE_DIR": str(cache / "zig-global")}


def _users_file(file: Path) -> Compilers:
    return Compilers(str(file), {}, {TOOLCHAIN_VARIABLE: str(file)}, version=None)


def _root(arch: Architecture, compilers: Compilers, host: HostPython, cache: Path) -> Path:
    """Return the folder of the toolchain; concurrent builds may create it at the same time."""
    # The contents include the name of the folder: hash them with a placeholder.
    key = repr((arch, host, _files(arch, compilers, host, Path("/"))))
    return cache / "cross" / f"{arch.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _fill(folder: Path, files: Mapping[str, str], host: HostPython) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        if text.startswith("#!"):
            path.chmod(0o755)
    (folder / "root").mkdir()
    link_headers(host, folder / header_folder(host))


def _files(
    arch: Architecture, compilers: Compilers, host: HostPython, root: Path
) -> dict[str, str]:
    files = {f"bin/{name}": text for name, text in compilers.programs.items()}
    files["bin/emulate"] = emulate_script(arch)
    files["config.site"] = _config_site(arch)
    files |= target_python_files(host, arch, root)
    files |= script_files(host, arch)
    target = ToolchainTarget(
        root=root,
        processor=arch.name,
        soabi=f"{host.soabi}-{arch.multiarch}",
        sysconfigdata=sysconfigdata_name(host, arch),
        headers=header_folder(host),
        library=library_file(host),
        pointer=arch.bits // 8,
        programs=compilers.programs,
        zig=compilers.zig is not None,
        roots=compilers.roots,
    )
    files["toolchain.cmake"] = cmake_text(target)
    return files
