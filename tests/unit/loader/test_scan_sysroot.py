"""What is taken for the unpacked root of a musl system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.errors import SettingsError
from muslbackend.repair.libraries import read_sysroot
from support.wheels.builders import X86_64

if TYPE_CHECKING:
    from pathlib import Path


def refusal(base: Path) -> tuple[str, str | None]:
    with pytest.raises(SettingsError) as caught:
        read_sysroot(base, "root", X86_64)
    return caught.value.message, caught.value.hint


def test_it_is_relative_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "root/usr/lib").mkdir(parents=True)
    assert read_sysroot(tmp_path / "project", "../root", X86_64) == tmp_path / "root"
    assert read_sysroot(tmp_path, str(tmp_path / "root"), X86_64) == tmp_path / "root"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"sysroot = root: there is no folder {tmp_path / 'root'}",
        "give the folder into which an Alpine root was unpacked",
    )


def test_a_folder_that_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "root/include").mkdir(parents=True)
    assert refusal(tmp_path) == (
        f"sysroot = root: {tmp_path / 'root'} has no lib, usr/lib, usr/local/lib",
        "give the root itself, which contains usr",
    )


@pytest.mark.parametrize("name", ["ld-musl-aarch64.so.1", "ld-linux-aarch64.so.1"])
def test_a_root_for_something_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "root/lib").mkdir(parents=True)
    (tmp_path / "root/lib" / name).touch()
    assert refusal(tmp_path) == (
        f"sysroot = root: its loader is {name}, not ld-musl-x86_64.so.1",
        "give the root of a system with musl for x86_64",
    )
    (tmp_path / "root/lib/ld-musl-x86_64.so.1").touch()
    assert read_sysroot(tmp_path, "root", X86_64) == tmp_path / "root"
