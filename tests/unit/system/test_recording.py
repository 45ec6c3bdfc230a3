"""Output is recorded while it is printed as usual, to files, pipes and terminals."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src"

#: Prints from this process and from a child, and what was recorded.
PROGRAM = """\
import os, subprocess, sys
from muslbackend.system.recording import recorded
print("before")
with recorded() as output:
    print("python")
    print("error", file=sys.stderr, flush=True)
    child = "import os; print(f'child {os.isatty(1)}', flush=True); os.write(2, b'end\\\\n')"
    subprocess.run([sys.executable, "-c", child])
    if "size" in sys.argv:
        print(os.get_terminal_size(1), flush=True)
    sys.stdout.flush()
print("after", file=sys.stderr)
open(sys.argv[1], "w").write(output())
"""


def start(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, env=environ, **options)  # type: ignore[call-overload,no-any-return]


def test_one_stream_keeps_its_order(tmp_path: Path) -> None:
    process = start(tmp_path / "kept", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate()
    expected = "python\nerror\nchild False\nend\n"
    assert output.decode() == f"before\n{expected}after\n"
    assert (tmp_path / "kept").read_text() == expected


def test_two_streams_stay_apart(tmp_path: Path) -> None:
    process = start(tmp_path / "kept", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate()
    assert (output, errors) == (b"before\npython\nchild False\n", b"error\nend\nafter\n")
    kept = (tmp_path / "kept").read_text()
    assert all(kept.count(word) == 1 for word in ("python", "child False", "error", "end"))


def test_a_terminal_stays_a_terminal_of_its_size(tmp_path: Path) -> None:
    import fcntl
    import struct
    import termios

    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 30, 77, 0, 0))
    process = start(tmp_path / "kept", "size", stdout=writer, stderr=writer)
    os.close(writer)
    output = b""
    while select.select([reader], [], [], 30)[0]:
        try:
            output += os.read(reader, 4096)
        except OSError:
            break
    assert process.wait() == 0
    os.close(reader)
    lines = output.decode().split("\r\n")
    size = "os.terminal_size(columns=77, lines=30)"
    assert lines == ["before", "python", "error", "child True", "end", size, "after", ""]
    assert "\r" not in (tmp_path / "kept").read_text()


def test_a_daemon_that_keeps_the_stream_open_does_not_stop_the_build(tmp_path: Path) -> None:
    program = """\
import subprocess, sys
from muslbackend.system.recording import recorded
with recorded() as output:
    subprocess.Popen(["sleep", "300"])
    print("started", flush=True)
print(output().strip(), "and recorded")
"""
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=environ, stdout=out, start_new_session=True
        )
        try:
            assert process.wait(timeout=60) == 0
        finally:
            os.killpg(process.pid, 9)
    assert (tmp_path / "out").read_text() == "started\nstarted and recorded\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path, stream: str) -> None:
    program = """\
import os, subprocess, sys
from muslbackend.system.recording import recorded
with recorded() as output:
    status = subprocess.call(["sh", "-c", "for n in 1 2 3; do echo $n; echo $n >&2; done"])
open(sys.argv[1], "w").write(str(status))
os._exit(0)
"""
    environ = {**os.environ, "PYTHONPATH": str(SOURCE)}
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", program, str(tmp_path / "status")]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writer}
    assert subprocess.run(command, env=environ, check=False, **streams).returncode == 0  # type: ignore[call-overload]
    os.close(writer)
    assert (tmp_path / "status").read_text() == "0"


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_stays_closed(tmp_path: Path, closed: str) -> None:
    program = """\
import subprocess, sys
from muslbackend.system.recording import recorded
with recorded() as output:
    subprocess.call(["sh", "-c", "echo out; echo err >&2"], close_fds=False)
open(sys.argv[1], "w").write(output())
"""
    environ = {**os.environ, "PYTHONPATH": str(SOURCE), "FILE": str(tmp_path / "kept")}
    (tmp_path / "program.py").write_text(program)
    shell = f'exec "{sys.executable}" "{tmp_path}/program.py" "$FILE" {closed}>&-'
    done = subprocess.run(["/bin/sh", "-c", shell], env=environ, capture_output=True, check=False)
    assert done.returncode == 0
    kept = (tmp_path / "kept").read_text().splitlines()
    assert ("err" if closed == "1" else "out") in kept
