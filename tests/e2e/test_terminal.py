"""What users see on a terminal while a command runs, when it ends, and when they interrupt it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.projects.building import build
from support.tools.terminal import Session
from support.wheels import crowds
from support.wheels.builders import zig_library
from support.wheels.wheels import write

OURS: Final = (sys.executable, "-m", "muslbackend")
NEEDY: Final = "needy-1.0-cp311-cp311-linux_x86_64.whl"
#: With more zeros in memory than muslbackend writes out: a file for patchelf.
ROOM: Final = "volatile char room_of_{}[80 << 20];\n"
CALLS: Final = """\
volatile char room_of_{1}[80 << 20];
extern int {0}(void);
int {1}(void) {{ return {0}() + room_of_{1}[1]; }}
"""
#: Takes long, or as long as nobody says go.
PATCHELF: Final = """\
#!/bin/sh
[ "$1" != --version ] || exec {real} "$@"
{wait}
[ ! -e {fail} ] || {{ echo "out of order" >&2; exit 1; }}
exec {real} "$@"
"""
UNTIL_GO: Final = "while [ ! -e {go} ]; do sleep 0.1; done"


class Bench:
    """A wheel that needs a library, the library, and a patchelf that takes its time."""

    def __init__(self, folder: Path, wait: str = UNTIL_GO) -> None:
        self.go, self.fail = folder / "go", folder / "fail"
        self.output, libraries, programs = (folder / n for n in ("out", "libraries", "programs"))
        libraries.mkdir()
        programs.mkdir()
        library = libraries / "libneeded.so.1"
        source = CALLS.format("getpid", "of_library")
        library.write_bytes(zig_library("x86_64", "-Wl,-soname,libneeded.so.1", source=source))
        core = zig_library("x86_64", str(library), source=CALLS.format("of_library", "PyInit_core"))
        self.wheel = folder / NEEDY
        write(self.wheel, {"needy/core.so": core})
        patchelf = programs / "patchelf"
        wait = wait.format(go=self.go)
        text = PATCHELF.format(real=shutil.which("patchelf"), wait=wait, fail=self.fail)
        patchelf.write_text(text, encoding="utf-8")
        patchelf.chmod(0o755)
        self.environ = {
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
            "TMPDIR": str(self._new(folder / "scratch")),
        }
        self.repair = [*OURS, "repair", str(self.wheel), "--library-dir", str(libraries)]
        self.repair += ["-o", str(self.output)]

    def scratch(self) -> list[Path]:
        """Return what was left in the folder for temporary files."""
        return list(Path(self.environ["TMPDIR"]).iterdir())

    @staticmethod
    def _new(folder: Path) -> Path:
        folder.mkdir()
        return folder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def slow(tmp_path: Path) -> Bench:
    """Longer than it takes until a line would be shown."""
    return Bench(tmp_path, "sleep 1")


def piped(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TERM": "xterm", **environ}
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def test_a_repair_shows_its_progress_beside_the_report(bench: Bench) -> None:
    session = Session(bench.repair, bench.environ)
    session.until("patching 0% (0 of 2 files): needy-1.0-cp311-cp311-linux_x86_64.whl")
    assert session.screen == f"patching 0% (0 of 2 files): {NEEDY}"
    bench.go.touch()
    assert session.end() == 0
    again = piped(bench.repair, bench.environ)
    assert again.stderr == ""
    shown, more, _ = session.screen.partition("\n  more      muslbackend explain MB133  ")
    assert more
    assert letters(shown) == letters(again.stdout)
    first, *_ = session.screen.splitlines()
    assert first == "muslbackend: needy-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    assert "\x1b[36mbundled\x1b[0m" in session.written
    assert "\x1b" not in again.stdout


def letters(text: str) -> str:
    """Return a text without spaces and newlines: where lines are folded, there are more."""
    return "".join(text.split())


def test_an_error_is_printed_on_a_clean_line(bench: Bench) -> None:
    bench.fail.touch()
    session = Session(bench.repair, bench.environ, columns=200)
    session.until("patching")
    bench.go.touch()
    assert session.end() == 3
    first, *_ = session.screen.splitlines()
    assert first.startswith(f"muslbackend: error: {NEEDY}: ")
    assert first.endswith("patchelf failed with status 1: out of order")
    assert "patching" not in session.screen


def test_ctrl_c_leaves_nothing_behind(bench: Bench) -> None:
    session = Session(bench.repair, bench.environ)
    session.until("patching")
    session.press_ctrl_c()
    assert session.end() == 130
    # The terminal itself echoes the keys.
    assert session.screen.replace("^C", "") == "muslbackend: ended by SIGINT\n"
    assert bench.scratch() == []
    assert not bench.output.exists()


def test_no_progress_is_shown_without_a_terminal(slow: Bench) -> None:
    done = piped(slow.repair, slow.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\r" not in done.stdout
    assert "patching" not in done.stdout


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_quiet_and_dumb_terminals_get_no_line(slow: Bench, term: str) -> None:
    options = ["--quiet"] if term == "xterm" else []
    session = Session([*slow.repair, *options], {**slow.environ, "TERM": term})
    assert session.end() == 0
    assert "patching" not in session.written
    assert "\x1b" not in session.written
    assert (session.written == "") == bool(options)


def test_json_goes_to_stdout_and_the_line_to_the_terminal(bench: Bench, tmp_path: Path) -> None:
    json_file = tmp_path / "found.json"
    line = 'exec "$@" --json > "$FOUND"'
    command = ["/bin/sh", "-c", line, "sh", *bench.repair]
    session = Session(command, {**bench.environ, "FOUND": str(json_file)})
    session.until("patching")
    bench.go.touch()
    assert session.end() == 0
    assert session.screen == ""
    (found,) = json.loads(json_file.read_text(encoding="utf-8"))
    stages = ["read", "judge", "plan", "patch", "prove", "inventory", "write"]
    assert list(found["seconds"]) == [*stages, "total"]
    assert min(found["seconds"].values()) >= 0
    assert sum(found["seconds"][stage] for stage in stages) <= found["seconds"]["total"] + 1e-9


def test_a_check_of_several_wheels_shows_the_current_one(tmp_path: Path) -> None:
    pure = tmp_path / "pure-1.0-py3-none-any.whl"
    write(pure, {"pure.py": "x = 1"})
    crowd = crowds.write(tmp_path, crowds.past_the_limit(extensions=200))
    session = Session([*OURS, "check", str(pure), str(crowd)])
    # It takes two million lookups until the check gives up.
    session.until(f"[2/2] analyzing: {crowd.name}")
    assert session.end() == 1
    first, nothing, second_line, *_ = session.screen.splitlines()
    assert nothing == ""
    assert first == "pure-1.0-py3-none-any.whl: ok, contains no musl binaries"
    assert second_line == f"{crowd.name}: cannot be judged"


def test_a_check_is_colored_folded_and_names_the_explain_command(bench: Bench) -> None:
    command = [*OURS, "check", "--floor", "1.2", str(bench.wheel), str(bench.wheel)]
    plain = piped(command, {}).stdout
    session = Session(command, columns=60)
    assert session.end() == 1
    assert "\x1b[1;31merror[MB101]\x1b[0m \x1b[1mneedy/core.so\x1b[0m: requires" in session.written
    shown, _, more = session.screen.partition("\n  more      ")
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines.count("") == 1  # between the two
    assert letters(shown) == letters(plain)
    assert " ".join(more.split()) == ("muslbackend explain MB101 its meaning and fixes")
    # What was written into a pipe can be forced to be in colours, and is not folded.
    forced = piped(command, {"FORCE_COLOR": "1"}).stdout
    assert re.sub(r"\x1b\[[\d;]*m", "", forced) == plain != forced


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_check_is_plain_on_request(bench: Bench, environ: dict[str, str]) -> None:
    session = Session([*OURS, "check", "--floor", "1.2", str(bench.wheel)], environ, columns=500)
    assert session.end() == 1
    assert "\x1b" not in session.written
    plain = piped([*OURS, "check", "--floor", "1.2", str(bench.wheel)], {}).stdout
    assert session.screen.startswith(plain.rstrip())


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_the_end_of_a_build_shows_its_progress(example: Path, bench: Bench) -> None:
    for source in example.rglob("*.c"):
        with source.open("a", encoding="utf-8") as stream:
            stream.write(ROOM.format(source.stem))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-C"]
    command += ["musl.target=x86_64", "--outdir", str(bench.output), str(example)]
    session = Session(command, bench.environ, columns=500)
    session.until("patching 0% (0 of 3 files): motto-1.0-")
    bench.go.touch()
    assert session.end() == 0
    assert "patching" not in session.screen
    assert "\nmuslbackend: motto-1.0-" in session.screen
    (took,) = (line for line in session.screen.splitlines() if line.startswith("  took  "))
    stages = [part.split()[0] for part in took.partition(": ")[2].split(", ")]
    assert stages == ["build", "judge", "plan", "patch", "prove", "inventory", "write"]
    quiet = build(example, "musl.target=x86_64")  # into a pipe
    assert quiet.status == 0
    assert "\x1b" not in quiet.output[quiet.output.index("muslbackend: motto-") :]
