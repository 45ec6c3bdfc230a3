"""Run commands of a build that import the built modules under a musl Python of the target.

In a cross build ``Python_EXECUTABLE`` is a script. While CMake configures, it runs the host's
Python. In the build and install steps it also adds an import hook: a module that was compiled for
the target makes the same command start again under the target's Python. Generators that import
nothing of the target (Cython, numpy.f2py) stay with the host's Python and its packages.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.build.cross.notes import IMPORT
from muslbackend.build.cross.wrapper import NOTES_VARIABLE, fill
from muslbackend.errors import SettingsError
from muslbackend.repair.interpreter import named_loader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from muslbackend.build.cross.emulation import Emulation
    from muslbackend.build.cross.python import HostPython
    from muslbackend.musl.releases import Architecture

#: Names the host's Python for the script.
HOST_VARIABLE: Final = "_MUSLBACKEND_PYTHON"
#: The command of the target's Python, one word per line.
TARGET_VARIABLE: Final = "_MUSLBACKEND_TARGET_PYTHON"
#: Is set while CMake configures.
CONFIGURING_VARIABLE: Final = "_MUSLBACKEND_CONFIGURING"
#: Is set under the target's Python: the folders of the host's packages, one per line.
_PACKAGES_VARIABLE: Final = "_MUSLBACKEND_HOST_PACKAGES"
#: Settings of ``emulate-python``.
AUTO: Final = "auto"
NEVER: Final = ""
#: Seconds within which a Python must answer; QEMU takes a few.
_PATIENCE: Final = 60
_QUESTION: Final = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"


class Wanted(NamedTuple):
    """The properties that a Python of the target must have."""

    version: str
    """``X.Y``"""
    soabi: str
    """``cpython-311-x86_64-linux-musl``"""
    arch: Architecture


def script_files(host: HostPython, arch: Architecture) -> dict[str, str]:
    """Return the text files of the script and the import hook, by their path in the toolchain."""
    parts = {
        "host": HOST_VARIABLE,
        "target": TARGET_VARIABLE,
        "configuring": CONFIGURING_VARIABLE,
        "packages": _PACKAGES_VARIABLE,
        "notes": NOTES_VARIABLE,
        "note": IMPORT,
        "suffix": f".{host.soabi}-{arch.multiarch}.so",
        "machine": repr((arch.bits // 32, 1 if arch.byteorder == "little" else 2, arch.machine)),
        "order": arch.byteorder,
    }
    return {"bin/python": fill(_SCRIPT, parts), "hook/sitecustomize.py": fill(_HOOK, parts)}


def find_target_python(
    setting: str, wanted: Wanted, sysroot: Path | None, emulation: Emulation
) -> tuple[str, ...]:
    """Return the command of a Python for the target; empty if there is none.

    ``setting`` is ``emulate-python``: a path, or :data:`AUTO` for one on PATH or in the sysroot.
    Raises :class:`SettingsError` for a path that is not a Python with the wanted properties.
    """
    if setting != AUTO:
        return _given(setting, wanted)
    commands = _on_path(wanted) if sysroot is None else _in_sysroot(sysroot, wanted, emulation)
    return next((words for words in commands if _soabi(words) == wanted.soabi), ())


def _given(setting: str, wanted: Wanted) -> tuple[str, ...]:
    words = (str(Path(setting).absolute()),)
    soabi = _soabi(words)
    if soabi != wanted.soabi:
        fact = "does not run" if soabi is None else f"is for {soabi}"
        raise SettingsError(
            f"emulate-python = {setting}: this Python {fact}",
            hint=f"give a CPython {wanted.version} for musl on {wanted.arch.name}, or false",
        )
    return words


def _soabi(words: Sequence[str]) -> str | None:
    """Return the ``SOABI`` of a Python, ``None`` if it does not run."""
    try:
        done = subprocess.run(
            [*words, "-c", _QUESTION],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _on_path(wanted: Wanted) -> Iterator[tuple[str, ...]]:
    """Yield the Pythons on PATH that name musl's loader."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        program = Path(folder).absolute() / f"python{wanted.version}"
        if wanted.arch.loader_name in (named_loader(program) or ""):
            yield (str(program),)


def _in_sysroot(root: Path, wanted: Wanted, emulation: Emulation) -> Iterator[tuple[str, ...]]:
    """Yield the Python in a sysroot, started by musl's loader, if this machine runs it."""
    program = root / f"usr/bin/python{wanted.version}"
    if program.is_file() and emulation.loader is not None and emulation.qemu is not None:
        yield ("/usr/bin/env", f"PYTHONHOME={root}/usr", *emulation.start, str(program))


_SCRIPT: Final = """\
#!/bin/sh
# The host's Python; commands that import modules of the target start again under the target's.
if [ -z "${@configuring@-}" ] && [ -n "${@target@+set}" ]; then
  PYTHONPATH=$(dirname "$0")/../hook${PYTHONPATH:+:$PYTHONPATH}
  export PYTHONPATH
fi
exec "${@host@:?is not set: run this through muslbackend}" "$@"
"""

_HOOK: Final = '''\
import os, sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Finder:
    """Start the command again under the target's Python for a module of the target."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        last = name.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            for suffix in ("@suffix@", ".abi3.so", ".so"):
                file = os.path.join(folder or os.curdir, last + suffix)
                if os.path.isfile(file) and is_for_target(file):
                    start(name, file)
        return None


def is_for_target(file):
    with open(file, "rb") as stream:
        head = stream.read(20)
        machine = int.from_bytes(head[18:], "@order@")
        if head[:4] != b"\\x7fELF" or (head[4], head[5], machine) != @machine@:
            return False
        return file.endswith("@suffix@") or b"libc.so.6" not in stream.read()


def start(name, file):
    words = os.environ["@target@"].split("\\n")
    if words == [""]:
        if os.environ.get("@notes@"):
            with open(os.environ["@notes@"], "a") as notes:
                notes.write("@note@\\t%s\\t%s\\n" % (name, os.getcwd()))
        raise ImportError("muslbackend: %s is for musl, and no Python for musl is set" % file)
    environ = dict(os.environ)
    for variable in ("_PYTHON_HOST_PLATFORM", "_PYTHON_SYSCONFIGDATA_NAME", "LD_PRELOAD"):
        environ.pop(variable, None)
    environ["@packages@"] = "\\n".join(
        folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(words[0], [*words, *sys.orig_argv[1:]], environ)


def run_others():
    """Run the sitecustomize that this one hides, such as that of pip's build isolation."""
    import importlib.machinery, importlib.util

    others = [folder for folder in sys.path if os.path.abspath(folder) != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec and spec.loader:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if "@packages@" in os.environ:
    sys.path += os.environ["@packages@"].split("\\n")
else:
    sys.meta_path.insert(0, Finder)
    run_others()
'''
