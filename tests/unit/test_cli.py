from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from builders import zig_library
from muslbackend import __version__
from muslbackend.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "extern int {symbol}(void); int PyInit__core(void) {{ return {symbol}(); }}"


def wheel(folder: Path, symbol: str, tag: str = "musllinux_1_2_x86_64") -> str:
    """Write a wheel whose extension needs one symbol; return its path."""
    path = folder / f"{symbol.strip('_')}-1.0-cp311-cp311-{tag}.whl"
    library = zig_library("x86_64", source=SOURCE.format(symbol=symbol))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo/_core.so", library)
    return str(path)


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
    assert lines[1].startswith("error[MB103] demo/_core.so: needs preadv2, ")


def test_the_floor_that_is_asked_for_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "qsort_r")
    assert main(["check", "--floor", "1.2.3", path]) == 0
    assert main(["check", "--floor", "1.2", path]) == 1
    assert main(["check", "--floor", "1.2.2", path]) == 1
    assert "promised is 1.2.2" in capsys.readouterr().out


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


def test_a_malformed_wheel_does_not_keep_the_others_from_being_judged(
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
        "is not a readable zip archive: File is not a zip file"
    )
    assert lines[2] == "      hint  build or download it again"
    assert lines[-1].startswith("getpid-1.0-cp311-cp311-musllinux_1_2_x86_64.whl: ok, ")


def test_a_damaged_library_in_a_wheel_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo/_core.so", zig_library("x86_64")[:700])
    assert main(["check", str(path)]) == 1
    assert "error[MB108] demo/_core.so: is not a sound ELF file: " in capsys.readouterr().out


def test_a_wheel_without_native_code_is_ok(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo.py", "x = 1")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == (
        "demo-1.0-py3-none-any.whl: ok, no native code for musl in it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["check"], "the following arguments are required: WHEEL"),
        (["chekc", "x.whl"], "invalid choice: 'chekc'"),
        (["check", "--floor", "new", "x.whl"], "'new' is not a musl release such as 1.2.0"),
        (["check", "--florr", "1.2", "x.whl"], "unrecognized arguments: --florr"),
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
def test_the_program_tells_about_itself(
    option: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([option])
    assert caught.value.code == 0
    assert part in capsys.readouterr().out
