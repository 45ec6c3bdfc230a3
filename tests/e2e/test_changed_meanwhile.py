"""Wheels that change while they are repaired: the result is a complete wheel, or an error."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.repair import repair
from muslbackend.repair.finish import finish
from muslbackend.wheel import reader
from support.projects.building import assert_record_is_true, members
from support.wheels import wheels
from support.wheels.builders import zig_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from muslbackend.repair.outcome import Outcome
    from muslbackend.repair.request import Material, Order

#: The tag is already true, so the repaired wheel has the same name.
FILE: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
CORE: Final = "demo/_core.so"
#: Larger than one block of reading, and not compressible.
NOISE: Final = random.Random(20).randbytes(3_000_000)  # noqa: S311
ROUNDS: Final = 20


def given(folder: Path, *, needy: bool = True) -> Path:
    """Return a wheel, in ``folder/in``, whose library is in ``folder/lib``."""
    for each in ("in", "lib"):
        (folder / each).mkdir()
    library = zig_library("x86_64", "-Wl,-soname,libf.so.1", source="int f(void) { return 1; }")
    (folder / "lib/libf.so.1").write_bytes(library)
    linked = (str(folder / "lib/libf.so.1"),) if needy else ()
    called = "f()" if needy else "1"
    source = f"int f(void);\nint PyInit__core(void) {{ return {called}; }}\n"
    core = zig_library("x86_64", *linked, source=source)
    files = {"demo/__init__.py": b"x = 1\n", CORE: core, "demo/noise.bin": NOISE}
    return wheels.write(folder / "in" / FILE, files)


def arguments(wheel: Path, output: Path) -> list[str]:
    return ["repair", str(wheel), "-o", str(output), "--library-dir", str(wheel.parents[1] / "lib")]


def test_two_repairs_in_place_at_once_leave_a_whole_wheel(tmp_path: Path) -> None:
    wheel = given(tmp_path)
    before = wheel.read_bytes()
    command = [sys.executable, "-m", "muslbackend", *arguments(wheel, wheel.parent)]
    for _ in range(ROUNDS):
        wheel.write_bytes(before)
        both = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate()[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        assert [path.name for path in wheel.parent.iterdir()] == [FILE]
        assert_record_is_true(wheel)
        assert members(wheel)["demo/noise.bin"] == NOISE
        assert any(name.startswith("demo.libs/libf-") for name in members(wheel))


def grown(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    """Change one compressed byte in the middle, and restore the modification time."""
    status = path.stat()
    with path.open("r+b") as stream:
        stream.seek(status.st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def copied_over(path: Path) -> None:
    """Write another wheel to the same file."""
    path.write_bytes(wheels.write(path.with_name("x-1-py3-none-any.whl"), {}).read_bytes())


def meanwhile(change: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a function after a wheel was read and before anything is written."""

    def changed(material: Material, order: Order) -> Outcome:
        change()
        return finish(material, order)

    monkeypatch.setattr(repair, "finish", changed)


@pytest.mark.parametrize("change", [grown, cut, overwritten, copied_over])
@pytest.mark.parametrize("needy", [True, False], ids=["to be repaired", "to be copied"])
def test_a_wheel_that_is_modified_meanwhile_is_an_error(
    change: Callable[[Path], None],
    *,
    needy: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wheel = given(tmp_path, needy=needy)
    meanwhile(lambda: change(wheel), monkeypatch)
    assert main(arguments(wheel, tmp_path / "out")) == 1
    said = capsys.readouterr().err
    assert f"{wheel}: changed while it was read; nothing was written" in said
    assert "hint  repair it again when nothing else writes to it" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("needy", [True, False], ids=["to be repaired", "to be copied"])
def test_a_wheel_that_is_replaced_meanwhile_is_repaired_from_the_old_contents(
    *, needy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = given(tmp_path, needy=needy)
    assert main(arguments(wheel, tmp_path / "undisturbed")) == 0
    other = wheels.write(tmp_path / "x-1-py3-none-any.whl", {})
    meanwhile(lambda: other.replace(wheel), monkeypatch)
    assert main(arguments(wheel, tmp_path / "out")) == 0
    (made,), (expected,) = (tmp_path / "out").iterdir(), (tmp_path / "undisturbed").iterdir()
    assert (made.name, made.read_bytes()) == (expected.name, expected.read_bytes())


def test_a_wheel_that_changes_while_it_is_read_is_not_reported_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = given(tmp_path)
    content = reader._content

    def changed(*args: object) -> object:
        with wheel.open("r+b") as stream:
            stream.write(bytes(wheel.stat().st_size))
        return content(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "_content", changed)
    assert main(arguments(wheel, tmp_path / "out")) == 1
    assert "changed while it was read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
