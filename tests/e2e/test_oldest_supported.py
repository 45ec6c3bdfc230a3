"""The two ways into scikit-build-core, older releases of it, and the oldest zig."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from muslbackend.build.cross.zig import ZIG_REQUIREMENT
from support.projects import skbuild
from support.projects.building import PROJECT, build, members, run

if TYPE_CHECKING:
    from pathlib import Path

OLDEST_ZIG = "0.16.0"

#: A scikit-build-core whose wheel writer was renamed; only the hooks remain.
WITHOUT_SEAM = """
import sys, scikit_build_core.build.wheel as module
from muslbackend.build import hooks, skbuild
skbuild._writer_class = lambda: None
print(hooks.build_wheel(sys.argv[1], {"musl.target": "x86_64"}))
"""


@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_without_the_wheel_writer_the_same_wheel_is_made(example: Path, tmp_path: Path) -> None:
    direct = build(example, "musl.target=x86_64")
    folder = tmp_path / "fallback"
    folder.mkdir()
    script = f"import os; os.chdir({str(example)!r})" + WITHOUT_SEAM
    fallback = run([sys.executable, "-c", script, str(folder)], folder)
    assert "has an unknown wheel writer; reading its finished wheel" in fallback.output
    assert "its wheel is read back" not in direct.output
    assert fallback.wheel.name == direct.wheel.name
    assert list(members(fallback.wheel)) == list(members(direct.wheel))
    assert members(fallback.wheel) == members(direct.wheel)


@pytest.mark.network
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_older_releases_of_scikit_build_core_give_the_same_files(
    example: Path, cache: Path
) -> None:
    """Each takes precedence over the installed one."""
    wheels = {}
    for version in skbuild.RELEASES:
        folder = str(skbuild.release(version, cache))
        made = build(example, "musl.target=x86_64", environ={"PYTHONPATH": folder})
        assert "its wheel is read back" not in made.output
        wheels[version] = members(made.wheel)
        assert f"(scikit-build-core {version})" in _wheel_file(wheels[version])
        made.wheel.unlink()
    newest = wheels.pop(skbuild.NEWEST)
    assert all(_code(older) == _code(newest) for older in wheels.values())


def test_the_oldest_release_is_the_required_one() -> None:
    required = f'"scikit-build-core>={skbuild.OLDEST},'
    assert required in (PROJECT / "pyproject.toml").read_text()


@pytest.mark.network
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_the_oldest_supported_zig_compiles_the_examples(example: Path, tmp_path: Path) -> None:
    assert f"ziglang>={OLDEST_ZIG.removesuffix('.0')}," in ZIG_REQUIREMENT
    target = _install(f"ziglang=={OLDEST_ZIG}", tmp_path)
    built = build(example, "musl.target=x86_64", environ={"PYTHONPATH": str(target)})
    assert "loads on  musl 1.1.0 and later" in built.output
    assert sum(name.startswith("motto.libs/") for name in members(built.wheel)) == 2


def _install(requirement: str, folder: Path) -> Path:
    """Install one package into a folder that can take precedence over all others."""
    target = folder / "oldest"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, requirement], check=True)
    return target


def _wheel_file(contents: dict[str, bytes]) -> str:
    return next(data.decode() for name, data in contents.items() if name.endswith("/WHEEL"))


def _code(contents: dict[str, bytes]) -> dict[str, bytes]:
    """All members except for the metadata, which name the release."""
    return {name: data for name, data in contents.items() if ".dist-info/" not in name}
