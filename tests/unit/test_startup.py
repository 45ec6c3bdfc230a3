"""What is imported by commands that are short: hooks that build nothing, and ``check``."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Final

from builders import zig_library

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: Final = """\
[build-system]
requires = ["muslbackend"]
build-backend = "muslbackend"

[project]
name = "demo"
version = "1"

[tool.scikit-build]
cmake.version = ">=3.15"
"""
#: All of it that is loaded where nothing musl is asked for.
OURS: Final = {
    "muslbackend",
    "muslbackend.data",
    "muslbackend.errors",
    "muslbackend.hooks",
    "muslbackend.musl",
    "muslbackend.settings",
    "muslbackend.stage",
    "muslbackend.target",
    "muslbackend.targetpython",
}
#: What takes long to import, or runs programs, reads archives, talks to others.
HEAVY: Final = {
    *("asyncio", "concurrent", "ctypes", "email", "hashlib", "http", "json", "logging"),
    *("lzma", "multiprocessing", "packaging", "scikit_build_core", "shutil", "socket", "ssl"),
    *("subprocess", "tempfile", "threading", "tomllib", "urllib.request", "xml", "zipfile"),
}
#: What takes long without need where named tuples and plain files do.
NEEDLESS: Final = {"dataclasses", "difflib", "importlib.resources", "inspect", "platform", "random"}
#: What reads archives, and what that loads.
ARCHIVES: Final = {
    *("lzma", "shutil", "threading", "zipfile"),
}
#: All that judges, without what reads the wheel.
JUDGE: Final = """\
from muslbackend import cli, musl, packaged, policy, reach, report, resolve, scan
musl.todays(musl.ARCHITECTURES["x86_64"])
musl.alpine_with(musl.MuslVersion(1, 2, 0))
"""
CHECK: Final = "from muslbackend import cli\ncli.main(['check', {wheel!r}])"
WHEEL: Final = "demo-1-cp311-cp311-musllinux_1_2_x86_64.whl"
ASK: Final = "muslbackend.get_requires_for_build_wheel({'musl.target': 'auto'})"
DECIDE: Final = """\
from muslbackend import settings, stage, target, targetpython
target.decide(settings.parse_settings({}, {}, {}), targetpython.read_facts())
"""


def loaded(code: str, folder: Path) -> set[str]:
    """Return the modules that ``code`` loads in a new interpreter, besides its own."""
    show = "print('\\0'.join(['', *(sys.modules.keys() - before)]))"
    program = f"import sys\nbefore = set(sys.modules)\n{code}\n{show}"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.strip().split("\0")[1:])


def among(heavy: set[str], names: set[str]) -> set[str]:
    """Return those of some modules that are heavy, or in a heavy package."""
    return {name for name in names if {name, name.partition(".")[0]} & heavy}


def test_a_hook_that_passes_through_loads_little_of_us(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    names = loaded(f"import muslbackend\n{ASK}", tmp_path)
    assert {name for name in names if name.partition(".")[0] == "muslbackend"} == OURS
    # It did ask scikit-build-core.
    assert "scikit_build_core.build" in names


def test_what_it_loads_of_us_loads_nothing_heavy(tmp_path: Path) -> None:
    names = loaded(DECIDE, tmp_path)
    assert OURS - names == {"muslbackend.hooks"}  # which asks scikit-build-core what it offers
    assert among(HEAVY, names) == set()


def test_what_judges_loads_nothing_heavy(tmp_path: Path) -> None:
    names = loaded(JUDGE, tmp_path)
    assert "muslbackend.rules" in names
    # zipfile loads threading too.
    assert among((HEAVY | NEEDLESS) - {"threading"}, names) == set()


def test_a_check_loads_beside_that_only_what_reads_archives(tmp_path: Path) -> None:
    wheel = tmp_path / WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo/_core.cpython-311-x86_64-linux-musl.so", zig_library("x86_64"))
        archive.writestr("demo-1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    names = loaded(CHECK.format(wheel=str(wheel)), tmp_path)
    assert "muslbackend.wheelreader" in names
    assert among((HEAVY | NEEDLESS) - ARCHIVES, names) == set()
    # Nothing of what builds and repairs, nor of what few files have.
    others = {"finish", "hooks", "lookup", "outcome", "plan", "stage", "targetpython", "wheel"}
    assert {f"muslbackend.{name}" for name in (*others, "wheelwriter")} & names == set()


def test_what_is_heavy_is_seen(tmp_path: Path) -> None:
    assert loaded("import zipfile", tmp_path) >= {"zipfile"}
