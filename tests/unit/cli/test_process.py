"""The command line as a process among others: pipes, full disks, closed streams, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.wheels.builders import zig_library
from support.wheels.wheels import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Shell: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

OURS: Final = f"{sys.executable} -m muslbackend"
NAME: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
TOLD: Final = f"{NAME}: ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)\n"
FULL: Final = (
    "muslbackend: error: standard output cannot be written: No space left on device\n"
    "  hint  check that there is free space\n"
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a line in a folder that has a wheel; ``muslbackend`` stands for ours."""
    core = zig_library("x86_64", source="int PyInit__core(void) { return 0; }")
    write(tmp_path / NAME, {"demo/_core.cpython-311-x86_64-linux-musl.so": core})

    def run(line: str, **environ: str) -> subprocess.CompletedProcess[str]:
        text = line.replace("muslbackend", OURS).replace("WHEEL", NAME)
        unset = ("PYTHONUNBUFFERED",)
        inherited = {name: value for name, value in os.environ.items() if name not in unset}
        command = ["bash", "-c", text]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            cwd=tmp_path,
            env={**inherited, **environ},
        )

    return run


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command", ["check WHEEL", "check --json WHEEL", "check --help", "explain", "--version"]
)
def test_a_full_disk_is_an_error(command: str, unbuffered: str, shell: Shell) -> None:
    done = shell(f"muslbackend {command} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (3, FULL)


def test_a_full_disk_during_output_is_an_error(shell: Shell) -> None:
    done = shell("muslbackend check -v $(yes WHEEL | head -200) > /dev/full")
    assert (done.returncode, done.stderr) == (3, FULL)


def test_a_closed_output_is_an_error_before_any_work(shell: Shell, tmp_path: Path) -> None:
    done = shell("muslbackend repair WHEEL -o out >&-")
    assert done.returncode == 3
    assert done.stderr == (
        "muslbackend: error: standard output is closed\n  hint  redirect it to /dev/null instead\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_closed_stderr_does_not_change_results(shell: Shell) -> None:
    for line in ("muslbackend check WHEEL 2>&-", "muslbackend check WHEEL 2>/dev/full"):
        assert shell(line).stdout == TOLD
    # What is for standard error does not get among the results.
    for line in ("muslbackend chekc 2>&-", "muslbackend chekc 2>/dev/full"):
        done = shell(line)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    done = shell("muslbackend check WHEEL >/dev/full 2>&-")
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command", ["check -v $(yes WHEEL | head -400)", "explain $(yes MB103 | head -400)"]
)
def test_a_closed_pipe_ends_the_command_quietly(
    command: str, unbuffered: str, shell: Shell
) -> None:
    line = f"muslbackend {command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = shell(line, PYTHONUNBUFFERED=unbuffered)
    first, status = done.stdout.splitlines()
    assert first == TOLD[:-1] or first.startswith("MB103: ")
    assert (status, done.stderr) == ("141", "")


def test_a_closed_pipe_for_errors_is_quiet_too(shell: Shell) -> None:
    done = shell("muslbackend chekc 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}")
    assert done.stderr == ""
    assert done.stdout in ("2\n", "141\n")  # as true was slower, or quicker


def test_a_program_error_is_still_a_traceback(tmp_path: Path) -> None:
    """Only errors of writing the output are one line; any other is a bug."""
    program = (
        "import sys\nfrom muslbackend import __main__\nfrom muslbackend.cli import main as cli\n"
        "def bug():\n    raise OSError(28, 'No space left on device')\n"
        "cli.main = bug\nsys.exit(__main__.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "echo WHEEL | muslbackend check -",
        "printf WHEEL | muslbackend check -",
        "printf '\\n  \\nWHEEL\\n' | muslbackend check -",
        "printf 'WHEEL\\r\\n' | muslbackend check -",
        "find . -name '*.whl' -print0 | muslbackend check -",
    ],
)
def test_names_of_wheels_are_read_from_standard_input(line: str, shell: Shell) -> None:
    done = shell(line)
    assert (done.returncode, done.stdout, done.stderr) == (0, TOLD, "")


def test_they_replace_the_dash_in_place(shell: Shell, tmp_path: Path) -> None:
    for name in ("a", "b c", "d"):
        (tmp_path / f"{name}-1.0-py3-none-any.whl").hardlink_to(tmp_path / NAME)
    whole = ("a-1.0-py3-none-any.whl", "d-1.0-py3-none-any.whl")
    line = f"printf 'b c-1.0-py3-none-any.whl\\n./WHEEL\\n' | muslbackend check {whole[0]} - "
    done = shell(f"{line} {whole[1]} -")
    told = [text.partition(": ")[0] for text in done.stdout.splitlines() if ".whl: " in text]
    told = [name for name in told if not name.startswith("error")]
    assert told == [whole[0], "b c-1.0-py3-none-any.whl", NAME, whole[1]]


def test_repair_reads_them_too(shell: Shell) -> None:
    done = shell("echo WHEEL | muslbackend repair --dry-run -")
    assert done.returncode == 0
    assert done.stdout.startswith(f"not written: muslbackend: {NAME}\n")
    assert done.stderr == ""


@pytest.mark.parametrize("given", ["< /dev/null", "<&-", "<<< ''"])
def test_an_empty_standard_input_is_a_usage_error(given: str, shell: Shell) -> None:
    done = shell(f"muslbackend check - {given}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "muslbackend: error: -: no wheel paths on standard input\n"
        "  hint  write one path per line, such as: ls dist/*.whl | muslbackend check -\n"
    )


def test_names_that_are_not_utf_8_are_shown(shell: Shell, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff-1-py3-none-any.whl")).touch()
    for line in (
        "muslbackend check $'\\xff-1-py3-none-any.whl'",
        "printf '\\xff-1-py3-none-any.whl' | muslbackend check -",
    ):
        done = shell(line)
        assert done.returncode == 1
        assert done.stdout.startswith("\\udcff-1-py3-none-any.whl: cannot be judged\n")
        assert done.stderr == ""


def test_characters_outside_the_locale_are_shown(shell: Shell) -> None:
    line = "muslbackend check müsli-1-py3-none-any.whl"
    done = shell(line, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.stdout.startswith("m\\xfcsli-1-py3-none-any.whl: cannot be judged\n")
    assert done.stderr == ""


def test_ctrl_c_ends_a_command_that_waits_for_input() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "muslbackend: ended by SIGINT\n")


#: Waits for names; where tests run in the background, SIGINT would be ignored.
_INTERRUPTED: Final = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from muslbackend import __main__
from muslbackend.cli import main as cli
def wait():
    print("begun", flush=True)
    return cli_main(["check", "-"])
cli_main, cli.main = cli.main, wait
sys.exit(__main__.main())
"""


def test_without_arguments_help_is_shown(shell: Shell) -> None:
    done = shell("muslbackend")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == shell("muslbackend --help").stdout
    assert len(done.stderr.splitlines()) <= 40
