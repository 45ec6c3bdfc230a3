"""A real terminal that programs are run on: a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds after which a program is taken to hang.
_PATIENCE: Final = 120
#: Makes the terminal that is its stdin the one whose keys send it signals, then becomes a program.
_START: Final = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
_COLOUR: Final = re.compile(r"\x1b\[[\d;]*m")
_PART: Final = re.compile(r"\r|\n|\x1b\[K|[^\r\n\x1b]")


def pair(columns: int) -> tuple[int, int]:
    """Return the two ends of a new terminal: the user's and the program's."""
    user, program = os.openpty()
    termios.tcsetwinsize(program, (24, columns))
    return user, program


def screen(written: str, columns: int) -> str:
    """Return the lines that stand on the screen, without what was overwritten or erased."""
    lines, column = [""], 0
    written = _COLOUR.sub("", written)
    assert "".join(_PART.findall(written)) == written, "a sequence that is not known here"
    for part in _PART.findall(written):
        if part == "\r":
            column = 0
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif part == "\n" or column == columns:
            lines.append("")
            column = 0
        if part not in ("\r", "\n", "\x1b[K"):
            line = lines[-1].ljust(column)
            lines[-1] = line[:column] + part + line[column + 1 :]
            column += 1
    return "\n".join(lines)


class Session:
    """One program on a terminal."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str] | None = None, columns: int = 100
    ) -> None:
        self._columns = columns
        self._user, program = pair(columns)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *command],
            stdin=program,
            stdout=program,
            stderr=program,
            env={**os.environ, "TERM": "xterm", **(environ or {})},
            start_new_session=True,
        )
        os.close(program)
        self.written = ""
        """All that came from the program."""

    def until(self, text: str) -> None:
        """Read until the program has written ``text``."""
        while text not in self.written:
            assert self._read(), f"it never wrote {text!r}: {self.written!r}"

    def press_ctrl_c(self) -> None:
        """Press the keys that interrupt what runs in the foreground."""
        os.write(self._user, b"\x03")

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        os.close(self._user)
        return self._process.wait(_PATIENCE)

    @property
    def screen(self) -> str:
        """What stands on the screen now."""
        return screen(self.written, self._columns)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._user], [], [], _PATIENCE)
        assert ready, f"it hangs after {self.written!r}"
        try:
            data = os.read(self._user, 4096)
        except OSError:  # EIO: nobody writes any more
            return False
        self.written += data.decode()
        return bool(data)
