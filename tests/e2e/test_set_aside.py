"""Files that stay as they are: copies under computed names, data, programs kept in place."""

from __future__ import annotations

import binascii
import io
import json
import re
import shutil
import struct
import subprocess
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from elftools.elf.elffile import ELFFile

from muslbackend.cli.main import main
from support.loaders.loaders import dlopen, loader, start
from support.loaders.samples import build as linked
from support.loaders.samples import extension, function, lay_out
from support.projects.building import (
    EXTENSION,
    assert_record_is_true,
    build,
    members,
    write_project,
)
from support.tools.debian import compile_c
from support.tools.marks import CROSSES
from support.wheels.builders import gcc_library
from support.wheels.craftedelf import Crafted
from support.wheels.foreignwheel import CORE, MANY, NEEDY, debugging, make

if TYPE_CHECKING:
    from pathlib import Path

CHAIN: Final = ("demo/lib/libdep.so", "demo/lib/libdep.so.2", "demo/lib/libdep.so.2.3.4")
NAMES_ARE_COMPUTED: Final = """\
import ctypes, glob, os, pathlib, sys
folder = pathlib.Path(sys.argv[1], "demo", "lib")
def opened(path):
    assert ctypes.CDLL(os.fspath(path)).dep(), path
name, version = "dep", (2, 3, 4)
opened(folder / f"lib{name}.so")
opened(folder / ("lib%s.so.%d" % (name, version[0])))
opened(folder / "lib{}.so.{}".format(name, ".".join(map(str, version))))
for path in glob.glob(f"{folder}/lib*"):
    opened(path)
# As numpy.ctypeslib.load_library does.
for ending in (".so", ".dylib"):
    if (folder / ("lib" + name + ending)).exists():
        opened(folder / ("lib" + name + ending))
print(len(os.listdir(folder)))
"""


def run(*arguments: str | Path) -> int:
    return main(["repair", *map(str, arguments)])


def check(*arguments: str | Path) -> int:
    return main(["check", *map(str, arguments)])


def unzipped(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def made_in(folder: Path) -> Path:
    (made,) = folder.iterdir()
    return made


@pytest.mark.parametrize("option", [(), ("--drop-copies", "other/*")])
def test_copies_opened_by_computed_names_stay_and_load(
    option: tuple[str, ...],
    tmp_path: Path,
    cache: Path,
    musl_python: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All of them require a bundled library, so all of them are changed."""
    dep = linked(function("dep", needs=("libf.so.1",), calls="f"), cache).read_bytes()
    files: dict[str, Any] = {CORE: extension("dep", needs=("libdep.so.2",))}
    libraries = lay_out({"libf.so.1": function("f")}, tmp_path / "libraries", cache)
    wheel = make(tmp_path, {**files, **dict.fromkeys(CHAIN, dep)}, cache)
    assert run(wheel, "-o", tmp_path / "out", "--library-dir", libraries, *option) == 0
    said = capsys.readouterr().out
    copies = f"copies    {CHAIN[0]}, {CHAIN[2]}: identical to {CHAIN[1]}, "
    assert re.search(rf"{re.escape(copies)}[\d,]+ bytes, [\d,]+ in the wheel \(drop-copies", said)
    assert said.count("note[MB135] ") == 2
    assert 'remove it with drop-copies = ["libdep.so.2"]' not in said  # it is required
    made = made_in(tmp_path / "out")
    contents = members(made)
    assert {path for path in contents if "libdep" in path} == set(CHAIN)
    assert len({contents[path] for path in CHAIN}) == 1
    shutil.rmtree(libraries)
    site = unzipped(made, tmp_path / "site")
    command = [str(musl_python), "-c", NAMES_ARE_COMPUTED, str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert dlopen(loader("1.2.2", cache), site / CORE, cache=cache).state == "loads"
    # A second repair does not drop them.
    assert run(made, "-o", tmp_path / "again") == 0
    assert made_in(tmp_path / "again").read_bytes() == made.read_bytes()


@CROSSES
def test_a_build_keeps_the_names_that_cmake_installs(tmp_path: Path, musl_python: Path) -> None:
    files = {
        "dep.c": "int dep(void) { return 7; }\n",
        "demo.c": EXTENSION.format(declare="int dep(void);", call="dep()"),
        "demo/__init__.py": "",
        "extra.cmake": """\
add_library(dep SHARED dep.c)
set_target_properties(dep PROPERTIES VERSION 2.3.4 SOVERSION 2)
target_link_libraries(_demo PRIVATE dep)
set_target_properties(_demo PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
install(TARGETS dep LIBRARY DESTINATION demo/lib)
""",
    }
    kept = build(write_project(tmp_path / "kept", files), "musl.target=x86_64")
    site = unzipped(kept.wheel, tmp_path / "site")
    command = [str(musl_python), "-c", NAMES_ARE_COMPUTED, str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    settings = '[tool.muslbackend]\ndrop-copies = ["*.so.*"]\n'
    project = write_project(tmp_path / "dropped", files, settings)
    dropped = members(build(project, "musl.target=x86_64").wheel)
    assert [path for path in dropped if "libdep" in path] == [*CHAIN[:2]]


BPF: Final = Crafted(machine=247).file()[:16] + b"\1\0\xf7\0" + Crafted().file()[20:]
DATA: Final = {
    "demo/trace.bpf.o": BPF,
    "demo/fw/boot.elf": Crafted(bits=32, machine=40).file(),
    "demo/agents/aarch64/agent.so": Crafted(machine=183).file(),
    "demo/agents/broken-aarch64": Crafted(machine=183).file()[:70],
    "demo/tests/core": Crafted().file()[:16] + b"\4\0" + Crafted().file()[18:],
}


def test_mb146_data_is_noted_and_stays_as_it_is(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    libraries = lay_out({"libf.so.1": function("f")}, tmp_path / "libraries", cache)
    wheel = make(tmp_path, {CORE: NEEDY, **DATA}, cache)
    options = ("--library-dir", libraries, "--strip", "--json")
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    (found,) = json.loads(capsys.readouterr().out)
    noted = {f["file"] for f in found["findings"] if f["code"] == "MB146"}
    assert noted == set(DATA)
    made = made_in(tmp_path / "out")
    contents = members(made)
    assert {path: contents[path] for path in DATA} == DATA
    assert_record_is_true(made)
    assert check(made) == 0
    assert capsys.readouterr().out.count("note[MB146] ") == len(DATA)


def test_a_wheel_for_any_machine_with_data_stays_one(tmp_path: Path, cache: Path) -> None:
    wheel = make(tmp_path, {"demo/trace.bpf.o": BPF}, cache, "py3-none-any")
    assert run(wheel, "-o", tmp_path / "out") == 0
    assert made_in(tmp_path / "out").read_bytes() == wheel.read_bytes()


def test_mb147_ignored_files_are_neither_judged_nor_changed(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skel = Crafted(bits=32, machine=164).file()
    plugin = linked(extension("nobody_has_this"), cache).read_bytes()
    files: dict[str, Any] = {CORE: extension(), "demo/dsp/skel.so": skel, "demo/plugin.so": plugin}
    wheel = make(tmp_path, files, cache)
    assert run(wheel, "-o", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert "error[MB106] demo/dsp/skel.so: is for an unknown machine" in err
    assert "or list it in ignore if nothing loads or starts it" in " ".join(err.split())
    ignoring = ("--ignore", "demo/dsp/*", "--ignore", "plugin.so")
    assert run(wheel, "-o", tmp_path / "out", *ignoring) == 0
    said = capsys.readouterr().out
    assert "note[MB147] demo/dsp/skel.so: is not checked, because it matches ignore" in said
    assert "warning[MB147] demo/plugin.so: is not checked, because it matches ignore" in said
    made = made_in(tmp_path / "out")
    assert members(made)["demo/plugin.so"] == plugin
    # check judges a file that the build ignored, unless its own --ignore names it.
    assert check(made) == 1
    assert check(made, *ignoring) == 0


PROGRAM: Final = "demo/bootloader/run"


def test_a_program_that_is_kept_in_place_is_judged_unchanged(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = linked(replace(function("f"), soname="libf.so.1"), cache)
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    shutil.copyfile(library, libraries / "libf.so.1")
    source = tmp_path / "run.c"
    source.write_text("int f(void);\nint main(void) { return f() != 7; }\n")
    program = tmp_path / "run"
    linker = ["-Wl,-rpath,/build/folder", str(libraries / "libf.so.1")]
    compile_c(program, [str(source), *linker], cache)
    before = program.read_bytes()
    scripts = "demo-1.0.data/scripts/run"
    wheel = make(tmp_path, {CORE: extension(), PROGRAM: before, scripts: before}, cache)
    options = ("--library-dir", libraries, "--keep-in-place", PROGRAM)
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    said = capsys.readouterr().out
    assert f"warning[MB109] {PROGRAM}: requires libf.so.1, which is left to the system" in said
    assert f"note[MB147] {PROGRAM}: is left unchanged, because it matches keep-in-place" in said
    contents = members(made_in(tmp_path / "out"))
    assert contents[PROGRAM] == before
    # The other one is moved, and its libraries are bundled.
    assert contents[scripts].startswith(b"#!python")
    assert contents["demo.scripts/run"] != before
    assert run(wheel, "-o", tmp_path / "kept", *options, "--keep-in-place", "run", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["bundled"], found["moved"], found["rewritten"]) == ([], [], [])
    kept = members(made_in(tmp_path / "kept"))
    assert (kept[PROGRAM], kept[scripts]) == (before, before)
    # If the system has the library, the program runs from another folder.
    copied = tmp_path / "elsewhere" / "run"
    copied.parent.mkdir()
    copied.write_bytes(kept[PROGRAM])
    copied.chmod(0o755)
    assert start(loader("1.2.5", cache), copied, (libraries,)).state == "loads"


def sections(data: bytes) -> dict[str, bytes]:
    return {section.name: section.data() for section in ELFFile(io.BytesIO(data)).iter_sections()}


@pytest.fixture
def debugged(tmp_path: Path, cache: Path) -> tuple[Path, Path]:
    """A wheel that requires a library with debugging information and a build-id, and its folder."""
    options = ("-g", "-shared", "-Wl,--build-id=sha1")
    library = gcc_library(function("f").source + MANY, *options)
    folder = lay_out({"libf.so.1": library}, tmp_path / "libraries", cache)
    return make(tmp_path, {CORE: NEEDY}, cache), folder


@pytest.mark.parametrize("option", ["--strip-debug", "--strip"])
def test_debugging_information_is_stored_separately(
    option: str,
    debugged: tuple[Path, Path],
    tmp_path: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wheel, folder = debugged
    aside = tmp_path / "deep" / "debug"
    options = ("--library-dir", folder, option, "--debug-info-dir", aside)
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    assert ", debugging information put aside" in capsys.readouterr().out
    made = made_in(tmp_path / "out")
    (path,) = (path for path in members(made) if "libf-" in path)
    shipped = sections(members(made)[path])
    assert (".symtab" in shipped) == (option == "--strip-debug")
    assert not [name for name in shipped if name.startswith(".debug_")]
    file = aside / made.name.removesuffix(".whl") / f"{path}.debug"
    kept = sections(file.read_bytes())
    assert {".debug_info", ".debug_line", ".symtab"} <= kept.keys()
    # By name and checksum, and by build-id (GDB manual, "Separate Debug Files").
    name, crc = shipped[".gnu_debuglink"].partition(b"\0")[0], shipped[".gnu_debuglink"][-4:]
    assert (name.decode(), struct.unpack("<I", crc)[0]) == (
        file.name,
        binascii.crc32(file.read_bytes()),
    )
    build_id = shipped[".note.gnu.build-id"][16:].hex()
    link = aside / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    assert link.resolve() == file.resolve()
    assert {p.name for p in aside.iterdir()} == {".build-id", file.parts[len(aside.parts)]}
    assert not [name for name in members(made) if name.endswith(".debug")]
    site = unzipped(made, tmp_path / "site")
    assert dlopen(loader("1.2.2", cache), site / CORE, cache=cache).state == "loads"
    # A second repair replaces it; stripped files are unchanged.
    before = file.read_bytes()
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    assert file.read_bytes() == before
    assert run(made, "-o", tmp_path / "again", option, "--debug-info-dir", aside) == 0
    assert (tmp_path / "again" / made.name).read_bytes() == made.read_bytes()
    assert file.read_bytes() == before


def tree(folder: Path) -> dict[str, bytes | str]:
    """Return the contents of a folder."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }


def test_no_debugging_information_is_written_without_the_wheel(
    debugged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel, folder = debugged
    aside = tmp_path / "new" / "debug"
    options = ("--library-dir", folder, "--strip-debug", "--debug-info-dir", aside)
    assert run(wheel, "-o", tmp_path / "out", *options, "--max-size", "100") == 1
    assert not aside.parent.exists()
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    before = tree(aside)
    assert run(wheel, "-o", tmp_path / "no", *options, "--max-size", "100") == 1
    assert tree(aside) == before
    capsys.readouterr()
    # The path of the folder is a file.
    file = tmp_path / "file"
    file.write_text("")
    options = (*options[:-1], file / "debug")
    assert run(wheel, "-o", tmp_path / "no", *options) == 1
    assert "the debugging information cannot be written: Not a directory" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_folder_with_other_contents_is_not_replaced(
    debugged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel, folder = debugged
    out, aside = tmp_path / "out", tmp_path / "debug"
    options = ("--library-dir", folder, "--strip-debug", "--debug-info-dir", aside)
    assert run(wheel, "-o", out, *options) == 0
    (made,) = out.iterdir()
    mine = aside / made.stem / "demo" / "mine.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    made.unlink()
    assert run(wheel, "-o", out, *options) == 1
    assert "is not a folder of debugging information: it has mine.txt" in capsys.readouterr().err
    assert (mine.read_text(), list(out.iterdir())) == ("mine", [])


def test_a_debug_folder_without_strip_is_an_error(
    debugged: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(debugged[0], "-o", tmp_path / "out", "--debug-info-dir", "d") == 2
    assert "debug-info-dir = 'd', but strip is not set" in capsys.readouterr().err


def test_without_objcopy_the_error_names_the_package(
    debugged: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheel, folder = debugged
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "strip").symlink_to(shutil.which("strip") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    options = ("--library-dir", folder, "--strip-debug", "--debug-info-dir", tmp_path / "debug")
    assert run(wheel, "-o", tmp_path / "out", *options) == 3
    assert "neither llvm-objcopy nor objcopy is on PATH" in capsys.readouterr().err
    assert not (tmp_path / "debug").exists()


def test_strip_can_keep_symbols(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lay_out({"libf.so.1": debugging()}, tmp_path / "libraries", cache)
    wheel = make(tmp_path, {CORE: NEEDY}, cache)
    options = ("--library-dir", folder, "--strip-debug")
    assert run(wheel, "-o", tmp_path / "out", *options) == 0
    assert "debugging information removed" in capsys.readouterr().out
    made = made_in(tmp_path / "out")
    (path,) = (path for path in members(made) if "libf-" in path)
    shipped = sections(members(made)[path])
    assert ".symtab" in shipped
    assert ".debug_info" not in shipped
    assert run(made, "-o", tmp_path / "again", "--strip-debug") == 0
    assert made_in(tmp_path / "again").read_bytes() == made.read_bytes()
