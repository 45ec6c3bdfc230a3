"""Cross builds on this glibc machine: ``-C musl.target=ARCH`` makes wheels for a musl CPython."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from support.projects.building import PY, assert_record_is_true, build, members, pip_install, python
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_the_plain_example_is_cross_built_installed_and_used(
    example: Path, musl_venv: Path
) -> None:
    result = build(example, "musl.target=x86_64")
    soabi = f"cpython-{PY[2:]}-x86_64-linux-musl"

    assert result.wheel.name == f"plain-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    assert list(members(result.wheel)) == [
        "plain/__init__.py",
        f"plain/_plain.{soabi}.so",
        "plain-1.0.dist-info/METADATA",
        "plain-1.0.dist-info/WHEEL",
        "plain-1.0.dist-info/RECORD",
    ]
    assert_record_is_true(result.wheel)
    wheel_file = members(result.wheel)["plain-1.0.dist-info/WHEEL"].decode()
    assert f"Tag: {PY}-{PY}-musllinux_1_2_x86_64\n" in wheel_file
    assert "Root-Is-Purelib: false\n" in wheel_file
    assert "loads on  musl 1.1.0 and later" in result.output

    said = pip_install(musl_venv, result.wheel)
    assert "Successfully installed plain-1.0" in said
    assert "not a supported wheel" not in said
    used = python(musl_venv, "import plain; print(plain.hypotenuse(3, 4))")
    assert used == "5.0\n"


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_the_musl_python_accepts_the_tag_of_the_target(example: Path, musl_python: Path) -> None:
    wheel = build(example, "musl.target=musllinux_1_2_x86_64").wheel
    tag = "-".join(wheel.name.removesuffix(".whl").split("-")[2:])
    script = f"from pip._vendor.packaging import tags; print('{tag}' in map(str, tags.sys_tags()))"
    assert python(musl_python, script) == "True\n"


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_stored_files_equal_the_deflated_ones(example: Path, musl_venv: Path) -> None:
    usual = build(example, "musl.target=x86_64").wheel
    contents = members(usual)
    usual.unlink()
    stored = build(example, "musl.target=x86_64", "musl.compression-level=0").wheel
    with zipfile.ZipFile(stored) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert members(stored) == contents
    assert "Successfully installed plain-1.0" in pip_install(musl_venv, stored)


@pytest.mark.parametrize("example", ["chain"], indirect=True)
def test_the_same_tree_gives_the_same_bytes(example: Path, tmp_path: Path) -> None:
    # The rpath of one library names the build folder, which differs between builds.
    first = build(example, "musl.target=x86_64").wheel.read_bytes()
    elsewhere = tmp_path / "a folder of another name"
    example.rename(elsewhere)
    for file in (elsewhere / "dist").iterdir():
        file.unlink()
    assert build(elsewhere, "musl.target=x86_64").wheel.read_bytes() == first


@CROSSES
@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_the_build_folder_of_a_native_build_is_not_used_by_a_cross_build(example: Path) -> None:
    pyproject = example / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + 'build-dir = "build/{wheel_tag}"\n')
    native = build(example)
    assert "linux_x86_64" in native.wheel.name, native.output
    native.wheel.unlink()
    crossed = build(example, "musl.target=x86_64")
    assert crossed.wheel.name.endswith("-musllinux_1_2_x86_64.whl")
    # And again, into the folder of the first build.
    crossed.wheel.unlink()
    assert build(example, "musl.target=x86_64").wheel.name == crossed.wheel.name
