"""Translate the notes of wrappers and CMake into messages for the user.

A note is a line of a file: an event, its subject and the folder, separated by tabs. The output of
compiler wrappers disappears in CMake's log, and a failing check of CMake is not an error; the
meaning of the notes is therefore determined when the build has ended.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: A flag that the linker does not support and that was removed.
DROPPED: Final = "dropped"
#: A flag that the compiler or the linker refused.
REFUSED: Final = "refused"
#: A language without a compiler.
LANGUAGE: Final = "language"
#: A program for the target that could not be run.
NOT_RUN: Final = "not-run"

#: A module for the target that a command of the build imports.
IMPORT: Final = "import"
#: NumPy's headers, for a machine with pointers of another size.
NUMPY: Final = "numpy"

_KINDS: Final = frozenset({DROPPED, REFUSED, LANGUAGE, NOT_RUN, NUMPY, IMPORT})

#: Environment variables that contain flags.
_FLAGS: Final = (
    *("CFLAGS", "CPPFLAGS", "CXXFLAGS", "ASMFLAGS", "LDFLAGS"),
    *("CMAKE_ARGS", "SKBUILD_CMAKE_ARGS", "SKBUILD_CMAKE_DEFINE"),
)
#: Folders of CMake's checks: try_compile, check_language, compiler identification. Those of
#: configure scripts end in AUTOCONF_FOLDER of :mod:`wrapper`.
_TRIAL: Final = re.compile(
    r"/CMakeFiles/(CMakeTmp|CMakeScratch|Check[A-Z]\w*|[\d.]+/CompilerId\w+)(/|$)|/conftest$"
)


class Note(NamedTuple):
    """One event."""

    kind: str
    subject: str
    folder: str
    """The current folder of the program that wrote the note."""

    @property
    def trial(self) -> bool:
        """Whether a check of CMake caused the event."""
        return _TRIAL.search(self.folder) is not None


def parse_notes(text: str) -> tuple[Note, ...]:
    """Return the notes of a file, each once, in order; other lines are ignored."""
    # A path may contain a tab, or a line break, after which the line is not a note.
    rows = (line.split("\t", 2) for line in text.split("\n"))
    notes = (Note(*row, *[""] * (3 - len(row))) for row in rows if row[0] in _KINDS and row[1:])
    return tuple(dict.fromkeys(notes))


def remarks(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return lines of the report about a successful build."""
    dropped = dict.fromkeys(note.subject for note in notes if note.kind == DROPPED)
    if not dropped:
        return ()
    flags = ", ".join(dropped)
    return (
        f"  left out  flags that zig does not support and that do not change the result: {flags}",
    )


def user_flags(config: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the user's flags outside the project, by their origin."""
    options = {f"-C {key}": str(value) for key, value in config.items()}
    return options | {name: environ[name] for name in _FLAGS if environ.get(name)}


def failure(
    notes: Iterable[Note], flags: Mapping[str, str], files: Mapping[str, str]
) -> ToolError | None:
    """Return the reason why a build failed, ``None`` if no note explains it.

    The origin of a refused flag is searched in the user's flags (see :func:`user_flags`) and in the
    project's ``files``, texts by path.
    """
    notes = list(notes)
    languages = [note.subject for note in notes if note.kind == LANGUAGE and not note.trial]
    if languages:
        return _no_compiler(languages[0])
    not_run = unanswered(notes)
    if not_run is not None:
        return not_run
    if any(note.kind == NUMPY for note in notes):
        return ToolError(
            "the project uses the headers of this machine's NumPy, which are wrong for a target of "
            "32 bits: npy_int64 would have 4 bytes",
            hint="name an Alpine root that has py3-numpy-dev with musl.sysroot, and its headers in "
            "the project; or build on Alpine for that machine",
        )
    refused = [note for note in notes if note.kind == REFUSED]
    # Checks of CMake may fail; if nothing else failed, it was the check of the compiler itself.
    names = [note.subject for note in refused if not note.trial]
    names = list(dict.fromkeys(names or [note.subject for note in refused]))
    origins = [(name, origin(name, flags, files)) for name in names]
    if all(note.trial for note in refused):
        origins = [(name, place) for name, place in origins if place in flags]
    return _refused(origins) if origins else None


def unanswered(notes: Iterable[Note]) -> ToolError | None:
    """Return the error for programs that could not be run, so that their answers are unknown."""
    notes = list(notes)
    modules = dict.fromkeys(note.subject for note in notes if note.kind == IMPORT)
    if modules:
        return _not_imported(list(modules))
    programs = dict.fromkeys(
        note.subject.rpartition("/")[2] for note in notes if note.kind == NOT_RUN
    )
    if not programs:
        return None
    names = ", ".join(programs)
    return ToolError(
        f"the build runs programs of the target, which this machine cannot run: {names}",
        hint="install QEMU (Debian: qemu-user, Alpine: qemu-ARCH) and musl's loader for the target "
        "(Debian: musl:ARCH), or name the loader with musl.loader or musl.sysroot; or set the "
        "result of a try_run: -C cmake.define.NAME=VALUE",
    )


def _not_imported(modules: Sequence[str]) -> ToolError:
    return ToolError(
        f"the build imports modules that it compiled for musl: {', '.join(modules)}",
        hint="name a CPython for musl on the target, of this X.Y, with musl.emulate-python; or "
        "set it to false, which leaves out files that such commands make (type stubs, for example)",
    )


def _no_compiler(language: str) -> ToolError:
    if language == "CXX":
        return ToolError(
            "the project requires a C++ compiler, but CC names only a C compiler",
            hint="set CXX too, or unset CC: zig compiles both",
        )
    needed = (
        "a rustc with the target ARCH-unknown-linux-musl (rustup target add), and "
        "-C cmake.define.Rust_CARGO_TARGET=ARCH-unknown-linux-musl"
        if language == "Rust"
        else f"a {language} compiler for musl, and a CMake toolchain file that sets "
        f"CMAKE_{language}_COMPILER (musl.toolchain-file)"
    )
    return ToolError(
        f"the project contains {language}, which zig does not compile",
        hint=f"use {needed}; or turn that part off, if the project has an option for it",
    )


def _refused(origins: Sequence[tuple[str, str]]) -> ToolError:
    flags = "; ".join(f"{flag} ({place})" if place else flag for flag, place in origins)
    return ToolError(
        "the build passes a flag that zig does not support, or that targets the build machine: "
        f"{flags}",
        hint="omit it if CMAKE_CROSSCOMPILING is set; or choose a compiler that supports it: CC "
        "and CXX, or musl.toolchain-file",
    )


def origin(flag: str, flags: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Return the origin of a flag: a key of ``flags``, or ``file:line``; empty if unknown.

    A flag with a value is searched without it: CMake may have joined the two.
    """
    name = flag.partition(" ")[2] or (flag if flag.startswith("-m") else flag.partition("=")[0])
    for place in sorted(flags):
        if name in flags[place]:
            return place
    return next(_lines_with(name, files), "")


def _lines_with(name: str, files: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(files):
        for number, line in enumerate(files[path].splitlines(), start=1):
            if name in line.partition("#")[0]:
                yield f"{path}:{number}"
