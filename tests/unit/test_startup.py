"""What is imported by what is short: hooks that build nothing, small builds, and ``check``."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from builders import zig_library
from wheels import write

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


def own(*names: str) -> set[str]:
    """Return the full names of modules of ours."""
    folders = {name.rpartition(".")[0] for name in names} - {""}
    folders |= {name.rpartition(".")[0] for name in folders} - {""}
    return {"muslbackend", *(f"muslbackend.{name}" for name in (*folders, *names))}


#: All of it that is loaded where nothing musl is asked for.
OURS: Final = own(
    *(
        "system.resources",
        "errors",
        "build.hooks",
        "musl.releases",
        "build.settings",
        "build.skbuild",
        "musl.tags",
        "build.cross.python",
        "system.values",
    ),
)
#: What reads files and judges them.
JUDGES: Final = own(
    *(
        "policy.rules.abi",
        "musl.alpine",
        "system.resources",
        "policy.rules.declared_floor",
        "elf.info",
        "elf.hash_check",
        "elf.image",
        "elf.notes",
        "elf.reader",
        "elf.relocations",
    ),
    *("elf.symbols", "elf.versions", "elf.entry_points", "elf.hashtable", "elf.memory"),
    *(
        "errors",
        "policy.findings",
        "loader.graph",
        "policy.rules.hazards",
        "policy.rules.ignored",
        "policy.rules.archive",
        "wheel.member",
        "policy.rules.missing",
        "musl.releases",
        "policy.rules.libraries",
    ),
    *(
        "policy.rules.dist_info",
        "policy.rules.installation",
        "policy.rules.soundness",
        "wheel.fields",
    ),
    *(
        "loader.needs",
        "wheel.package",
        "policy.rules.package",
        "report.text",
        "policy.verdict",
        "system.progress",
        "policy.question",
        "musl.relocations",
    ),
    *(
        "system.regular",
        "report.check",
        "loader.resolve",
        "loader.rpath",
        "policy.rules.loading",
        "loader.scan",
        "musl.tags",
        "system.values",
        "system.workers",
    ),
    *(
        "loader.closures",
        "loader.loading",
        "loader.search",
        "loader.settled",
        "loader.supplied",
        "loader.unloaded",
        "wheel.zip.directory",
    ),
)
#: What a check loads beside that.
CHECKS: Final = own(
    *(
        "policy.check_wheel",
        "cli.main",
        "policy.check",
        "wheel.member_names",
        "policy.reach",
        "system.signals",
        "report.terminal",
        "wheel.archive",
    ),
    *("wheel.zip.inflate", "wheel.reader", "wheel.zip.member", "wheel.zip.reader"),
)
#: What a build in a musl Python loads beside that, where nothing is bundled and nothing changed.
BUILDS: Final = OURS | own(
    *(
        "wheel.packer",
        "repair.finish",
        "repair.free_names",
        "build.invocation",
        "repair.layout",
        "repair.request",
        "report.build",
        "repair.libraries",
        "system.paths",
    ),
    *(
        "wheel.zip.inflate",
        "wheel.member_names",
        "build.pipeline",
        "repair.plan",
        "system.atomic",
        "system.signals",
        "report.terminal",
    ),
    *(
        "system.trees",
        "wheel.name",
        "wheel.archive",
        "wheel.writer",
        "wheel.zip.writer",
        "wheel.zip.member",
        "wheel.zip.reader",
        "wheel.zip.zlibs",
    ),
)
#: What takes long to import, or runs programs, reads archives, talks to others.
HEAVY: Final = {
    *("asyncio", "concurrent", "ctypes", "email", "hashlib", "http", "json", "logging"),
    *("lzma", "multiprocessing", "packaging", "scikit_build_core", "shutil", "socket", "ssl"),
    *("subprocess", "tempfile", "threading", "tomllib", "urllib.request", "xml", "zipfile"),
}
#: What takes long without need where named tuples and plain files do.
NEEDLESS: Final = {
    *("dataclasses", "difflib", "fnmatch", "importlib.resources", "inspect", "pathlib"),
    *("argparse", "encodings.cp437", "gettext", "locale", "platform", "random", "urllib"),
    *("re", "typing"),
}
#: All that judges, without what reads the wheel.
JUDGE: Final = """\
from muslbackend.cli import main
from muslbackend.loader import resolve, scan
from muslbackend.musl import alpine, releases
from muslbackend.policy import reach, verdict
from muslbackend.policy.rules import package
from muslbackend.report import check
releases.todays(releases.ARCHITECTURES["x86_64"])
alpine.alpine_with(releases.MuslVersion(1, 2, 0))
"""
CHECK: Final = "from muslbackend.cli.main import main\nmain(['check', {wheel!r}])"
WHEEL: Final = "demo-1-cp311-cp311-musllinux_1_2_x86_64.whl"
ASK: Final = "muslbackend.get_requires_for_build_wheel({'musl.target': 'auto'})"
#: A musl Python, whose scikit-build-core has just run CMake and lists what it installed.
BUILD: Final = """\
from muslbackend.build import hooks, skbuild
from muslbackend.musl.tags import Facts
from packaging.tags import Tag

suffix = ".cpython-311-x86_64-linux-musl.so"
hooks.read_facts = lambda: Facts("linux", suffix, "x86_64", "/lib/ld-musl-x86_64.so.1")

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
from muslbackend.build import settings, skbuild
from muslbackend.build.cross import python
from muslbackend.musl import tags
tags.decide(settings.parse_settings({}, {}, {}), python.read_facts())
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


def test_a_hook_that_passes_through_loads_little_of_us(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    names = loaded(f"import muslbackend\n{ASK}", tmp_path)
    assert among({"muslbackend"}, names) == OURS
    # It did ask scikit-build-core.
    assert "scikit_build_core.build" in names


def test_what_it_loads_of_us_loads_nothing_heavy(tmp_path: Path) -> None:
    names = loaded(DECIDE, tmp_path)
    assert OURS - names == {
        "muslbackend.build.hooks"
    }  # which asks scikit-build-core what it offers
    # From Python 3.12 on, sysconfig loads threading.
    assert among(HEAVY, names - loaded("import sysconfig", tmp_path)) == set()


def test_an_ordinary_build_loads_nothing_that_it_has_no_use_for(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    library = tmp_path / "libcore.so"
    library.write_bytes(extension())
    names = loaded(BUILD.format(library=str(library)), tmp_path)
    assert [path.name for path in (tmp_path / "dist").iterdir()] == [WHEEL]
    assert among({"muslbackend"}, names) == JUDGES | BUILDS
    # scikit-build-core loads of what is heavy what it needs itself.
    assert among({"concurrent", "email", "http", "xml"}, names) == set()


def test_what_judges_loads_nothing_heavy(tmp_path: Path) -> None:
    names = loaded(JUDGE, tmp_path)
    assert "muslbackend.policy.rules.loading" in names
    assert among(HEAVY | NEEDLESS, names) == set()


def test_a_check_loads_beside_that_only_what_reads_archives(tmp_path: Path) -> None:
    wheel = tmp_path / WHEEL
    write(wheel, {"demo/_core.cpython-311-x86_64-linux-musl.so": extension()})
    names = loaded(CHECK.format(wheel=str(wheel)), tmp_path)
    assert among({"muslbackend"}, names) == JUDGES | CHECKS
    assert among(HEAVY | NEEDLESS, names) == set()


def test_a_page_loads_what_makes_it(tmp_path: Path) -> None:
    # Or that it is loaded by nothing else would show nothing.
    code = (
        "from muslbackend.cli.main import main\nmain(['check', '--html', 'page.html', 'gone.whl'])"
    )
    names = loaded(code, tmp_path)
    assert names >= own("page", "pagewheel", "matrix", "drawing", "treemap", "explain")
    assert (tmp_path / "page.html").is_file()


def test_what_is_heavy_is_seen(tmp_path: Path) -> None:
    assert loaded("import zipfile", tmp_path) >= {"zipfile"}
