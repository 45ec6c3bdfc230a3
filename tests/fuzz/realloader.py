"""musl's real loaders, which open thousands of files, each in a child process (opener.c)."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from support.loaders.loaders import EMULATOR, loader
from support.loaders.machines import MACHINES
from support.tools.debian import FixtureError, cached, compile_c

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPENER: Final = Path(__file__).with_name("opener.c")
#: Milliseconds of processor time for each file: on this machine, and in QEMU.
_TIME: Final = {False: 400, True: 3000}
#: Stages of opener.c. The first is dlopen, before its constructors or in them.
_STAGES: Final = ("constructors", "dlsym", "pthread_create", "exit")
_PLACES: Final = {
    "l": "in the loader",
    "o": "in its code",
    "d": "in its data",
    "m": "in the program",
    "n": "outside of all code",
    "k": "nobody knows where",
    "-": "nowhere",
}


class Opened(NamedTuple):
    """The fate of a file: one line of opener.c, which describes the fields."""

    end: str
    stage: int
    phase: str
    pc: str
    returns: str
    calls: str
    signal: int
    init: str
    text: str

    @classmethod
    def of(cls, line: str) -> Opened:
        """Read a line."""
        if not line.endswith("\n"):
            raise FixtureError(f"opener.c: ended with {line!r}; see tests/fuzz/opener.c")
        end, stage, phase, pc, returns, calls, number, init, text = line[:-1].split(" ", 8)
        return cls(end, int(stage), phase, pc, returns, calls, int(number), init, text)

    @property
    def loads(self) -> bool:
        """Whether dlopen, a thread after it and the end of the process went well."""
        return self.end == "l"

    @property
    def importable(self) -> bool:
        """Whether it loads, and the function that ``import`` calls is found, and is code."""
        return self.loads and self.init == "o"

    def __str__(self) -> str:
        if self.loads:
            return "loads" if self.importable else f"loads, its PyInit is {_PLACES[self.init]}"
        if self.end == "r":
            return "refuses"
        stage = "relocating" if self.phase == "1" else _STAGES[self.stage]
        how = {"x": "exit", "t": "no end"}.get(self.end, f"signal {self.signal}")
        caller = f", called {_PLACES[self.returns]}" if self.pc in "nd" else ""
        return f"{how} at {stage}, {_PLACES[self.pc]}{caller}"


class Loader:
    """The loader of one release, for one machine."""

    def __init__(self, arch: str, release: str, folder: Path, cache: Path) -> None:
        machine, real = MACHINES[arch], loader(release, cache, arch)
        qemu = bool(machine.qemu)
        words = [str(real.parent.parent / EMULATOR)] if qemu else []
        words += [str(real), str(opener(arch, cache)), str(folder), str(_TIME[qemu])]
        self._process = subprocess.Popen(
            [*words, str(int(not qemu))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={},
        )

    def ask(self, paths: Sequence[Path], *, threads: bool, hidden: bool = False) -> None:
        """Have files opened; with ``threads``, a thread is started after each.

        With ``hidden``, it is found out as well where :func:`anatomy.hidden` tags lead.
        """
        assert self._process.stdin is not None
        lines = [f"{threads + 2 * hidden}{path}\n" for path in paths]
        self._process.stdin.write("".join(lines))
        self._process.stdin.flush()

    def answers(self, count: int) -> list[Opened]:
        """Return what became of the files that were asked for."""
        assert self._process.stdout is not None
        return [Opened.of(self._process.stdout.readline()) for _ in range(count)]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def opener(arch: str, cache: Path) -> Path:
    """Return the program, compiled for a machine."""
    source = _OPENER.read_bytes()
    digest = hashlib.sha256(source).hexdigest()[:16]

    def fill(folder: Path) -> None:
        (folder / _OPENER.name).write_bytes(source)
        words = ["-dynamic", _OPENER.name]
        compile_c(folder / "opener", words, cache, MACHINES[arch].triple)

    return cached(cache.absolute() / f"fuzz-opener-{arch}-{digest}", fill) / "opener"
