"""Commands with little memory: one line, exit code 3, and nothing is left behind."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from support.projects.building import assert_record_is_true
from support.wheels import wheels
from support.wheels.builders import zig_library

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
SAID: Final = (
    "muslbackend: error: out of memory\n"
    "  hint  raise the memory limit, or work on a smaller wheel\n"
)
#: An extension of many bytes, all of which are read.
SOURCE: Final = "char much[24 << 20] = {1};\nint PyInit__core(void) { return 0; }\n"
#: Address space in MiB, from the size that Python starts with to a sufficient one.
AMOUNTS: Final = range(24, 184, 16)
#: Seconds; a lost thread would make the command hang.
PATIENCE: Final = 120.0


@pytest.mark.parametrize("command", [["check"], ["repair", "-o", "out"]], ids=["check", "repair"])
def test_running_out_of_memory_is_one_line(command: list[str], tmp_path: Path) -> None:
    core = zig_library("x86_64", source=SOURCE)
    noise = random.Random(1).randbytes(8_000_000)  # noqa: S311
    wheels.write(tmp_path / FILE, {"demo/_core.so": core, "demo/noise.bin": noise})
    (tmp_path / "tmp").mkdir()
    ended = []
    for amount in AMOUNTS:
        size = amount << 20
        # More memory is not always enough where less was: threads reserve it in any order.
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "muslbackend", *command, FILE],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
            preexec_fn=lambda size=size: resource.setrlimit(  # type: ignore[misc]
                resource.RLIMIT_AS, (size, size)
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if b"muslbackend" not in done.stderr.encode() and done.returncode == 1:
            continue  # Python itself did not start
        ended.append(done.returncode)
        if done.returncode:
            assert (done.returncode, done.stderr) == (3, SAID), amount
            assert not (tmp_path / "out").exists()
        assert list((tmp_path / "tmp").iterdir()) == []
        for made in tmp_path.glob("out/*"):
            assert_record_is_true(made)
    assert {0, 3} <= {*ended}
