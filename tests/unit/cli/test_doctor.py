"""``muslbackend doctor`` on this machine: the survey, and the foreseen build of a project."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from muslbackend.build import skbuild
from muslbackend.build.cross import emulation
from muslbackend.build.settings import names
from muslbackend.cli.doctor import examine, survey
from muslbackend.cli.doctor.diagnosis import Compiling, Machine, Running, Tool, Trouble
from muslbackend.cli.main import main
from muslbackend.errors import ToolError
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import Facts
from support.projects.building import write_project
from support.tools.doctored import SCHEMA, TOOLS, able, machine, without
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.cli.doctor.report import Build, Project

ZIG_MISSING = "zig is required to compile for musl, but no supported release was found"


@pytest.fixture(autouse=True)
def nobody_names_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the loader, in case the tests run in a musl CPython on another machine."""
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)


def program(path: Path, script: str) -> Path:
    """Write a program that a shell runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def loader(path: Path, release: str) -> Path:
    """Write a program that prints the output of musl's loader."""
    return program(path, f"echo 'musl libc (any)' >&2; echo 'Version {release}' >&2; exit 1")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the only one on PATH."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(emulation, "_ROOT", tmp_path / "root")
    monkeypatch.setattr(survey, "_FORMATS", tmp_path / "binfmt_misc")
    return folder


def seen() -> Machine:
    return survey.look(os.environ)


def running(arch: str) -> Running:
    return seen().abilities[arch].running


def test_tools_are_found_with_their_versions(bare: Path) -> None:
    program(bare / "patchelf", "echo patchelf 0.18.0")
    program(bare / "llvm-strip", "")
    assert seen().tool("patchelf") == Tool("patchelf", str(bare / "patchelf"), "0.18.0")
    assert seen().tool("strip") == Tool("strip", str(bare / "llvm-strip"))
    for script, version in (("echo patchelf 0.17.2", "0.17.2"), ("exit 1", "")):
        program(bare / "patchelf", script)
        old = Tool("patchelf", str(bare / "patchelf"), version, usable=False)
        assert seen().tool("patchelf") == old


@CROSSES
def test_the_usable_zig_is_shown(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muslbackend.build.cross.zig._zig_programs", list)
    assert seen().tool("zig") == Tool("zig")
    assert seen().abilities["x86_64"].trouble == Trouble(
        ZIG_MISSING, "pip install 'ziglang>=0.16,<0.18'"
    )
    old = str(program(bare / "zig", "echo 0.13.0"))
    new = str(program(tmp_path / "zig", "echo 0.17.0"))
    monkeypatch.setattr("muslbackend.build.cross.zig._zig_programs", lambda: [old])
    assert seen().tool("zig") == Tool("zig", old, "0.13.0", usable=False)
    monkeypatch.setattr("muslbackend.build.cross.zig._zig_programs", lambda: [old, new])
    assert seen().tool("zig") == Tool("zig", new, "0.17.0")
    assert seen().has("zig")


def test_zlib_ng_is_seen_where_it_is_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = ModuleType("zlib_ng.zlib_ng")
    fast.__file__ = "/site/zlib_ng.so"
    monkeypatch.setattr(survey, "zlib", fast)
    assert seen().tool("zlib-ng").path == "/site/zlib_ng.so"
    monkeypatch.setattr(survey, "zlib", ModuleType("zlib"))
    assert seen().tool("zlib-ng") == Tool("zlib-ng")
    assert bare.is_dir()


def test_compilers_are_queried(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [tool.name for tool in seen().tools] == ["cc", "c++", *TOOLS]
    assert seen().tool("cc") == Tool("cc")
    macros = "echo '#define __linux__ 1'; echo '#define __x86_64__ 1'"
    program(bare / "gcc", f"{macros}; echo '#define __GLIBC__ 2'")
    assert seen().tool("cc") == Tool("cc", str(bare / "gcc"), note="compiles for glibc on x86_64")
    program(bare / "g++", "exit 1")
    assert seen().tool("c++").note == "does not compile for Linux, or does not work"
    program(bare / "musl cc", macros)
    monkeypatch.setenv("CC", f"'{bare}/musl cc' -O2")
    assert seen().tool("CC") == Tool(
        "CC", f"'{bare}/musl cc' -O2", note="compiles for musl on x86_64"
    )
    compiling = seen().abilities["x86_64"].compiling
    assert compiling is not None
    assert compiling.description == f"'{bare}/musl cc' -O2"
    assert compiling.languages == ("c",)


def test_a_musl_python_uses_the_compiler_of_the_machine(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = str(loader(bare / "ld-musl-x86_64.so.1", "1.2.4"))
    facts = Facts("linux", ".cpython-311-x86_64-linux-musl.so", "x86_64", loads)
    monkeypatch.setattr(survey, "read_facts", lambda: facts)
    monkeypatch.setattr(survey, "own_loader", lambda _: Path(loads))
    found = seen()
    assert found.native == "x86_64"
    assert (found.python.libc, found.python.libc_version) == ("musl", "1.2.4")
    # A cross build may have zig; a native one takes what there is.
    assert found.abilities["x86_64"].compiling is None
    # Nor does it take programs that a script would tell others by.
    assert running("x86_64") == Running(loads, "", "1.2.4", None)
    macros = "echo '#define __linux__ 1'; echo '#define __x86_64__ 1'"
    cc = program(bare / "cc", macros)
    assert seen().abilities["x86_64"].compiling == Compiling(str(cc), ("c",))
    program(bare / "c++", macros)
    assert seen().abilities["x86_64"].compiling == Compiling(str(cc), ("c", "c++"))
    program(cc, f"{macros}; echo '#define __GLIBC__ 2'")
    assert seen().abilities["x86_64"].compiling is None


def test_loaders_and_qemu_are_run(bare: Path, tmp_path: Path) -> None:
    here, away = "s390x", "ppc64le"
    assert platform.machine() not in (here, away)
    places = {
        arch: tmp_path / f"root/lib/{ARCHITECTURES[arch].loader_name}" for arch in (here, away)
    }
    assert running(here).trouble is not None
    assert (running(here).loader, running(here).qemu) == ("", None)
    places[here].parent.mkdir(parents=True)
    places[here].touch()
    trouble = running(here).trouble
    assert trouble is not None
    assert trouble.message == (
        "this machine runs no programs for s390x: there is no qemu-s390x on PATH"
    )
    qemu = loader(bare / "qemu-s390x", "1.2.3")
    for tool in ("dd", "grep", "od", "tr"):
        trouble = running(here).trouble
        assert trouble is not None
        assert trouble.message.startswith("cross builds require dd, grep, od, tr to run programs;")
        assert tool in trouble.message.partition("not on PATH: ")[2]
        assert trouble.hint == "install coreutils and grep"
        program(bare / tool, "")
    assert running(here) == Running(str(places[here]), str(qemu), "1.2.3", None)
    loader(places[away], "1.2.5")  # the kernel runs it, or binfmt_misc does
    assert running(away) == Running(str(places[away]), "", "1.2.5", None)
    program(qemu, "exit 1")
    trouble = running(here).trouble
    assert trouble is not None
    assert "is not a working musl loader for s390x" in trouble.message


def test_binfmt_formats_of_qemu_are_read(bare: Path, tmp_path: Path) -> None:
    assert seen().formats == ()
    formats = tmp_path / "binfmt_misc"
    formats.mkdir()
    for name, text in (
        ("qemu-s390x", "enabled\n"),
        ("qemu-arm", "disabled\n"),
        ("python3.11", "enabled\n"),
    ):
        (formats / name).write_text(text)
    (formats / "qemu-dir").mkdir()
    assert seen().formats == ("qemu-s390x",)
    assert bare.is_dir()


@pytest.mark.parametrize(
    ("release", "packages"),
    [
        ({"ID": "debian"}, "apt"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt"),
        ({"ID": "alpine"}, "apk"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ({"ID": "arch"}, ""),
        (None, ""),
    ],
)
def test_the_package_manager_follows_from_os_release(
    release: Mapping[str, str] | None, packages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> Mapping[str, str]:
        if release is None:
            raise OSError
        return release

    monkeypatch.setattr(platform, "freedesktop_os_release", told)
    assert seen().packages == packages


def test_missing_headers_are_reported(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {"include": str(bare)}
    monkeypatch.setattr("sysconfig.get_path", paths.get)
    python = seen().python
    assert python.headers == ""
    assert python.trouble is not None
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert python.trouble.message == (
        f"the headers of Python {version} are missing: there is no {bare / 'Python.h'}"
    )
    assert python.trouble.hint.startswith(f"install them: apt install python{version}-dev ")


# What a build of a project would do.


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of muslbackend, on a complete machine."""
    has(monkeypatch, machine())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_project(tmp_path / "project", {})


def has(monkeypatch: pytest.MonkeyPatch, found: Machine) -> None:
    monkeypatch.setattr(survey, "look", lambda _: found)


def facts(monkeypatch: pytest.MonkeyPatch, *, musl: bool = False, **changes: str) -> None:
    """Make the interpreter one for glibc or for musl."""
    loads = "/lib/ld-musl-x86_64.so.1" if musl else "/lib64/ld-linux-x86-64.so.2"
    suffix = f".cpython-311-x86_64-linux-{'musl' if musl else 'gnu'}.so"
    told = Facts("linux", suffix, "x86_64", loads)._replace(**changes)
    monkeypatch.setattr(examine, "read_facts", lambda: told)


def of(project: Path, **config: str) -> Project:
    found = examine.examine(project, {f"musl.{key}": value for key, value in config.items()})
    assert found.project is not None
    return found.project


def built(project: Path, **config: str) -> Build:
    found = of(project, **{"target": "aarch64", **config}).build
    assert found is not None
    return found


def test_a_cross_build_is_foreseen(project: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    build = built(project, floor="1.2.3")
    assert sorted(tmp_path.rglob("*")) == before
    assert (build.possible, build.trouble, build.fetched) == (True, None, ())
    assert (build.arch, build.tag) == ("aarch64", "musllinux_1_2_aarch64")
    assert (build.floor, build.native, build.strict) == ("1.2.3", False, True)
    assert build.compiler.endswith("compiles for musl on aarch64")
    assert build.environment["_PYTHON_HOST_PLATFORM"] == "linux-aarch64"
    assert "toolchain.cmake" in build.environment["CMAKE_ARGS"]
    assert str(tmp_path / "cache") in build.environment["CMAKE_ARGS"]


def test_settings_are_shown_with_their_places(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "pyproject.toml"
    table = '\n[tool.muslbackend]\nfloor = "1.2.3"\nexclude = ["libz.so.1"]\nstrict = true\n'
    file.write_text(file.read_text() + table)
    monkeypatch.setenv("MUSLBACKEND_STRICT", "false")
    told = {setting.name: setting for setting in of(project, exclude="libq.so").settings}
    assert list(told) == list(names())
    assert [(told[name].value, told[name].place) for name in ("exclude", "strict", "verify")] == [
        (("libq.so",), "-C musl.exclude"),
        (False, "MUSLBACKEND_STRICT"),
        (False, "default"),
    ]
    assert str(told["floor"].value) == "1.2.3"
    assert told["floor"].place == "tool.muslbackend.floor"


def test_a_native_build_uses_the_compiler_of_the_machine(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts(monkeypatch, musl=True)
    has(monkeypatch, machine(native="x86_64"))
    build = built(project, target="auto")
    assert (build.native, build.strict, build.possible) == (True, False, True)
    assert build.compiler == "zig 0.17.0"
    has(monkeypatch, machine(native="x86_64", abilities=able("x86_64", compiling=None)))
    build = built(project, target="auto")
    assert (build.possible, build.compiler, build.fetched) == (False, "", ())
    assert build.trouble == Trouble(
        "this machine lacks compiler", "install the needed tools listed above"
    )


def test_tools_that_an_isolated_build_installs_are_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, machine(tools=without("cmake", "ninja", "make")))
    build = built(project)
    assert build.trouble == Trouble(
        "this machine lacks cmake, ninja", "install the needed tools listed above"
    )
    assert (build.possible, build.fetched) == (False, ("cmake", "ninja"))
    monkeypatch.setattr("muslbackend.build.cross.zig._zig_programs", list)
    lacking = {"tools": without("cmake"), "abilities": able(compiling=None)}
    has(monkeypatch, machine(**lacking))
    build = built(project)
    assert build.trouble == Trouble(ZIG_MISSING, "pip install 'ziglang>=0.16,<0.18'")
    assert build.fetched == ("cmake", "zig")
    assert build.requires[-1] == "ziglang>=0.16,<0.18"
    python = machine().python._replace(headers="", trouble=Trouble("no headers", "install them"))
    has(monkeypatch, machine(**lacking, python=python))
    assert built(project).fetched == ()


def test_a_build_without_cmake_requires_no_tools(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text() + "\n[tool.scikit-build]\nwheel.cmake = false\n")
    has(monkeypatch, machine(tools=without("cmake", "ninja", "make")))
    build = built(project)
    assert (build.possible, build.requires) == (True, ())


def test_a_toolchain_file_requires_no_zig(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "mine.cmake").touch()
    monkeypatch.setattr("muslbackend.build.cross.zig._zig_programs", list)
    has(monkeypatch, machine(abilities=able(compiling=None)))
    build = built(project, **{"toolchain-file": "mine.cmake"})
    assert (build.possible, build.trouble) == (True, None)
    assert build.compiler == f"{project / 'mine.cmake'} compiles for musl on aarch64"


def test_errors_that_would_stop_a_build_are_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: object) -> None:
        raise ToolError("there is no loader", hint="install musl")

    monkeypatch.setattr("muslbackend.build.cross.prepare.opener", stops)
    assert built(project).possible
    build = built(project, verify="true")
    assert (build.possible, build.trouble) == (False, Trouble("there is no loader", "install musl"))


@pytest.mark.parametrize(
    ("setting", "said", "reason"),
    [
        ("no-such = true", "no-such", ""),
        ('cmake = {version = ">=3.15", minimum-version = "3.15"}', "minimum-version", ""),
        ('minimum-version = "99"', "", ": scikit-build-core version "),
    ],
)
def test_complaints_of_scikit_build_core_are_shown(
    setting: str, said: str, reason: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "pyproject.toml"
    file.write_text(f"{file.read_text()}\n[tool.scikit-build]\n{setting}\n")
    build = built(project)
    assert (build.possible, build.fetched) == (False, ())
    assert build.trouble is not None
    words = "scikit-build-core cannot list the requirements of this project"
    assert build.trouble.message.startswith(words + reason)
    assert (build.trouble.message == words) == (not reason)
    assert build.trouble.hint == "fix the error that it reports"
    # In its own words, which are no result.
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_an_error_of_scikit_build_core_is_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(skbuild, "call", breaks)
    build = built(project)
    assert build.trouble is not None
    assert build.trouble.message == (
        "scikit-build-core cannot list the requirements of this project: out of order"
    )


@pytest.mark.parametrize(
    ("system", "backend", "remark"),
    [
        (
            'build-backend = "flit_core.buildapi"',
            "flit_core.buildapi",
            "built by flit_core.buildapi; to see if muslbackend can build it: muslbackend init",
        ),
        (
            "",
            "setuptools",
            "built by setuptools; to see if muslbackend can build it: muslbackend init",
        ),
    ],
)
def test_a_project_with_another_backend_has_no_build(
    system: str, backend: str, remark: str, project: Path
) -> None:
    (project / "pyproject.toml").write_text(f"[build-system]\nrequires = []\n{system}\n")
    found = of(project, target="aarch64")
    assert (found.name, found.backend, found.remark, found.build) == ("", backend, remark, None)


def test_an_in_tree_backend_may_call_muslbackend(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
        '[project]\nname = "demo"\nversion = "1"\n'
    )
    found = of(project, target="aarch64")
    assert found.remark == "in the project itself; the following applies if it calls muslbackend"
    assert found.build is not None
    assert found.build.possible


def test_without_a_target_the_reason_is_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts(monkeypatch)
    why = "an ordinary wheel of scikit-build-core: no target is set, and this Python "
    assert of(project).remark == f"{why}is not for musl"
    excluded = "is a mixed build: it runs on glibc"
    has(monkeypatch, machine(python=machine().python._replace(excluded=excluded)))
    assert of(project).remark == why + excluded
    assert of(project).build is None


# The examine.


def test_the_project_defaults_to_the_current_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    found = examine.examine(None, {}).project
    assert found is not None
    assert found.folder == str(project)
    monkeypatch.chdir(tmp_path)
    assert examine.examine(None, {}).project is None


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["doctor", *words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("musl", [True, False])
def test_the_exit_code_shows_if_a_wheel_can_be_built(
    musl: bool, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(project), "-C", "musl.target=aarch64"] if musl else []
    monkeypatch.chdir(project.parent)
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].partition("here")[0] in (
        "The wheel can be built ",
        "Wheels for musl can be built ",
    )
    has(monkeypatch, machine(tools=without("cmake")))
    status, out, err = run(capsys, *words)
    assert (status, err) == (1, "")
    assert "installs cmake from PyPI" in out.splitlines()[-1]
    status, out, err = run(capsys, "--json", *words)
    printed: dict[str, Any] = json.loads(out)
    jsonschema.validate(printed, SCHEMA)
    assert (status, printed["ok"], err) == (1, False, "")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["gone"], "gone: contains no pyproject.toml"),
        (["project", "-C", "musl.target=vax"], "target = 'vax' is not a known"),
        (["project", "-C", "musl.flor=1.2.3"], "flor"),
        (["project", "-C", "musl.toolchain-file=gone.cmake"], "there is no file"),
    ],
)
def test_settings_that_a_build_rejects_are_rejected(
    words: list[str],
    complaint: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project.parent)
    facts(monkeypatch)
    if "toolchain" in words[-1]:
        words = [*words, "-C", "musl.target=aarch64"]
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert complaint in err
    assert "\n  hint  " in err


def test_a_cc_that_is_not_a_command_is_rejected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "gcc '")
    status, _, err = run(capsys)
    assert status == 2
    assert "CC = gcc ' is not a valid command" in err
