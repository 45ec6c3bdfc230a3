"""A build that is ended by a signal: one line, the exit code of the signal, nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from support.projects.building import write_project

if TYPE_CHECKING:
    from pathlib import Path

#: Builds until it is stopped; by then, CMake has written to its build folder.
CMAKE: Final = """\
cmake_minimum_required(VERSION 3.25)
project(demo LANGUAGES C)
add_custom_target(endless ALL COMMAND "${CMAKE_COMMAND}" -E touch "$ENV{BEGUN}"
                                COMMAND "${CMAKE_COMMAND}" -E sleep 1000)
"""
HOOK: Final = "import muslbackend\nmuslbackend.build_wheel('dist', {'musl.target': 'x86_64'})"
#: Seconds that a build may take to start, or to end.
PATIENCE: Final = 60.0


def waited_for(condition: object) -> bool:
    """Wait until a condition is true; return whether it became true."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return bool(holds)


def members_of(group: int) -> list[int]:
    """The running processes of a group."""
    found = []
    for folder in os.listdir("/proc"):  # noqa: PTH208 - of numbers
        try:
            with open(f"/proc/{folder}/stat", encoding="utf-8") as stat:  # noqa: PTH123
                state, _, its_group = stat.read().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(int(folder))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whole_group", [True, False], ids=["all", "the hook alone"])
def test_a_build_ends_with_one_line_and_leaves_nothing(
    number: signal.Signals, *, whole_group: bool, tmp_path: Path
) -> None:
    project, temporary, begun = tmp_path / "project", tmp_path / "tmp", tmp_path / "begun"
    write_project(project, {"CMakeLists.txt": CMAKE})
    temporary.mkdir()
    environ = {**os.environ, "TMPDIR": str(temporary), "BEGUN": str(begun)}
    with subprocess.Popen(
        [sys.executable, "-c", HOOK],
        cwd=project,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert waited_for(begun.exists)
        before = set(project.iterdir())
        if whole_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert complaints.splitlines()[-1] == f"muslbackend: ended by {number.name}"
    assert "Traceback" not in complaints
    assert waited_for(lambda: not members_of(process.pid))
    assert list(temporary.iterdir()) == []
    assert set(project.iterdir()) == before
