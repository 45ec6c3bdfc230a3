"""Commands in which one call of the C library fails, or before which the process is ended.

`faults/faults.c` stands between Python and the C library, `faults/run.py` runs a command once for
each of its calls that are about files below some folders, or that start a program.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support.tools.debian import cached

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE: Final = Path(__file__).with_name("faults") / "faults.c"
RUN: Final = SOURCE.with_name("run.py")
#: What a disk, a kernel or an administrator answers.
ERRNOS: Final = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EMFILE)
KILL, TERM, INT = -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT
#: Imported before any fault: none is in the reading of modules.
IMPORTS: Final = """\
import concurrent.futures.thread, hashlib, json, packaging.tags, shutil, tempfile, tomllib
import scikit_build_core.build, scikit_build_core.build.wheel, scikit_build_core.builder.builder
import muslbackend.build.hooks
import muslbackend.build.pipeline
import muslbackend.cli.main
import muslbackend.cli.check
import muslbackend.cli.repair
import muslbackend.elf.edit
import muslbackend.elf.relr
import muslbackend.policy.check
import muslbackend.repair.finish
import muslbackend.repair.inventory
import muslbackend.repair.licenses
import muslbackend.repair.package_db
import muslbackend.repair.patch
import muslbackend.repair.repair
import muslbackend.repair.sbom
import muslbackend.repair.second_reader
import muslbackend.report.build
import muslbackend.report.check
import muslbackend.system.progress
import muslbackend.system.signals
import muslbackend.system.folders
import muslbackend.wheel.packer
import muslbackend.wheel.zip.reader
import muslbackend.wheel.zip.splicing
"""


@dataclass(frozen=True)
class Ran:
    """What came of one run."""

    at: int
    """Number of the call; 0: none failed."""
    kind: int
    """An errno, or minus a signal."""
    call: str
    """The call, and the path that it is about."""
    calls: int
    """All that there were."""
    status: int
    """Exit code, or minus the signal that ended it."""
    output: str
    """What it printed."""
    left: Mapping[str, Mapping[str, str]]
    """What lies in each fresh folder then: digests by path."""

    def __str__(self) -> str:
        what = f"signal {-self.kind}" if self.kind < 0 else errno.errorcode.get(self.kind, "none")
        return f"{what} at {self.call!r}: status {self.status}, {self.output!r}"

    @property
    def removes(self) -> bool:
        """Whether what fails is the removal of something, which begins with opening its folder."""
        _, name, *path = self.call.split(maxsplit=2)
        is_folder = bool(path) and Path(path[0]).name.startswith("muslbackend-")
        return name in ("unlink", "unlinkat", "rmdir", "fdopendir") or (
            name == "open" and is_folder
        )


@dataclass(frozen=True)
class Command:
    """What is run, and about which folders."""

    program: str
    """Python."""
    fresh: tuple[Path, ...]
    """Folders that are emptied before each run; temporary files go to the first."""
    given: tuple[Path, ...] = ()
    """What it reads."""
    before: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What lies in fresh folders before each run: texts by folder and name."""


def shim(cache: Path) -> Path:
    """Return the library that stands between, compiled now or in an earlier run."""

    def fill(folder: Path) -> None:
        compiler = shutil.which("gcc")
        assert compiler, "these tests need gcc"
        command: list[str | Path] = [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-Werror",
            SOURCE,
        ]
        subprocess.run([*command, "-o", folder / "faults.so", "-ldl"], check=True)

    digest = f"{hash_of(SOURCE)}"
    return cached(cache / f"faults-{digest}", fill) / "faults.so"


def hash_of(file: Path) -> str:
    """Return a short digest of a file."""

    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def runs(command: Command, kinds: tuple[int, ...], cache: Path, every: int = 1) -> Iterator[Ran]:
    """Yield the run without a fault, then one for each call and kind, or for each so many calls."""
    job: dict[str, Any] = {
        "program": command.program,
        "imports": IMPORTS,
        "watch": [str(path) for path in (*command.fresh, *command.given)],
        "fresh": [str(path) for path in command.fresh],
        "before": command.before,
        "kinds": kinds,
        "every": every,
    }
    environ = {
        **os.environ,
        "LD_PRELOAD": str(shim(cache)),
        "TMPDIR": str(command.fresh[0]),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    for folder in command.fresh:
        folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(RUN), json.dumps(job)]
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Ran(**json.loads(line))
    assert process.returncode == 0
