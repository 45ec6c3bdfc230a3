"""Messages for rare errors, each provoked by the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import muslbackend
from muslbackend.build import hooks, skbuild
from muslbackend.build.cross import compilers, python
from muslbackend.build.cross.zig import ZIG_REQUIREMENT
from muslbackend.cli import multibuild
from muslbackend.cli.main import main
from muslbackend.elf.edit import Edit
from muslbackend.errors import MalformedError, MuslBackendError, ToolError
from muslbackend.loader.graph import Supply
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import Facts
from muslbackend.repair import finish, patch
from muslbackend.repair.options import Options
from muslbackend.system.progress import Progress
from muslbackend.wheel.zip import reader
from muslbackend.wheel.zip.directory import ArchiveError
from muslbackend.wheel.zip.reader import open_zip
from support.wheels.builders import target_for
from support.wheels.rawzip import RARE, STORED, raw, write_raw

if TYPE_CHECKING:
    from pathlib import Path

    from support.wheels.rawzip import Raw


def test_a_missing_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="module 'muslbackend' has no attribute 'no_such'"):
        _ = muslbackend.no_such


def test_builds_require_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert main(["build", str(tmp_path)]) == 3
    assert capsys.readouterr().err == (
        "muslbackend: error: wheels for musl can be built on Linux only\n"
        "  hint  run the command on Linux, or in a Linux container\n"
    )


def test_build_requires_the_package_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("driver", "jobs"):
        monkeypatch.delitem(sys.modules, f"muslbackend.cli.multibuild.{name}", raising=False)
        monkeypatch.delattr(multibuild, name, raising=False)
    monkeypatch.setitem(sys.modules, "build", None)
    assert main(["build", str(tmp_path)]) == 3
    assert capsys.readouterr().err == (
        "muslbackend: error: muslbackend build requires the package build, which is not installed\n"
        "  hint  pip install 'muslbackend[build]'\n"
    )


def test_zig_is_missing_or_does_not_compile_for_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ToolError, match="zig does not compile for vax") as caught:
        compilers.zig_compilers(ARCHITECTURES["x86_64"]._replace(name="vax"))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("it compiles for ")
    monkeypatch.setattr(compilers, "find_zig", lambda: None)
    with pytest.raises(ToolError, match="but no supported release was found") as caught:
        compilers.zig_compilers(ARCHITECTURES["x86_64"])
    assert caught.value.hint == f"pip install '{ZIG_REQUIREMENT}'"


def test_what_is_not_as_it_was_judged_is_a_bug_of_ours() -> None:
    order: Any = SimpleNamespace(
        progress=Progress(), supply=Supply(), target=target_for(), options=Options()
    )
    material, verdict = SimpleNamespace(members=()), SimpleNamespace(floor="another")
    draft: Any = SimpleNamespace(material=material, scan=None, verdict=verdict)
    with pytest.raises(RuntimeError, match="muslbackend has a bug: after patching, "):
        finish._proved(draft, draft, order)


def test_another_implementation_than_cpython_gets_a_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = SimpleNamespace(strict=False)
    facts = Facts("linux", ".x.so", implementation="other")
    asked: Any = SimpleNamespace(facts=facts, settings=settings, target=target_for())
    hooks._report_interpreter(asked)
    out = capsys.readouterr().out
    assert out.startswith(f"muslbackend: {sys.executable} is other: the tag covers only musl; ")
    assert out.endswith("is not checked\n")


def test_a_file_that_only_patchelf_could_have_changed_is_to_be_built_again() -> None:
    refused = patch._refused(MalformedError("is damaged"), Edit("demo/a.so"))
    assert (refused.message, refused.hint) == ("demo/a.so: is damaged", "build it again")


def test_a_hook_that_scikit_build_core_does_not_offer() -> None:
    with pytest.raises(MuslBackendError, match="scikit-build-core offers no no_such for") as caught:
        skbuild.call("no_such")
    assert caught.value.hint == "call build_wheel instead"


@pytest.mark.parametrize(
    ("error", "reason"), [(ValueError("it is wrong"), ": it is wrong"), (SystemExit(1), "")]
)
def test_scikit_build_core_without_its_requirements(
    error: BaseException, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(skbuild, "call", fail)
    with pytest.raises(MuslBackendError) as caught:
        skbuild.requires({}, {})
    words = "scikit-build-core cannot list the requirements of this project"
    assert (caught.value.message, caught.value.hint) == (
        f"{words}{reason}",
        "fix the error that it reports",
    )


def test_the_host_has_no_cpython_or_no_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python.read_host_python()
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(ToolError) as caught:
        python.read_host_python()
    missing = f"the headers of Python {version} are missing: there is no {tmp_path}/Python.h"
    assert caught.value.message == missing
    assert caught.value.hint is not None
    assert f"apt install python{version}-dev (Debian, Ubuntu)" in caught.value.hint
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: "pypy311-pp73")
    with pytest.raises(ToolError, match=": a cross build requires CPython") as caught:
        python.read_host_python()
    assert caught.value.hint == "run the build with CPython"


def read(path: Path, *members: Raw) -> None:
    """Read the first member in pieces, as large members are read."""
    with open_zip(write_raw(path, members)) as archive:
        for _ in archive.blocks(archive.members[0]):
            pass


def with_packed(member: Raw, packed: bytes) -> Raw:
    return replace(member.both(packed_size=len(packed)), packed=packed)


def test_a_member_that_ends_too_early_or_too_late(tmp_path: Path) -> None:
    sound = raw("a", b"x" * 5000)
    read(tmp_path / "sound.zip", sound)
    with pytest.raises(ArchiveError, match="'a': truncated data"):
        read(tmp_path / "x.zip", with_packed(sound, sound.packed[:-1]))
    for method in RARE:
        packed = raw("a", b"x" * 5000, method)
        read(tmp_path / "rare.zip", packed)
        with pytest.raises(ArchiveError, match="'a': longer than the central directory says"):
            read(tmp_path / "x.zip", with_packed(packed, packed.packed + b"more"))


def test_bytes_between_the_last_member_and_the_directory(tmp_path: Path) -> None:
    behind = replace(raw("a", b"x"), behind=b"more")
    with pytest.raises(ArchiveError, match="unlisted data before the central directory"):
        read(tmp_path / "x.zip", behind)


def test_an_archive_that_is_cut_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_AT_ONCE", 0)
    path = write_raw(tmp_path / "x.zip", [raw("a", b"x" * 50, STORED)])
    with open_zip(path) as archive:
        os.truncate(path, 40)
        with pytest.raises(ArchiveError, match="the archive is truncated"):
            archive.read(archive.members[0])


def test_only_a_mapped_archive_that_is_cut_ends_the_process(tmp_path: Path) -> None:
    # docs/reference.md says so, under Limits.
    program = (
        "import os, sys\n"
        "from muslbackend.wheel.zip.reader import open_zip\n"
        "with open_zip(sys.argv[1], mapped=bool(int(sys.argv[2]))) as archive:\n"
        "    os.truncate(sys.argv[1], 0)\n"
        "    print(archive.read(archive.members[0]) == bytes(50))"
    )
    for mapped, status, says in ((False, 0, "True\n"), (True, -signal.SIGBUS, "")):
        path = write_raw(tmp_path / "x.zip", [raw("a", bytes(50))])
        command = [sys.executable, "-c", program, str(path), str(int(mapped))]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (answer.returncode, answer.stdout) == (status, says)
