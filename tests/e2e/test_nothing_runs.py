"""No code of a wheel is run by ``check`` and ``repair``, and by builds only to verify."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.loaders.loaders import dlopen, loader
from support.loaders.samples import extension, function, lay_out
from support.projects.building import EXTENSION, build, members, run, write_project
from support.wheels.builders import gcc_library
from support.wheels.wheels import write

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
CORE: Final = "demo/_core.cpython-311-x86_64-linux-musl.so"
#: Runs the command line and records Python's audit events (PEP 578): programs and code that are
#: started, loaded, imported and executed, also in threads and forked processes.
WATCH: Final = """\
import json, os, sys
noted = {"started": [], "loaded": [], "executed": []}
def auditor(event, args):
    if event == "os.posix_spawn" and sys._getframe(1).f_globals["__name__"] == "subprocess":
        pass  # from 3.13 on it starts programs so, and has said it
    elif event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        words = args[0] if event == "os.posix_spawn" or not args[1] else args[1][0]
        noted["started"].append(os.path.basename(os.fsdecode(words)))
    elif event in ("os.system", "os.fork", "os.forkpty", "os.spawn", "pty.spawn"):
        noted["started"].append(event)
    elif event == "ctypes.dlopen":
        noted["loaded"].append(str(args[0]))
    elif event == "import" and args[1]:
        noted["executed"].append(str(args[1]))
    elif event == "exec" and hasattr(args[0], "co_filename"):
        noted["executed"].append(args[0].co_filename)
sys.addaudithook(auditor)
from muslbackend.cli.main import main
status = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(noted, file)
sys.exit(status)
"""
#: Leaves a trace when it is loaded.
CONSTRUCTOR: Final = """\
#include <stdio.h>
__attribute__((constructor)) static void leave(void) {{ FILE *f = fopen("{trace}", "w");
                                                       if (f) fclose(f); }}
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """The file that exists once any code of the wheel has been run."""
    return tmp_path / "trace"


@pytest.fixture
def tempting(trace: Path, tmp_path: Path, cache: Path) -> Path:
    """A wheel in which all code leaves the trace, and the library that it requires."""
    leave = CONSTRUCTOR.format(trace=trace)
    core, needed = extension("f", needs=("libf.so.1",)), function("f")
    files = {
        CORE: replace(core, source=leave + core.source),
        "libf.so.1": replace(needed, source=leave + needed.source),
    }
    tree = lay_out(files, tmp_path / "tree", cache)
    (tmp_path / "libraries").mkdir()
    (tree / "libf.so.1").rename(tmp_path / "libraries/libf.so.1")
    python = f"open({str(trace)!r}, 'w').close()\n"
    others = {
        **dict.fromkeys(("demo/__init__.py", "sitecustomize.py", "zipfile.py"), python),
        "demo.pth": f"import sys; {python}",
        "demo-1.0.data/scripts/demo": f"#!/bin/sh\ntouch '{trace}'\n",
        "demo-1.0.data/scripts/patchelf": f"#!/bin/sh\ntouch '{trace}'\n",
    }
    return write(tmp_path / NAME, {CORE: (tree / CORE).read_bytes(), **others})


def watched(folder: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run a command; return its status and the recorded events."""
    noted = folder / "noted.json"
    script = [sys.executable, "-c", WATCH, str(noted), *map(str, arguments)]
    done = run(["env", "-C", str(folder), *script], folder)
    assert noted.is_file(), done.output
    return done.status, json.loads(noted.read_text())


def assert_nothing_of_it_ran(noted: dict[str, Any], folder: Path, trace: Path) -> None:
    assert noted["loaded"] == []
    assert len(noted["executed"]) > 10  # our own modules
    assert [name for name in noted["executed"] if name.startswith(str(folder))] == []
    assert not trace.exists()


def test_loaded_code_would_leave_a_trace(tempting: Path, trace: Path, cache: Path) -> None:
    shutil.unpack_archive(tempting, trace.parent / "site", "zip")
    libraries = (trace.parent / "libraries",)
    dlopen(
        loader("1.2.5", cache), trace.parent / "site" / CORE, library_path=libraries, cache=cache
    )
    assert trace.exists()


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["check"], 1),
        (["check", "--json", "--floor", "1.2.3", "-v", "--library-dir", "libraries"], 0),
        (["check", "--html", "page.html"], 1),
        (["repair", "--dry-run", "--library-dir", "libraries"], 0),
        (["repair", "-o", "out", "--library-dir", "libraries"], 0),
    ],
)
def test_no_code_of_a_wheel_is_run(
    options: list[str], status: int, tempting: Path, trace: Path
) -> None:
    found, noted = watched(tempting.parent, *options, tempting)
    assert found == status
    assert noted["started"] == []
    assert_nothing_of_it_ran(noted, tempting.parent, trace)


def test_a_repair_that_strips_starts_strip_and_nothing_else(tempting: Path, trace: Path) -> None:
    more = "".join(f"int g{n}(int x) {{ return x + {n}; }}\n" for n in range(50))
    much = gcc_library(function("f").source + more, "-g", "-shared")
    (tempting.parent / "libraries/libf.so.1").write_bytes(much)
    options = ("repair", "--strip", "-o", "out", "--library-dir", "libraries")
    status, noted = watched(tempting.parent, *options, tempting)
    assert status == 0
    assert noted["started"] in (["strip"], ["llvm-strip"])
    assert_nothing_of_it_ran(noted, tempting.parent, trace)


def test_the_auditor_records_started_programs(tmp_path: Path) -> None:
    script = "import ctypes, subprocess; ctypes.CDLL(None); subprocess.run(['true'])"
    watching = WATCH.replace("status = main(sys.argv[2:])", f"{script}; status = 0")
    done = run([sys.executable, "-c", watching, str(tmp_path / "noted.json")], tmp_path)
    assert done.status == 0, done.output
    noted = json.loads((tmp_path / "noted.json").read_text())
    assert noted["started"][0] == "true"
    assert "None" in noted["loaded"]


def test_a_build_opens_its_files_only_to_verify_them(
    trace: Path, tmp_path: Path, cache: Path
) -> None:
    source = CONSTRUCTOR.format(trace=trace) + EXTENSION.format(declare="", call="42")
    project = write_project(tmp_path / "project", {"demo.c": source})
    settings = ("musl.target=x86_64", f"musl.loader={loader('1.2.5', cache)}")
    unverified = build(project, *settings).wheel
    contents = members(unverified)
    assert not trace.exists()
    unverified.unlink()
    assert members(build(project, *settings, "musl.verify=true").wheel) == contents
    assert trace.exists()
