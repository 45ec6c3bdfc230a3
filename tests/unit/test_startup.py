"""The modules that short commands import: hooks that build nothing, small builds, ``check``."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from support.wheels.builders import zig_library
from support.wheels.wheels import write

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


#: What takes long to import, or runs programs, reads archives, talks to others.
HEAVY: Final = {
    *("asyncio", "concurrent", "ctypes", "email", "hashlib", "http", "json", "logging"),
    *("lzma", "multiprocessing", "packaging", "scikit_build_core", "shutil", "socket", "ssl"),
    *("subprocess", "tempfile", "threading", "tomllib", "urllib.request", "xml", "zipfile"),
}
CHECK: Final = "from muslbackend.cli.main import main\nmain(['check', {wheel!r}])"
WHEEL: Final = "demo-1-cp311-cp311-musllinux_1_2_x86_64.whl"
ASK: Final = "muslbackend.get_requires_for_build_wheel({'musl.target': 'auto'})"
#: A musl Python, whose scikit-build-core has just run CMake and lists what it installed.
BUILD: Final = """\
from muslbackend.build import hooks, job, skbuild
from muslbackend.musl.tags import Facts
from packaging.tags import Tag

suffix = ".cpython-311-x86_64-linux-musl.so"
job.read_facts = lambda: Facts("linux", suffix, "x86_64", "/lib/ld-musl-x86_64.so.1")

def build(config, finish, *, keeps_no_build_dir):
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.name import WheelName
    name = WheelName("demo-1", "", frozenset({{Tag("cp311", "cp311", "linux_x86_64")}}))
    members = (
        Member(f"demo/_core{{suffix}}", open({library!r}, "rb").read()),
        Member("demo-1.dist-info/METADATA", b"Name: demo\\nVersion: 1\\n"),
        Member("demo-1.dist-info/WHEEL", b"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\n"),
    )
    finish(skbuild.Staged(name, members, None, "scikit-build-core"))

skbuild.build = build
hooks.build_wheel("dist")
"""
DECIDE: Final = """\
from muslbackend.build import settings, skbuild, target
target.decide(settings.parse_settings({}, {}, {}), target.read_facts())
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


def extension() -> bytes:
    """Return an extension that lacks nothing."""
    return zig_library("x86_64", source="int PyInit__core(void) { return 0; }")


def folders(names: set[str]) -> set[str]:
    """Return the folders of ours that some modules are in."""
    ours = (name.split(".") for name in names if name.startswith("muslbackend."))
    return {parts[1] for parts in ours}


def test_a_hook_that_passes_through_loads_settings_and_no_analysis(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    names = loaded(f"import muslbackend\n{ASK}", tmp_path)
    assert {"build", "musl"} <= folders(names)
    assert folders(names).isdisjoint({"elf", "loader", "policy", "report", "cli"})
    # It did ask scikit-build-core.
    assert "scikit_build_core.build" in names


def test_what_decides_about_a_build_loads_nothing_heavy(tmp_path: Path) -> None:
    names = loaded(DECIDE, tmp_path)
    # From Python 3.12 on, sysconfig loads threading.
    assert among(HEAVY, names - loaded("import sysconfig", tmp_path)) == set()


def test_an_ordinary_build_loads_nothing_that_it_has_no_use_for(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    library = tmp_path / "libcore.so"
    library.write_bytes(extension())
    names = loaded(BUILD.format(library=str(library)), tmp_path)
    assert [path.name for path in (tmp_path / "dist").iterdir()] == [WHEEL]
    assert "cli" not in folders(names)
    assert among({"muslbackend.report.html", "muslbackend.build.cross.zig"}, names) == set()
    # scikit-build-core loads of what is heavy what it needs itself.
    assert among({"concurrent", "email", "http", "xml"}, names) == set()


def test_a_check_loads_nothing_heavy_and_nothing_that_repairs(tmp_path: Path) -> None:
    wheel = tmp_path / WHEEL
    write(wheel, {"demo/_core.cpython-311-x86_64-linux-musl.so": extension()})
    names = loaded(CHECK.format(wheel=str(wheel)), tmp_path)
    # A thread draws progress.
    assert among(HEAVY - {"threading"}, names) == set()
    assert {"loader", "policy"} <= folders(names)
    assert folders(names).isdisjoint({"repair", "build"})
    assert "muslbackend.report.html.page" not in names


def test_a_page_loads_what_makes_it(tmp_path: Path) -> None:
    # Or that nothing else loads it would show nothing.
    code = "from muslbackend.cli.main import main\nmain(['check', '--html', 'page.html', 'x.whl'])"
    assert "muslbackend.report.html.page" in loaded(code, tmp_path)
    assert (tmp_path / "page.html").is_file()


def test_what_is_heavy_is_seen(tmp_path: Path) -> None:
    assert loaded("import zipfile", tmp_path) >= {"zipfile"}
