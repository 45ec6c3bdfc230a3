"""What a hook that builds nothing imports: little, since frontends ask it before every build."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

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


def test_a_hook_that_passes_through_loads_little_of_us(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    names = loaded(f"import muslbackend\n{ASK}", tmp_path)
    assert {name for name in names if name.partition(".")[0] == "muslbackend"} == OURS
    # It did ask scikit-build-core.
    assert "scikit_build_core.build" in names


def test_what_it_loads_of_us_loads_nothing_heavy(tmp_path: Path) -> None:
    names = loaded(DECIDE, tmp_path)
    assert OURS - names == {"muslbackend.hooks"}  # which asks scikit-build-core what it offers
    heavy = {name for name in names if {name, name.partition(".")[0]} & HEAVY}
    assert heavy == set()


def test_what_is_heavy_is_seen(tmp_path: Path) -> None:
    assert loaded("import zipfile", tmp_path) >= {"zipfile"}
