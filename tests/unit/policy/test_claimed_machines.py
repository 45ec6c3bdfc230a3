"""Each tag that a wheel's name claims is judged, for its own machine, however it is spelled."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli import main
from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.check import Question, check_wheel
from support.wheels import wheels
from support.wheels.builders import zig_library

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from muslbackend.policy.check import Checked

PLAIN: Final = "int PyInit__core(void) { return 0; }"
#: musl has it from 1.2.5 on.
NEWER: Final = "extern long preadv2(); long PyInit__core(void) { return preadv2(); }"
#: musl has it from 1.1.20 on.
OLDER: Final = "extern int memfd_create(); int PyInit__core(void) { return memfd_create(); }"


def native(arch: str, source: str = PLAIN) -> Mapping[str, bytes]:
    """Return an extension module, called so that a CPython of its machine imports it."""
    path = f"demo/_core.cpython-311-{arch}-linux-musl.so"
    return {"demo/__init__.py": b"", path: zig_library(arch, source=source)}


def checked(
    folder: Path, platform: str, files: Mapping[str, bytes], question: Question | None = None
) -> Checked:
    path = wheels.write(folder / f"demo-1.0-cp311-cp311-{platform}.whl", files)
    return check_wheel(path, question or Question())


def said(found: Checked) -> set[tuple[str, str]]:
    return {(f.severity.value, f.code) for f in found.verdict.findings}


@pytest.mark.parametrize(
    ("platform", "ok"),
    [
        ("musllinux_1_2_x86_64", True),
        ("musllinux_1_1_x86_64.musllinux_1_2_x86_64", True),
        ("musllinux_1_2_aarch64", False),
        ("musllinux_1_1_x86_64.musllinux_1_2_x86_64.musllinux_1_2_aarch64", False),
        ("musllinux_1_2_aarch64.musllinux_1_2_x86_64", False),
        ("linux_aarch64.musllinux_1_2_x86_64", True),
        ("manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_2_x86_64", True),
        ("linux_x86_64.musllinux_1_2_aarch64", False),
        ("musllinux_1_2_sparc64", False),
        ("musllinux_1_2_sparc64.musllinux_1_2_x86_64", False),
        ("MUSLLINUX_1_2_X86_64", True),
        ("Musllinux_1_2_AArch64.musllinux_1_2_x86_64", False),
    ],
)
def test_each_machine_needs_files_of_its_own(platform: str, ok: bool, tmp_path: Path) -> None:
    found = checked(tmp_path, platform, native("x86_64"))
    assert found.ok == ok
    assert found.claimed == tuple(sorted(platform.lower().split(".")))
    assert (("error", "MB106") in said(found)) != ok


def test_the_machine_without_files_is_named(tmp_path: Path) -> None:
    platform = "musllinux_1_2_aarch64.musllinux_1_2_sparc64.musllinux_1_2_x86_64"
    found = checked(tmp_path, platform, native("x86_64"))
    messages = [f.message for f in found.verdict.findings]
    assert "is tagged for aarch64, but contains no native code for it" in messages
    assert (
        "is tagged musllinux_1_2_sparc64, an architecture that muslbackend does not support"
    ) in messages
    assert found.earned is None


def test_files_for_both_machines_are_still_in_the_way_of_each_other(tmp_path: Path) -> None:
    both = {**native("x86_64"), **native("aarch64")}
    found = checked(tmp_path, "musllinux_1_2_aarch64.musllinux_1_2_x86_64", both)
    assert not found.ok
    assert not any("claims to be for" in f.message for f in found.verdict.findings)


def test_a_wheel_without_native_code_is_for_any_machine(tmp_path: Path) -> None:
    found = checked(tmp_path, "musllinux_1_2_sparc64.musllinux_1_2_x86_64", {"demo.py": b""})
    assert found.ok
    assert said(found) == set()


def test_each_machine_has_the_release_that_its_own_tag_claims(tmp_path: Path) -> None:
    old = checked(tmp_path, "musllinux_1_1_aarch64.musllinux_1_2_x86_64", native("x86_64", OLDER))
    floors = {f.message for f in old.verdict.findings if f.code == "MB103"}
    assert floors == {
        ("requires memfd_create, available since musl 1.1.20; the wheel must load on musl 1.1.0")
    }


def test_capitals_are_small_letters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "demo-1.0-cp311-cp311-MUSLLINUX_1_2_X86_64.whl"
    path = str(wheels.write(tmp_path / name, native("x86_64", NEWER)))
    assert main.main(["check", path]) == 1
    out = capsys.readouterr().out
    assert "musllinux_1_2_x86_64 is not true: loads on musl 1.2.5 and later" in out
    assert "MB140" not in out
    assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 1
    path = str(wheels.write(tmp_path / name, native("x86_64")))
    assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name.lower()]


def test_what_is_asked_is_asked_for_each_machine(tmp_path: Path) -> None:
    platform = "musllinux_1_2_aarch64.musllinux_1_2_x86_64"
    files = native("x86_64", NEWER)
    for question in (Question(floor=MuslVersion(1, 2, 5)), Question(against=MuslVersion(1, 2, 5))):
        found = checked(tmp_path, platform, files, question)
        assert {code for severity, code in said(found) if severity == "error"} == {"MB106", "MB107"}


@pytest.mark.parametrize("platform", ["linux_x86_64.any", "any.musllinux_1_2_x86_64"])
def test_any_beside_a_machine_is_not_true_of_native_code(
    platform: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheels.write(tmp_path / f"demo-1.0-cp311-cp311-{platform}.whl", native("x86_64"))
    assert main.main(["check", str(path)]) == 1
    assert "error[MB121] demo/_core.cpython-311-x86_64-linux-musl.so" in capsys.readouterr().out
    output = tmp_path / "out"
    assert main.main(["repair", str(path), "--output", str(output)]) == 0
    (made,) = output.iterdir()
    assert made.name == "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    with zipfile.ZipFile(made) as archive:
        about = archive.read("demo-1.0.dist-info/WHEEL").decode()
    assert [line for line in about.splitlines() if line.startswith("Tag:")] == [
        "Tag: cp311-cp311-musllinux_1_2_x86_64"
    ]
    assert main.main(["check", str(made)]) == 0
    assert "[MB" not in capsys.readouterr().out.rpartition("demo-1.0-cp311-cp311-musllinux")[2]


def test_any_beside_a_machine_is_true_without_native_code(tmp_path: Path) -> None:
    found = checked(tmp_path, "any.musllinux_1_2_x86_64", {"demo/__init__.py": b""})
    assert found.ok
    assert said(found) == set()
