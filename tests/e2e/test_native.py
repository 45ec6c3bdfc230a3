"""Native builds inside a musl CPython: ``pip wheel`` compiles with the system's compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.projects.building import (
    EXTENSION,
    PY,
    PipWheel,
    assert_record_is_true,
    members,
    pip_install,
    python,
    write_project,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.network
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
def test_pip_wheel_on_a_musl_python_bundles_and_tags(
    example: Path, pip_wheel: PipWheel, musl_venv: Path
) -> None:
    result = pip_wheel(example)
    assert result.wheel.name == f"motto-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"
    assert_record_is_true(result.wheel)
    assert sum(name.startswith("motto.libs/") for name in members(result.wheel)) == 2
    pip_install(musl_venv, result.wheel)
    assert python(musl_venv, "import motto; print(motto.motto())") == "The tag is a promise\n"


@pytest.mark.network
def test_a_promise_that_cannot_be_kept_becomes_a_plain_tag_with_the_reasons(
    tmp_path: Path, pip_wheel: PipWheel, musl_venv: Path
) -> None:
    source = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
    project = write_project(tmp_path / "project", {"demo.c": source})
    result = pip_wheel(project)
    assert result.wheel.name == f"demo-1.0-{PY}-{PY}-linux_x86_64.whl"
    assert "promises no musl release: a musllinux tag would not be true" in result.output
    assert "error[MB103]" in result.output
    assert (
        "requires preadv2, available since musl 1.2.5; the wheel must load on musl 1.2.0"
    ) in result.output
    # A local install still works: this musl is 1.2.5.
    pip_install(musl_venv, result.wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "0\n"

    result.wheel.unlink()
    strict = pip_wheel(project, "musl.strict=true")
    assert strict.status != 0
    assert "the wheel cannot be tagged musllinux_1_2_x86_64; nothing was written" in strict.output
    assert not list(strict.folder.iterdir())


@pytest.mark.network
def test_a_library_in_the_system_folder_is_bundled(
    tmp_path: Path, musl_python: Path, pip_wheel: PipWheel, musl_venv: Path
) -> None:
    """The loader's path file names the folder; here it is the interpreter's lib folder."""
    source = EXTENSION.format(
        declare="const char *zlibVersion(void);", call="zlibVersion()[0] - '0'"
    )
    libz = musl_python.resolve().parents[1] / "lib" / "libz.so.1"
    link = f"target_link_libraries(_demo PRIVATE {libz})\n"
    skip_rpath = "set_target_properties(_demo PROPERTIES SKIP_BUILD_RPATH ON)\n"
    files = {"demo.c": source, "extra.cmake": link + skip_rpath}
    result = pip_wheel(write_project(tmp_path / "project", files))
    assert f"bundled   {libz} as demo.libs/libz-" in result.output
    pip_install(musl_venv, result.wheel)
    assert python(musl_venv, "import demo; print(demo.run())") == "1\n"


def test_mb107_names_the_suffixes_that_a_musl_python_imports(musl_python: Path) -> None:
    asked = (
        "import importlib.machinery as m, sys; print(*sys.version_info[:2], *m.EXTENSION_SUFFIXES)"
    )
    major, minor, *suffixes = python(musl_python, asked).split()
    assert {".abi3.so", ".so", f".cpython-{major}{minor}-x86_64-linux-musl.so"} <= set(suffixes)
    assert (".abi3-x86_64-linux-musl.so" in suffixes) == (int(minor) >= 15)
    assert not [name for name in suffixes if "-linux-" in name and "-linux-musl" not in name]
