from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from muslbackend import __version__
from muslbackend.cli.main import COMMANDS, main
from support.tools.htmltree import parsed
from support.wheels import wheels
from support.wheels.builders import gcc_library, zig_library

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "extern int {symbol}(void); int PyInit__core(void) {{ return {symbol}(); }}"


def wheel(
    folder: Path,
    symbol: str,
    tag: str = "musllinux_1_2_x86_64",
    more: dict[str, str] | None = None,
    texts: dict[str, bytes] | None = None,
) -> str:
    """Write a wheel whose extension needs one symbol, and more such files; return its path.

    ``texts`` are files of other kinds.
    """
    path = folder / f"{symbol.strip('_')}-1.0-cp311-cp311-{tag}.whl"
    files = {
        name: zig_library("x86_64", source=SOURCE.format(symbol=needed))
        for name, needed in {"demo/_core.so": symbol, **(more or {})}.items()
    }
    return str(wheels.write(path, files | (texts or {})))


def test_a_sound_wheel_is_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", wheel(tmp_path, "getpid")]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "getpid-1.0-cp311-cp311-musllinux_1_2_x86_64.whl: "
        "ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)\n"
    )
    assert err == ""


def test_a_wheel_whose_tag_is_not_true_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", wheel(tmp_path, "preadv2")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("preadv2-1.0-cp311-cp311-musllinux_1_2_x86_64.whl: ")
    assert "1.2.5" in lines[0]
    assert lines[1].startswith("error[MB103] demo/_core.so: requires preadv2, ")


def test_the_requested_floor_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = wheel(tmp_path, "qsort_r")
    assert main(["check", "--floor", "1.2.3", path]) == 0
    assert main(["check", "--floor", "1.2", path]) == 1
    assert main(["check", "--floor", "1.2.2", path]) == 1
    assert "must load on musl 1.2.2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("symbol", "release", "code"),
    [
        ("posix_fallocate64", "1.2.0", 0),
        ("posix_fallocate64", "1.2.3", 0),
        ("posix_fallocate64", "1.2.4", 1),
        ("posix_fallocate64", "1.2.5", 1),
        ("posix_fallocate64", "1.2.6", 0),
        ("__strdup", "1.1.20", 0),
        ("__strdup", "1.1.21", 1),
        ("qsort_r", "1.2.2", 1),
        ("qsort_r", "1.2.3", 0),
        ("no_such", "1.2.6", 1),
    ],
)
def test_a_wheel_loads_against_one_release_whatever_later_ones_lack(
    symbol: str, release: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--against", release, wheel(tmp_path, symbol)]) == code
    words = f"ok, loads on musl {release}\n" if code == 0 else f"does not load on musl {release}"
    assert f".whl: {words}" in capsys.readouterr().out


def test_a_floor_is_for_all_later_releases_too(tmp_path: Path) -> None:
    path = wheel(tmp_path, "posix_fallocate64")
    assert main(["check", "--floor", "1.2.0", path]) == 1
    assert main(["check", "--floor", "1.2.6", path]) == 0


def test_against_a_release_the_floor_is_still_the_one_of_the_wheel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [wheel(tmp_path, symbol) for symbol in ("__strdup", "statx")]
    assert main(["check", "--json", "--against", "1.1.20", *paths]) == 1
    gone, newer = json.loads(capsys.readouterr().out)
    assert (gone["ok"], gone["floor"], gone["earned"]) == (True, None, None)
    assert (newer["ok"], newer["floor"], newer["earned"]) == (False, "1.2.5", None)
    assert [f["floor"] for f in gone["files"] + newer["files"]] == [None, "1.2.5"]


def test_every_file_has_its_size_and_its_own_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "statx", more={"demo/_plain.so": "getpid"})
    assert main(["check", "--json", path]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert [(f["path"], f["floor"]) for f in found["files"]] == [
        ("demo/_core.so", "1.2.5"),
        ("demo/_plain.so", "1.1.0"),
    ]
    with zipfile.ZipFile(path) as archive:
        sizes = [i.file_size for i in archive.infolist() if i.filename.startswith("demo/")]
    assert [f["size"] for f in found["files"]] == sizes


def test_arch_overrides_the_tag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = wheel(tmp_path, "getpid")
    assert main(["check", "--arch", "x86_64", path]) == 0
    assert main(["check", "--arch", "aarch64", path]) == 1
    out = capsys.readouterr().out
    assert ".whl: musllinux_1_2_x86_64 is not true for aarch64: " in out
    assert "error[MB106] demo/_core.so: is for x86_64, but the wheel is for aarch64" in out


def test_a_release_that_an_architecture_never_had_is_an_error_of_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "getpid")
    assert main(["check", "--arch", "aarch64", "--against", "1.1.0", path]) == 2
    assert capsys.readouterr().err == (
        "muslbackend: error: musl 1.1.0 does not support aarch64\n  hint  use 1.1.7 or later\n"
    )


def with_library(folder: Path, name: str, symbol: str = "getpid") -> tuple[str, Path]:
    """Write a wheel that needs a library, and the library in a folder; return both paths."""
    system = folder / "system"
    system.mkdir()
    source = f"extern int {symbol}(void); int of_library(void) {{ return {symbol}(); }}"
    (system / name).write_bytes(zig_library("x86_64", f"-Wl,-soname,{name}", source=source))
    path = folder / "needy-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    core = zig_library("x86_64", str(system / name), source=SOURCE.format(symbol="of_library"))
    files = {"demo/_core.so": core, "needy-1.0.data/scripts/tool": core}
    return str(wheels.write(path, files)), system


def test_libraries_of_the_target_are_searched_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, system = with_library(tmp_path, "libneeded.so.1", "statx")
    assert main(["check", path]) == 1
    assert "requires libneeded.so.1, which is not in the wheel" in capsys.readouterr().out
    assert main(["check", "--library-dir", str(system), path]) == 1
    out = capsys.readouterr().out
    assert "MB101" not in out
    assert "MB110" not in out  # the system's loader finds it for a script as well
    assert f"error[MB103] {system}/libneeded.so.1: requires statx, " in out
    assert main(["check", "--library-dir", str(system), "--against", "1.2.5", path]) == 0


def test_zlib_is_assumed_present_unless_its_folder_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, system = with_library(tmp_path, "libz.so.1")
    assert main(["check", path]) == 0
    assert "warning[MB109]" in capsys.readouterr().out
    assert main(["check", "--library-dir", str(tmp_path), path]) == 0
    assert "warning[MB109]" in capsys.readouterr().out
    assert main(["check", "--library-dir", str(tmp_path), "--library-dir", str(system), path]) == 0
    assert "MB109" not in capsys.readouterr().out


def test_excluded_libraries_are_assumed_present(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = with_library(tmp_path, "libneeded.so.1")
    assert main(["check", "--exclude", "libGL*", path]) == 1
    capsys.readouterr()
    assert main(["check", "--exclude", "libGL*", "--exclude", "libneed*", path]) == 0
    out = capsys.readouterr().out
    assert (
        "warning[MB109] demo/_core.so: requires libneeded.so.1, which is left to the system" in out
    )


def test_a_tag_that_promises_no_musl_is_true_on_any(tmp_path: Path) -> None:
    path = wheel(tmp_path, "statx", "linux_x86_64")
    assert main(["check", path]) == 0
    assert main(["check", "--floor", "1.2.0", path]) == 1


def test_json_has_one_object_for_each_wheel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [wheel(tmp_path, "statx"), str(tmp_path / "gone.whl"), wheel(tmp_path, "getpid")]
    assert main(["check", "--json", *paths]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert [w["wheel"] for w in found] == [path.rpartition("/")[2] for path in paths]
    assert [w["ok"] for w in found] == [False, False, True]
    assert [w["floor"] for w in found] == ["1.2.5", None, "1.1.0"]
    assert [w["earned"] for w in found] == [None, None, "musllinux_1_2_x86_64"]
    assert [[f["code"] for f in w["findings"]] for w in found] == [["MB103"], ["MB100"], []]
    assert found[0]["because"] == [{"file": "demo/_core.so", "symbol": "statx", "since": "1.2.5"}]


def test_each_stage_has_its_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--json", wheel(tmp_path, "getpid"), str(tmp_path / "gone.whl")])
    found, gone = (each["seconds"] for each in json.loads(capsys.readouterr().out))
    assert list(found) == ["read", "judge", "total"]
    assert list(gone) == ["read", "total"]
    assert min(found.values()) >= 0
    assert found["read"] + found["judge"] <= found["total"] + 1e-9


def test_quiet_prints_errors_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [wheel(tmp_path, "getpid"), wheel(tmp_path, "statx")]
    assert main(["check", "-q", paths[0]]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["check", "--quiet", *paths]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("statx-1.0-cp311-cp311-musllinux_1_2_x86_64.whl: ")
    assert "error[MB103]" in out
    assert "getpid" not in out
    assert err == ""
    assert main(["check", "-q", "--json", *paths]) == 1
    assert len(json.loads(capsys.readouterr().out)) == 2  # was asked for


def test_verbose_prints_a_line_for_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "-v", wheel(tmp_path, "getpid")]) == 0
    first, file, took = capsys.readouterr().out.splitlines()
    assert ": ok, " in first
    assert file.startswith("  file      demo/_core.so: ")
    assert file.endswith(" bytes, loads on musl 1.1.0 and later, requires nothing but musl")
    assert re.fullmatch(r"  took      \d+\.\d\d s: read \d+\.\d\d, judge \d+\.\d\d", took)


def test_a_malformed_wheel_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken-1.0-py3-none-any.whl"
    broken.write_bytes(b"not a zip")
    good = wheel(tmp_path, "getpid")
    assert main(["check", str(broken), good]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("broken-1.0-py3-none-any.whl: ")
    assert lines[1] == (
        "error[MB100] broken-1.0-py3-none-any.whl: "
        "is not a readable zip archive: it has no end of a directory"
    )
    assert lines[2] == "      hint  build or download it again"
    assert lines[-1].startswith("getpid-1.0-cp311-cp311-musllinux_1_2_x86_64.whl: ok, ")


def test_a_damaged_library_in_a_wheel_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    wheels.write(path, {"demo/_core.so": zig_library("x86_64")[:700]})
    assert main(["check", str(path)]) == 1
    assert "error[MB108] demo/_core.so: is not a valid ELF file: " in capsys.readouterr().out


def test_a_wheel_without_native_code_is_ok(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    wheels.write(path, {"demo.py": "x = 1"})
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == ("demo-1.0-py3-none-any.whl: ok, contains no musl binaries\n")


def test_native_code_in_a_wheel_for_any_machine_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", wheel(tmp_path, "getpid", "any")]) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        "getpid-1.0-cp311-cp311-any.whl: any is not true: loads on musl 1.1.0 and later"
    )
    assert "error[MB121] demo/_core.so: is x86_64 code, but the tag of the wheel promises" in out


def test_glibcs_code_in_a_wheel_for_any_machine_is_an_error_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    code = "void PyInit__core(void) {}"
    core = gcc_library(code, "-shared", libraries=("-Wl,--no-as-needed", "-lc"))
    wheels.write(path, {"demo/_core.so": core})
    assert main(["check", str(path)]) == 1
    assert "error[MB121] demo/_core.so" in capsys.readouterr().out


def test_symbols_of_a_library_that_the_wheel_opens_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "nk_dot")
    assert main(["check", path]) == 1
    opens = {"demo/__init__.py": b"ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)"}
    wheel(tmp_path, "nk_dot", texts=opens)
    capsys.readouterr()
    assert main(["check", path]) == 0
    out = capsys.readouterr().out
    assert "warning[MB126] demo/_core.so: requires nk_dot, expected from a library that" in out


def test_repair_does_not_trust_words_in_source_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opens = {"demo/__init__.py": b"ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)"}
    path = wheel(tmp_path, "nk_dot", "linux_x86_64", texts=opens)
    output = tmp_path / "out"
    assert main(["repair", path, "-o", str(output)]) == 1
    err = capsys.readouterr().err
    assert "error[MB126] demo/_core.so: requires nk_dot, expected from a library" in err
    assert "declare it: assume-symbols = ['nk_dot']" in err
    assert not output.exists()
    assert main(["repair", path, "-o", str(output), "--assume-symbols", "nk_*"]) == 0
    out = capsys.readouterr().out
    assert "note[MB145] demo/_core.so: requires nk_dot, assumed to be present" in out
    (made,) = output.iterdir()
    assert "musllinux_1_2" in made.name
    assert main(["check", str(made)]) == 0
    assert "warning[MB126] demo/_core.so" in capsys.readouterr().out


def test_a_comment_does_not_count_as_dlopen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"demo/__init__.py": b"# ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)"}
    path = wheel(tmp_path, "nk_dot", texts=words)
    assert main(["check", path]) == 1
    assert "error[MB102] demo/_core.so: requires nk_dot" in capsys.readouterr().out
    assert main(["repair", path, "--dry-run"]) == 1
    assert main(["check", path, "--assume-symbols", "x", "--assume-symbols", "nk_*"]) == 0
    assert "note[MB145] demo/_core.so: requires nk_dot" in capsys.readouterr().out


def test_html_is_written_in_addition_to_the_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [wheel(tmp_path, "statx"), wheel(tmp_path, "getpid"), str(tmp_path / "gone.whl")]
    assert main(["check", *paths]) == 1
    without = capsys.readouterr()
    file = tmp_path / "new" / "page.html"
    assert main(["check", "--html", str(file), *paths]) == 1
    assert capsys.readouterr() == without
    root = parsed(file.read_text(encoding="utf-8"))
    names = [section.every("h2")[0].text for section in root.every("section", class_="wheel")]
    assert names == [path.rpartition("/")[2] for path in paths]
    assert [path.name for path in file.parent.iterdir()] == ["page.html"]


def test_html_works_with_json_and_replaces_an_older_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    file.write_text("old", encoding="utf-8")
    path = wheel(tmp_path, "getpid")
    assert main(["check", "--json", "--html", str(file), path]) == 0
    assert json.loads(capsys.readouterr().out)[0]["ok"]
    first = file.read_bytes()
    assert first.startswith(b"<!DOCTYPE html>")
    assert main(["check", "-q", "--html", str(file), path]) == 0
    assert file.read_bytes() == first


def test_html_that_cannot_be_written_is_an_error_after_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    page = str(tmp_path / "file" / "page.html")
    assert main(["check", "--html", page, wheel(tmp_path, "getpid")]) == 3
    out, err = capsys.readouterr()
    assert ": ok, loads on musl 1.1.0 and later" in out
    assert err == (
        f"muslbackend: error: {tmp_path}/file: the page cannot be written: File exists\n"
        "  hint  choose a writable output folder\n"
    )


def test_file_names_cannot_print_lines_or_colors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused, odd = "demo/a\n::error::b\x1b[32m.so", "demo/a\u202e::error::b.so"
    assert main(["check", "-v", wheel(tmp_path, "getpid", more={refused: "no_such"})]) == 1
    out = capsys.readouterr().out
    assert r"no wheel can have: 'demo/a\n::error::b\x1b[32m.so'" in out
    assert main(["check", "-v", wheel(tmp_path, "getpid", more={odd: "no_such"})]) == 1
    out += capsys.readouterr().out
    assert r"error[MB102] demo/a\u202e::error::b.so: requires no_such" in out
    assert r"  file      demo/a\u202e::error::b.so: " in out
    assert not any(line.startswith("::") for line in out.splitlines())
    assert "\x1b" not in out


def test_github_actions_gets_annotations_and_the_same_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = with_library(tmp_path, "libz.so.1", "statx")
    options = ["check", "--library-dir", str(tmp_path), path, wheel(tmp_path, "preadv2")]
    assert main(options) == 1
    plain, nothing = capsys.readouterr()
    assert nothing == ""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(options) == 1
    out, err = capsys.readouterr()
    assert out == plain
    *warnings, error = err.splitlines()
    assert len(warnings) + 1 == len(re.findall(r"(?m)^(?:error|warning|note)\[", plain))
    needy, other = (p.rpartition("/")[2] for p in options[-2:])
    assert warnings[0].startswith(
        f"::warning file=demo/_core.so,title=MB109::{needy}: demo/_core.so: requires libz.so.1, "
    )
    assert error == (
        f"::error file=demo/_core.so,title=MB103::{other}: demo/_core.so: requires "
        "preadv2, available since musl 1.2.5; the wheel must load on musl "
        '1.2.0%0Ahint  avoid preadv2, or require musl 1.2.5: floor = "1.2.5" '
        "(Alpine 3.20 and later)"
    )
    assert main(["check", "-q", *options[1:]]) == 1
    assert capsys.readouterr().err.splitlines() == [error]
    assert main(["check", "--json", *options[1:]]) == 1
    assert capsys.readouterr().err == ""


def test_github_actions_gets_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = wheel(tmp_path, "getpid")
    assert main(["check", "--arch", "aarch64", "--against", "1.1.0", path]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "::error title=muslbackend::musl 1.1.0 does not support aarch64%0A  hint "
        " use 1.1.7 or later"
    )


def test_github_actions_gets_annotations_of_repairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = wheel(tmp_path, "preadv2", "linux_x86_64")
    assert main(["repair", "--dry-run", path]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::")]
    name = path.rpartition("/")[2]
    assert lines[0].startswith(f"::error file=demo/_core.so,title=MB103::{name}: demo/_core.so: ")
    assert lines[1].startswith(f"::error title=muslbackend::{name}: the wheel cannot be tagged ")
    assert len(lines) == 2
    assert main(["repair", "--json", "--dry-run", path]) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "usage: muslbackend [-h] [--version] COMMAND ..."),
        (["check"], "the following arguments are required: WHEEL"),
        (["chekc", "x.whl"], "unknown command 'chekc'; did you mean check?\n"),
        (["Check", "x.whl"], "unknown command 'Check'; did you mean check?\n"),
        (["install"], f"unknown command 'install'; choose from {', '.join(COMMANDS)}\n"),
        (["check", "--floor", "new", "x.whl"], "'new' is not a musl release such as 1.2.0"),
        (["check", "--florr", "1.2", "x.whl"], "unrecognized arguments: --florr"),
        (["check", "--against", "old", "x.whl"], "'old' is not a musl release such as 1.2.0"),
        (
            ["check", "--against", "1.2.16", "x.whl"],
            "musl 1.2.16 is not a known release (1.1.0 to 1.2.6); did you mean 1.2.6?",
        ),
        (
            ["check", "--against", "9999.0", "x.whl"],
            "musl 9999.0.0 is not a known release (1.1.0 to 1.2.6)\n",
        ),
        (
            ["check", "--against", "1.2.3", "--floor", "1.2.3", "x.whl"],
            "argument --floor: not allowed with argument --against",
        ),
        (["check", "-q", "-v", "x.whl"], "argument -v/--verbose: not allowed with argument -q"),
        (["check", "--arch", "amd64", "x.whl"], "argument --arch: invalid choice: 'amd64'"),
        (["check", "--library-dir", "/no/such", "x.whl"], "not a folder: /no/such"),
        (["check", "--html", "-", "x.whl"], "--html: not a file name for an HTML report: '-'"),
        (["check", "--html", "/", "x.whl"], "--html: not a file name for an HTML report: '/'"),
        (["check", "--html", "x.whl", "y.whl"], "not a file name for an HTML report: 'x.whl'"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err


@pytest.mark.parametrize(("option", "part"), [("--version", __version__), ("--help", "exit codes")])
def test_version_and_help(option: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([option])
    assert caught.value.code == 0
    assert part in capsys.readouterr().out
