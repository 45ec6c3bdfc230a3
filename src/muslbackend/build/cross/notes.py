"""What wrappers and CMake noted down during a build → words for the user.

A note is a line of a file: what happened, to what, and in which folder, with tabs between them. The
file is there because those who write it are programs that CMake runs, and what they print drowns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: A flag that the linker does not know and that was left out.
DROPPED: Final = "dropped"
#: A flag that the compiler or the linker refused.
REFUSED: Final = "refused"
#: A language that there is no compiler for.
LANGUAGE: Final = "language"
#: A program for the target that could not be run.
NOT_RUN: Final = "not-run"

_KINDS: Final = frozenset({DROPPED, REFUSED, LANGUAGE, NOT_RUN})

#: Variables of the environment that flags come from.
_FLAGS: Final = (
    *("CFLAGS", "CPPFLAGS", "CXXFLAGS", "ASMFLAGS", "LDFLAGS"),
    *("CMAKE_ARGS", "SKBUILD_CMAKE_ARGS", "SKBUILD_CMAKE_DEFINE"),
)
#: Where CMake tries things out: try_compile, check_language, and which compiler it has.
_TRIAL: Final = re.compile(
    r"/CMakeFiles/(CMakeTmp|CMakeScratch|Check[A-Z]\w*|[\d.]+/CompilerId\w+)(/|$)"
)


class Note(NamedTuple):
    """One thing that happened."""

    kind: str
    subject: str
    folder: str
    """The current folder of who wrote it."""

    @property
    def trial(self) -> bool:
        """CMake was trying out whether something works."""
        return _TRIAL.search(self.folder) is not None


def parse_notes(text: str) -> tuple[Note, ...]:
    """Return the notes of a file, each once, in order; lines that are none are passed over."""
    # A path may have a tab in it, and a line break, after which it is no note.
    rows = (line.split("\t", 2) for line in text.split("\n"))
    notes = (Note(*row, *[""] * (3 - len(row))) for row in rows if row[0] in _KINDS and row[1:])
    return tuple(dict.fromkeys(notes))


def remarks(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return what is to be said of a build that succeeded, in lines of the report."""
    dropped = dict.fromkeys(note.subject for note in notes if note.kind == DROPPED)
    if not dropped:
        return ()
    flags = ", ".join(dropped)
    return (f"  left out  flags that zig does not know and that change nothing: {flags}",)


def said(config: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the user said beside the project, by the place where it was said."""
    options = {f"-C {key}": str(value) for key, value in config.items()}
    return options | {name: environ[name] for name in _FLAGS if environ.get(name)}


def failure(
    notes: Iterable[Note], said: Mapping[str, str], files: Mapping[str, str]
) -> ToolError | None:
    """Return the reason why a build failed, ``None`` if no note tells.

    A refused flag is looked for in what the user said, see :func:`said`, and in the project's
    ``files``, texts by path.
    """
    notes = list(notes)
    languages = [note.subject for note in notes if note.kind == LANGUAGE and not note.trial]
    if languages:
        return _no_compiler(languages[0])
    idle = unanswered(notes)
    if idle is not None:
        return idle
    refused = [note for note in notes if note.kind == REFUSED]
    # CMake's trials may fail; but if nothing else did, it was the trial of the compiler itself.
    flags = [note.subject for note in refused if not note.trial]
    flags = list(dict.fromkeys(flags or [n.subject for n in refused]))
    placed = [(flag, origin(flag, said, files)) for flag in flags]
    if all(note.trial for note in refused):
        placed = [(flag, place) for flag, place in placed if place in said]
    return _refused(placed) if placed else None


def unanswered(notes: Iterable[Note]) -> ToolError | None:
    """Return the error of programs that could not be run: what they would have told is unknown."""
    programs = dict.fromkeys(
        note.subject.rpartition("/")[2] for note in notes if note.kind == NOT_RUN
    )
    if not programs:
        return None
    names = ", ".join(programs)
    return ToolError(
        f"the build runs what it compiled for the target, which cannot be done here: {names}",
        hint="install QEMU (Debian: qemu-user, Alpine: qemu-ARCH) and musl's loader for the target "
        "(Debian: musl:ARCH), or name it with musl.loader or musl.sysroot; what a try_run is to "
        "answer can be said instead: -C cmake.define.NAME=VALUE",
    )


def _no_compiler(language: str) -> ToolError:
    if language == "CXX":
        return ToolError(
            "the project is written in C++ too, and CC names a compiler for C alone",
            hint="set CXX as well, or unset CC: zig compiles both",
        )
    needed = (
        "a rustc with the target ARCH-unknown-linux-musl (rustup target add), and "
        "-C cmake.define.Rust_CARGO_TARGET=ARCH-unknown-linux-musl"
        if language == "Rust"
        else f"a {language} compiler for musl, and a CMake toolchain file that sets "
        f"CMAKE_{language}_COMPILER (musl.toolchain-file)"
    )
    return ToolError(
        f"the project is written in {language} too, which zig does not compile",
        hint=f"it takes {needed}; or leave that part out, if the project has an option for it",
    )


def _refused(placed: Sequence[tuple[str, str]]) -> ToolError:
    flags = "; ".join(f"{flag} ({place})" if place else flag for flag, place in placed)
    return ToolError(
        f"the build gives a flag that zig does not know, or that means this machine: {flags}",
        hint="leave it out where CMAKE_CROSSCOMPILING is set; or take a compiler that knows it: CC "
        "and CXX, or musl.toolchain-file",
    )


def origin(flag: str, said: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Return where a flag is said: a place of ``said``, or ``file:line``; empty if nowhere.

    A flag with a value is looked for without it: CMake may have put the two together.
    """
    name = flag.partition(" ")[2] or (flag if flag.startswith("-m") else flag.partition("=")[0])
    for place in sorted(said):
        if name in said[place]:
            return place
    return next(_lines_with(name, files), "")


def _lines_with(name: str, files: Mapping[str, str]) -> Iterator[str]:
    for path in sorted(files):
        for number, line in enumerate(files[path].splitlines(), start=1):
            if name in line.partition("#")[0]:
                yield f"{path}:{number}"
