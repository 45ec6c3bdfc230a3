"""``muslbackend repair``: wheels of other backends, repaired and opened by real loaders."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from muslbackend.cli.main import main
from muslbackend.repair import second_reader
from support.loaders.loaders import LOADER_NAME, dlopen, loader
from support.loaders.samples import EXTENSION, Library, Maker, build, extension, function, lay_out
from support.projects.building import PY, assert_record_is_true, members, pip_install
from support.tools.debian import compile_c
from support.wheels.foreignwheel import CORE, NEEDY, TAG, debugging, make
from support.wheels.wheels import whole, write

if TYPE_CHECKING:
    import io
    from pathlib import Path


@pytest.fixture
def libraries(tmp_path: Path, cache: Path) -> Path:
    """A folder with libf.so.1, which needs libg.so.1 beside it."""
    folder = tmp_path / "libraries"
    files = {
        "libf.so.1": function("f", needs=("libg.so.1",), calls="g"),
        "libg.so.1": function("g"),
    }
    return lay_out(files, folder, cache)


def run(*arguments: str | Path) -> int:
    return main(["repair", *map(str, arguments)])


def test_required_libraries_are_bundled_and_load(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY, "demo/__init__.py": b""}, cache)
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", libraries) == 0
    text = capsys.readouterr().out
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    assert f"bundled   {libraries / 'libf.so.1'} as demo.libs/libf-" in text
    assert_record_is_true(made)
    contents = members(made)
    assert b"Generator: other (1.2)\n" in contents["demo-1.0.dist-info/WHEEL"]
    assert b"Tag: cp311-cp311-musllinux_1_2_x86_64\n" in contents["demo-1.0.dist-info/WHEEL"]
    shutil.rmtree(libraries)
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "site")
    outcome = dlopen(loader("1.2.2", cache), tmp_path / "site" / CORE, cache=cache)
    assert outcome.state == "loads", outcome.words


def test_repairing_a_repaired_wheel_changes_nothing(
    libraries: Path, tmp_path: Path, cache: Path
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "-o", tmp_path / "one", "--library-dir", libraries) == 0
    (once,) = (tmp_path / "one").iterdir()
    assert run(once, "-o", tmp_path / "two") == 0
    (twice,) = (tmp_path / "two").iterdir()
    assert (twice.name, twice.read_bytes()) == (once.name, once.read_bytes())


def test_a_dry_run_reports_the_same_and_writes_nothing(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    before = sorted(tmp_path.rglob("*"))
    assert run(wheel, "--dry-run", "--library-dir", libraries) == 0
    planned = capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before
    assert planned.startswith("not written: muslbackend: demo-1.0-cp311-cp311-musllinux_1_2_")
    assert run(wheel, "--dry-run", "--json", "--library-dir", libraries) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["written"], found["error"]) == (True, False, None)
    assert found["wheel"] == wheel.name
    assert [b["source"] for b in found["bundled"]] == [
        str(libraries / name) for name in ("libf.so.1", "libg.so.1")
    ]
    assert [e["path"] for e in found["rewritten"]][-1] == CORE


PROGRAM: Final = "int f(void);\nint main(void) { return 35 + f(); }\n"


@pytest.mark.parametrize("place", ["demo-1.0.data/scripts/prog", "demo/bin/prog"])
def test_a_program_that_needs_bundled_libraries_runs_when_installed(  # noqa: PLR0913, PLR0917
    place: str, libraries: Path, tmp_path: Path, cache: Path, musl_python: Path, musl_venv: Path
) -> None:
    # The machine has no musl in /lib: the interpreter's loader starts the program.
    musl = musl_python.resolve().parents[1] / "lib" / LOADER_NAME
    (tmp_path / "prog.c").write_text(PROGRAM)
    interpreter = f"-Wl,--dynamic-linker={musl}"
    linked = ["-dynamic", interpreter, str(libraries / "libf.so.1"), "-Wl,--allow-shlib-undefined"]
    compile_c(tmp_path / "prog", ["prog.c", *linked], cache)
    tag = f"{PY}-{PY}-linux_x86_64"
    wheel = make(tmp_path, {place: (tmp_path / "prog").read_bytes()}, cache, tag)
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", libraries) == 0
    (made,) = (tmp_path / "out").iterdir()
    shutil.rmtree(libraries)
    pip_install(musl_venv, made)
    (installed,) = (
        p for p in musl_venv.parents[1].rglob("prog") if p.parent.name != "demo.scripts"
    )
    done = subprocess.run([installed], check=False, env={})
    assert done.returncode == 43  # 35 + 1 + 7


FAILURES: Final = [
    (TAG, (), 1, "error[MB101] demo/_core.so: requires libf.so.1"),
    ("cp311-cp311-linux_x86_64.linux_aarch64", (), 2, "cannot be converted to a musl wheel"),
    ("cp311-cp311-manylinux_2_28_x86_64", (), 2, "cannot be converted to a musl wheel"),
    ("cp311-cp311-linux_mips", (), 2, "cannot be converted to a musl wheel"),
    ("py3-none-any", (), 1, "error[MB101] demo/_core.so: requires libf.so.1"),
    (TAG, ("--exclude", "lib*", "--max-size", "1k"), 1, "and max-size is 1000; nothing was"),
]


@pytest.mark.parametrize(("tag", "options", "status", "words"), FAILURES)
def test_an_unfixable_wheel_is_reported_and_not_written(  # noqa: PLR0913, PLR0917
    tag: str,
    options: tuple[str, ...],
    status: int,
    words: str,
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache, tag)
    output = tmp_path / "out"
    output.mkdir()
    (output / "kept").write_text("as it was")
    assert run(wheel, "-o", output, *options) == status
    assert words in capsys.readouterr().err
    assert [p.name for p in output.iterdir()] == ["kept"]


def test_an_invalid_size_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("x.whl", "-o", tmp_path, "--max-size", "many") == 2
    assert "--max-size = 'many' is not a size such as 50MB" in capsys.readouterr().err


def methods(wheel: Path) -> set[int]:
    with zipfile.ZipFile(wheel) as archive:
        return {info.compress_type for info in archive.infolist()}


def test_the_compression_level_applies_to_all_files(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    where = ("--library-dir", libraries)
    assert run(wheel, "-o", tmp_path / "6", *where) == 0
    assert run(wheel, "-o", tmp_path / "0", *where, "--compression-level", "0") == 0
    (usual,), (stored,) = (tmp_path / "6").iterdir(), (tmp_path / "0").iterdir()
    assert (methods(usual), methods(stored)) == ({zipfile.ZIP_DEFLATED}, {zipfile.ZIP_STORED})
    assert members(stored) == members(usual)
    assert_record_is_true(stored)
    # A wheel that requires no change is copied, unless it is to be compressed differently.
    assert run(usual, "-o", tmp_path / "again") == 0
    assert (tmp_path / "again" / usual.name).read_bytes() == usual.read_bytes()
    assert run(usual, "-o", tmp_path / "again", "--compression-level", "0") == 0
    assert (tmp_path / "again" / usual.name).read_bytes() == stored.read_bytes()
    capsys.readouterr()
    assert run("x.whl", "-o", tmp_path, "--compression-level", "10") == 2
    assert "--compression-level = '10' is not a level from 0 to 9" in capsys.readouterr().err


def test_quiet_prints_only_errors(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "-q", "-o", tmp_path / "out", "--library-dir", libraries) == 0
    assert capsys.readouterr() == ("", "")
    other = function("h", needs=("libx.so.1",))
    wheel = make(tmp_path / "two", {CORE: NEEDY, "demo/h.so": other}, cache)
    assert run(wheel, "-q", "-o", tmp_path / "out", "--exclude", "libf*") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[MB101] demo/h.so: requires libx.so.1" in err
    assert f"muslbackend: error: {wheel.name}: the wheel cannot be tagged" in err
    assert "warning[MB109]" not in err
    assert run(wheel, "-o", tmp_path / "out", "--exclude", "libf*") == 1
    assert "warning[MB109]" in capsys.readouterr().err


def test_verbose_lists_the_requirements_of_each_file(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "-v", "-o", tmp_path / "out", "--library-dir", libraries) == 0
    *_, first, second, core, took = capsys.readouterr().out.splitlines()
    (made,) = (tmp_path / "out").iterdir()
    bundled = [name for name in members(made) if name.startswith("demo.libs/")]
    needs = [f"{path.rpartition('/')[2]} ({path})" for path in bundled]
    assert core == f"  file      {CORE}: requires {needs[0]}"
    assert first == f"  file      {bundled[0]}: requires {needs[1]}"
    assert second == f"  file      {bundled[1]}: requires nothing but musl"
    assert took.startswith("  took      ")
    assert run(wheel, "-v", "-o", tmp_path / "out") == 1
    took = capsys.readouterr().err.splitlines()[-1]
    assert took.startswith("  took      ")
    assert took.partition(": ")[2].startswith("read ")


def test_excluded_and_system_libraries_are_reported(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "--dry-run", "--exclude", "libf*") == 0
    assert f"warning[MB109] {CORE}: requires libf.so.1" in capsys.readouterr().out
    assert run(wheel, "--dry-run", "--system-library", "libf*") == 0
    assert f"note[MB109] {CORE}: requires libf.so.1" in capsys.readouterr().out
    assert run(wheel, "--dry-run", "--exclude", "lib*", "--include", "libf*") == 1
    assert f"error[MB101] {CORE}: requires libf.so.1" in capsys.readouterr().err


def test_a_failed_wheel_does_not_stop_the_repair_of_others(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = make(tmp_path, {CORE: NEEDY}, cache)
    broken = tmp_path / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"no zip")
    options = ("-o", tmp_path / "out", "--library-dir", libraries, "--json")
    assert run(broken, good, tmp_path / "gone-1-py3-none-any.whl", *options) == 1
    found = json.loads(capsys.readouterr().out)
    assert [f["ok"] for f in found] == [False, True, False]
    assert [f["written"] for f in found] == [False, True, False]
    assert "is not a readable zip archive" in found[0]["error"]
    assert "there is no such file" in found[2]["error"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == [found[1]["output"]]


def test_a_pure_wheel_is_copied(tmp_path: Path, cache: Path) -> None:
    wheel = make(tmp_path, {"demo/__init__.py": b"x = 1\n"}, cache, "py3-none-any")
    assert run(wheel, "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / wheel.name).read_bytes() == wheel.read_bytes()


def test_native_code_in_a_wheel_tagged_any_determines_the_tag(
    libraries: Path, tmp_path: Path, cache: Path
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache, "py3-none-any", purelib="true")
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", libraries) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == "demo-1.0-py3-none-musllinux_1_2_x86_64.whl"
    about = members(made)["demo-1.0.dist-info/WHEEL"]
    assert b"Root-Is-Purelib: false\n" in about
    assert b"Tag: py3-none-musllinux_1_2_x86_64\n" in about
    assert run(made, "-o", tmp_path / "again") == 0
    assert (tmp_path / "again" / made.name).read_bytes() == made.read_bytes()


def test_the_metadata_of_a_vendored_package_is_an_ordinary_file(
    libraries: Path, tmp_path: Path, cache: Path
) -> None:
    vendored = "demo/_vendor/other-1.dist-info/WHEEL"
    about = b"Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\n"
    wheel = make(tmp_path, {CORE: NEEDY, vendored: about}, cache, "py3-none-any")
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", libraries) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert members(made)[vendored] == about
    assert b"Generator: other (1.2)\n" in members(made)["demo-1.0.dist-info/WHEEL"]


def test_native_code_for_two_machines_in_a_wheel_tagged_any_is_an_error(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Library(EXTENSION, maker=Maker.ARM)
    wheel = make(tmp_path, {CORE: extension(), "demo/arm.so": other}, cache, "py3-none-any")
    assert run(wheel, "-o", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert f"{wheel.name} is tagged for any machine but contains native code: {CORE}" in err
    assert not (tmp_path / "out").exists()


def test_a_library_that_is_a_libc_is_never_bundled(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    libc = Library("int __libc_start_main = 1, stdin = 1;\nint f(void) { return 1; }\n")
    folder = lay_out({"libf.so.1": libc}, tmp_path / "libraries", cache)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "--dry-run", "--library-dir", folder) == 1
    err = capsys.readouterr().err
    assert f"not usable  {folder / 'libf.so.1'} is a libc, which is never bundled" in err


def test_copies_of_symlinks_are_merged_on_request(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core = extension("f", needs=("libf.so.1",), rpath="$ORIGIN")
    library = build(function("f"), cache).read_bytes()
    copies = {f"demo/libf.so{end}": library for end in ("", ".1", ".1.2")}
    wheel = make(tmp_path, {CORE: core, **copies}, cache)
    assert run(wheel, "-o", tmp_path / "out", "--drop-copies", "demo/*") == 0
    assert "left out  demo/libf.so: identical to demo/libf.so.1" in capsys.readouterr().out
    (made,) = (tmp_path / "out").iterdir()
    assert [n for n in members(made) if "libf" in n] == ["demo/libf.so.1"]
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "site")
    assert dlopen(loader("1.2.2", cache), tmp_path / "site" / CORE, cache=cache).state == "loads"


@pytest.mark.parametrize("member", ["../out.py", "/out/out.py", "demo/../../out.py"])
def test_a_member_outside_the_folder_is_refused(
    member: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil-1.0-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "x = 1")
    assert run(path, "-o", tmp_path / "out") == 1
    assert "has a member that wheels must not contain" in capsys.readouterr().err
    assert not list(tmp_path.rglob("out.py"))


def test_bundled_libraries_are_in_the_sbom(
    libraries: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    copying = tmp_path / "COPYING"
    copying.write_text("as you like")
    options = ("--library-dir", libraries, "--bundled-license", f"libf*={copying}")
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    (made,) = (tmp_path / "out").iterdir()
    contents = members(made)
    sbom = contents["demo-1.0.dist-info/sboms/muslbackend.cdx.json"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.decode()) is None
    components = {c["name"]: c for c in json.loads(sbom)["components"]}
    assert set(components) == {"libf.so.1", "libg.so.1"}
    for name, component in components.items():
        path = component["bom-ref"]
        assert component["hashes"][0]["content"] == hashlib.sha256(contents[path]).hexdigest()
        (ancestor,) = component["pedigree"]["ancestors"]
        original = hashlib.sha256((libraries / name).read_bytes()).hexdigest()
        assert ancestor["hashes"][0]["content"] == original
    text = "demo-1.0.dist-info/licenses/bundled/libf.so.1/COPYING"
    assert contents[text] == b"as you like"
    notes = [line for line in capsys.readouterr().out.splitlines() if "MB133" in line]
    assert len(notes) == 1
    assert "is a copy of libg.so.1; no license text for it was found" in notes[0]
    assert_record_is_true(made)


def test_a_missing_license_text_is_an_error(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "-o", tmp_path / "out", "--bundled-license", "gone/COPYING") == 2
    assert "bundled-licenses: gone/COPYING: no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_stripped_libraries_are_smaller_and_load(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lay_out({"libf.so.1": debugging()}, tmp_path / "libraries", cache)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    found = {}
    for option in ("--strip", "--include=x"):
        output = tmp_path / option.strip("-")
        assert run(wheel, "-o", output, option, "--library-dir", folder, "--json") == 0
        (found[option],) = json.loads(capsys.readouterr().out)
    sizes = {option: wheel["bundled"][0]["size"] for option, wheel in found.items()}
    saved = sizes["--include=x"] - sizes["--strip"]
    assert saved == pytest.approx(found["--include=x"]["strippable"], rel=0.5)
    assert saved > 4000
    # A second strip changes nothing.
    (made,) = (tmp_path / "strip").iterdir()
    assert run(made, "-o", tmp_path / "again", "--strip") == 0
    assert (tmp_path / "again" / made.name).read_bytes() == made.read_bytes()
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "site")
    assert dlopen(loader("1.2.2", cache), tmp_path / "site" / CORE, cache=cache).state == "loads"


def test_a_strip_that_warns_and_exits_with_0_is_an_error(
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = lay_out({"libf.so.1": debugging()}, tmp_path, cache)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    (tmp_path / "bin").mkdir()
    strip = tmp_path / "bin" / "llvm-strip"
    strip.write_text("#!/bin/sh\necho no room in segment 4 >&2\n")
    strip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{strip.parent}:{os.environ['PATH']}")
    assert run(wheel, "-o", tmp_path / "out", "--strip", "--library-dir", folder) == 3
    said = "strip cannot process the file: no room in segment 4"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_strip_the_error_names_the_package(
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = lay_out({"libf.so.1": debugging()}, tmp_path, cache)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert run(wheel, "-o", tmp_path / "out", "--strip", "--library-dir", folder) == 3
    assert "neither llvm-strip nor strip is on PATH" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_packed_relocations_are_expanded_for_older_musls(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pointers = ", ".join("&table[0]" for _ in range(64))
    table = f"static void *volatile table[] = {{ {pointers} }};\n"
    source = table + "int f(void) { return table[63] == (void *)table; }\n"
    packed = Library(source, options=("-Wl,-z,pack-relative-relocs",), maker=Maker.GNU)
    folder = lay_out({"libf.so.1": packed}, tmp_path / "libraries", cache)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", folder) == 0
    out = capsys.readouterr().out
    assert "packed relative relocations (DT_RELR) are ordinary ones now" in out
    assert "loads on  musl 1.1.0 and later" in out
    (made,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "site")
    assert dlopen(loader("1.2.2", cache), tmp_path / "site" / CORE, cache=cache).state == "loads"
    # With a floor that supports them, they are unchanged.
    assert run(wheel, "--dry-run", "--floor", "1.2.4", "--library-dir", folder) == 0
    out = capsys.readouterr().out
    assert "DT_RELR" in out
    assert "ordinary ones" not in out


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            None,
            (
                "bytes, which are only in memory; patchelf 0.18 or newer could change it, "
                "but was not found"
            ),
        ),
        ("exit 1", "patchelf failed with status 1: no room"),
    ],
)
def test_a_missing_or_failing_patchelf_is_an_error(  # noqa: PLR0913, PLR0917
    script: str | None,
    words: str,
    libraries: Path,
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roomy = replace(NEEDY, source=f"volatile char room[80 << 20];\n{NEEDY.source}")
    wheel = make(tmp_path, {CORE: roomy}, cache)
    tools = tmp_path / "bin"
    tools.mkdir()
    if script is not None:
        version = 'test "$1" = --version && echo "patchelf 0.18.0" && exit 0'
        (tools / "patchelf").write_text(f"#!/bin/sh\n{version}\necho no room >&2\n{script}\n")
        (tools / "patchelf").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", libraries) == 3
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "detail"),
    [(b"GROUP ( libf.so.1.2 )", "is not an ELF file"), (b"\x7fELF\2\1", "no ELF header")],
)
def test_a_library_that_cannot_be_read_is_named_with_the_reason(
    content: bytes, detail: str, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    folder = lay_out({"libf.so.1": content}, tmp_path / "libraries", cache)
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", folder) == 1
    err = capsys.readouterr().err
    assert f"error[MB101] {CORE}: requires libf.so.1" in err
    assert f"not usable  {folder / 'libf.so.1'}" in err
    assert detail in err
    assert not (tmp_path / "out").exists()


def test_a_file_whose_packed_relocations_are_damaged_is_named(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pointers = "static void *volatile p = &p;\nint f(void) { return p == &p; }\n"
    packed = Library(pointers, options=("-Wl,-z,pack-relative-relocs",), maker=Maker.GNU)
    data = bytearray(build(packed, cache).read_bytes())
    at = data.index(struct.pack("<QQ", 35, 8))  # DT_RELRSZ
    data[at + 8 : at + 16] = struct.pack("<Q", 1 << 40)
    wheel = make(tmp_path, {"demo/libf.so": bytes(data)}, cache)
    assert run(wheel, "-o", tmp_path / "out") == 1
    assert "demo/libf.so: is not a valid ELF file: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


MODULE: Final = """\
#include <Python.h>
int version(void);
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_core", .m_size = -1};
PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *made = PyModule_Create(&module);
    PyModule_AddIntConstant(made, "version", version());
    return made;
}
"""


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_two_packages_with_two_versions_of_one_library_are_imported_together(
    order: tuple[str, str], tmp_path: Path, cache: Path, musl_python: Path
) -> None:
    (tmp_path / "core.c").write_text(MODULE)
    # On Debian, the headers of a glibc Python are in two folders.
    (include,) = musl_python.resolve().parents[1].glob("include/python3*")
    for number, name in enumerate(("one", "two"), 1):
        library = Library(f"int version(void) {{ return {number}; }}\n", soname="libv.so.1")
        folder = lay_out({"libv.so.1": library}, tmp_path / name, cache)
        linked = ["-shared", "-fPIC", f"-I{include}", "core.c", f"{name}/libv.so.1"]
        compile_c(tmp_path / "_core.so", linked, cache)
        files: dict[str, Library | bytes] = {
            f"{name}/_core.so": (tmp_path / "_core.so").read_bytes(),
            f"{name}/__init__.py": b"from ._core import version\n",
        }
        wheel = make(tmp_path / f"made-{name}", files, cache, distribution=f"{name}-1.0")
        assert run(wheel, "-o", tmp_path / "out", "--library-dir", folder) == 0
    for made in (tmp_path / "out").iterdir():
        with zipfile.ZipFile(made) as archive:
            archive.extractall(tmp_path / "site")
    script = f"import {order[0]}, {order[1]}; print(one.version, two.version)"
    done = subprocess.run(
        [musl_python, "-c", script],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 2\n"


def test_readers_that_disagree_stop_it_as_a_bug_and_nothing_is_written(
    libraries: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = second_reader.reading

    def wrong(file: io.BufferedIOBase) -> second_reader.Reading:
        """Read the new names of bundled libraries wrongly."""
        found = read(file)
        return found._replace(soname="other") if "-" in (found.soname or "") else found

    monkeypatch.setattr(second_reader, "reading", wrong)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    words = "after patching, its two readers disagree: demo.libs/libf-.*: DT_SONAME is 'other', not"
    with pytest.raises(RuntimeError, match=words):
        run(wheel, "-o", tmp_path / "out", "--library-dir", libraries)
    assert not (tmp_path / "out").exists()


def test_the_size_limit_and_the_level_apply_to_wheels_that_need_no_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "x" * 5000
    for name in ("demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-musllinux_1_2_x86_64.whl"):
        wheel = write(tmp_path / name, whole(name, {"demo/__init__.py": text}))
        assert run(wheel, "-o", tmp_path / "out", "--max-size", "100") == 1
        assert f"{name} would have {wheel.stat().st_size} bytes" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
        assert run(wheel, "-o", tmp_path / "stored", "--compression-level", "0") == 0
        with zipfile.ZipFile(tmp_path / "stored" / name) as archive:
            assert archive.getinfo("demo/__init__.py").compress_size == len(text)
