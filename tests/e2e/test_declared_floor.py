"""The floor that a wheel declares in its ``WHEEL`` file: builds write it, other tools keep it."""

from __future__ import annotations

import sys
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from support.projects import frontends
from support.projects.building import EXTENSION, PY, build, members, run, write_project
from support.tools.marks import CROSSES
from support.wheels.builders import gcc_library
from support.wheels.wheels import write

if TYPE_CHECKING:
    from support.projects.frontends import User

pytestmark = pytest.mark.network

TOOLS: Final = Path(frontends.__file__).with_name("wheeltools.txt")
TWINE: Final = Path(frontends.__file__).with_name("twine.txt")
LATE: Final = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
ABOUT: Final = "demo-1.0.dist-info/WHEEL"
TAG: Final = "cp311-cp311-musllinux_1_2_x86_64"
HEADERS: Final = (
    f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {TAG}\n"
    "Musl-Floor: 1.2.5\n\n"
)


def declares(wheel: Path) -> str | None:
    """Return what a wheel declares, as Python's email package reads it."""
    with zipfile.ZipFile(wheel) as archive:
        value = message_from_bytes(archive.read(ABOUT))["Musl-Floor"]
    return None if value is None else str(value)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that requires musl 1.2.5 and declares that."""
    core = gcc_library(
        "long preadv2(void); long PyInit__core(void) { return preadv2(); }", "-shared"
    )
    files = {"demo/_core.so": core, "demo/__init__.py": b"", ABOUT: HEADERS.encode()}
    (tmp_path / "dist").mkdir()
    return write(tmp_path / "dist" / f"demo-1.0-{TAG}.whl", files)


def test_pip_uv_and_installer_accept_the_wheel(
    wheel: Path, user: User, cache: Path, tmp_path: Path
) -> None:
    only = ["--no-index", "--no-deps"]
    pip = ["--platform", "musllinux_1_2_x86_64", "--python-version", "3.11", "--only-binary=:all:"]
    uv = ["--python-platform", "x86_64-unknown-linux-musl", "--python-version", "3.11"]
    python = user.venv(tmp_path / "venv")
    user.pip(python, tmp_path, "install", *only, *pip, "--target", tmp_path / "pip", wheel)
    user.uv(tmp_path, "pip", "install", *only, *uv, "--target", tmp_path / "uv", wheel)
    installer = frontends.install(cache, TOOLS)
    user.run(tmp_path, installer, "-m", "installer", "--prefix", tmp_path / "installer", wheel)
    for name in ("pip", "uv", "installer"):
        (installed,) = (tmp_path / name).rglob("WHEEL")
        assert installed.read_text("utf-8") == HEADERS


def test_tools_that_inspect_wheels_find_no_errors(
    wheel: Path, user: User, cache: Path, tmp_path: Path
) -> None:
    said = user.run(tmp_path, frontends.install(cache, TWINE), "-m", "twine", "check", wheel)
    assert "PASSED" in said
    assert "requires no external shared libraries" in user.module(
        tmp_path, "auditwheel", "show", wheel
    )


def test_tools_that_rewrite_a_wheel_keep_the_floor(
    wheel: Path, user: User, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool: list[str | Path] = [frontends.install(cache, TOOLS), "-m", "wheel"]
    user.run(tmp_path, *tool, "unpack", "-d", "unpacked", wheel)
    (tmp_path / "packed").mkdir()
    user.run(tmp_path, *tool, "pack", "-d", "packed", "--build-number", "3", "unpacked/demo-1.0")
    (packed,) = (tmp_path / "packed").iterdir()
    assert declares(packed) == "1.2.5"
    assert main(["check", str(packed)]) == 0
    user.run(tmp_path, *tool, "tags", "--platform-tag", "musllinux_1_1_x86_64", wheel)
    older = wheel.with_name(wheel.name.replace("_1_2_", "_1_1_"))
    assert declares(older) == "1.2.5"
    # The tag was changed without the declaration.
    assert main(["check", str(older)]) == 1
    assert "Musl-Floor: 1.2.5: the tag of the wheel is musllinux_1_1" in capsys.readouterr().out


@CROSSES
def test_a_build_declares_its_floor_and_its_wheel_is_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project", {"demo.c": LATE})
    made = build(project, "musl.target=x86_64", "musl.floor=1.2.5")
    assert made.wheel.name == f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    assert declares(made.wheel) == "1.2.5"
    (warning,) = (line for line in made.output.splitlines() if "MB148" in line)
    assert warning == (
        f"warning[MB148] {made.wheel.name}: musllinux_1_2 promises musl 1.2.0, but "
        "the wheel requires 1.2.5 (Alpine 3.20): pip installs it on older "
        "releases too"
    )
    assert main(["check", str(made.wheel)]) == 0
    assert "declared from 1.2.5, Alpine 3.20" in capsys.readouterr().out
    assert main(["check", "--floor", "1.2.0", str(made.wheel)]) == 1


@CROSSES
def test_a_floor_that_the_tag_expresses_leaves_the_wheel_unchanged(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    plain = build(project, "musl.target=x86_64").wheel
    before, files = plain.read_bytes(), members(plain)
    plain.unlink()
    named = build(project, "musl.target=x86_64", "musl.floor=1.2.0").wheel
    assert named.read_bytes() == before
    assert declares(named) is None
    named.unlink()
    later = build(project, "musl.target=x86_64", "musl.floor=1.2.5")
    assert declares(later.wheel) == "1.2.5"
    # Its files require only what the tag promises.
    assert "MB148" not in later.output
    changed = {name for name, data in members(later.wheel).items() if files.get(name) != data}
    assert changed == {ABOUT, "demo-1.0.dist-info/RECORD"}


@CROSSES
def test_prepared_metadata_declare_the_same_floor_as_the_wheel(tmp_path: Path) -> None:
    def ask(hook: str, *args: str | dict[str, str]) -> None:
        script = f"import muslbackend; muslbackend.{hook}(*{args!r})"
        done = run(["env", "-C", str(project), sys.executable, "-c", script], project)
        assert done.status == 0, done.output

    project = write_project(tmp_path / "project", {"demo.c": LATE})
    (tmp_path / "prepared").mkdir()
    config = {"musl.target": "x86_64", "musl.floor": "1.2.5"}
    ask("prepare_metadata_for_build_wheel", str(tmp_path / "prepared"), config)
    info = tmp_path / "prepared/demo-1.0.dist-info"
    announced = (info / "WHEEL").read_bytes()
    assert message_from_bytes(announced)["Musl-Floor"] == "1.2.5"
    ask("build_wheel", str(tmp_path / "out"), config, str(info))
    (made,) = (tmp_path / "out").iterdir()
    written = members(made)[ABOUT]
    assert announced.replace(b"-linux_", b"-musllinux_1_2_") == written


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        ("0.9", "musl.floor = '0.9': musl 0.9.0 is not a known release (1.1.0 to 1.2.6)"),
        ("1.2.99", "musl.floor = '1.2.99': musl 1.2.99 is not a known release (1.1.0 to 1.2.6)"),
    ],
)
def test_a_build_for_an_unknown_musl_stops_before_compiling(
    tmp_path: Path, floor: str, said: str
) -> None:
    project = write_project(tmp_path / "project", {})
    made = build(project, "musl.target=x86_64", f"musl.floor={floor}")
    assert made.status != 0
    assert said in made.output
    assert "CMake" not in made.output


@CROSSES
def test_a_tag_for_an_unknown_musl_is_refused(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", {})
    made = build(project, "musl.target=x86_64", f"wheel.tags={PY}-{PY}-musllinux_1_3_x86_64")
    assert made.status != 0
    assert "a tag of the wheel promises musl 1.3.0, which is not a known release" in made.output
