"""The Python API: the same answers as the commands, as values that stay."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import TYPE_CHECKING, Final, get_type_hints

import pytest

import muslbackend.api
from muslbackend.api import (
    FindingsError,
    MuslBackendError,
    MuslVersion,
    Verdict,
    check_wheel,
    repair_wheel,
)
from muslbackend.cli.main import main
from support.wheels.builders import zig_library
from support.wheels.wheels import write

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
PLAIN: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
CORE: Final = "demo/_core.so"


def extension(source: str, *flags: str) -> bytes:
    return zig_library("x86_64", *flags, source=f"{source}\nint PyInit__core(void) {{ return 0; }}")


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """A wheel that requires musl 1.2.3."""
    source = "int qsort_r(void);\nint late(void) { return qsort_r(); }"
    write(tmp_path / NAME, {CORE: extension(source)})
    return tmp_path / NAME


@pytest.fixture
def needy(tmp_path: Path) -> Path:
    """A wheel that requires a library, which is in the folder ``libraries`` beside it."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    library = folder / "libneeded.so.1"
    library.write_bytes(
        zig_library("x86_64", "-Wl,-soname,libneeded.so.1", source="int f(void) { return 1; }")
    )
    source = "int f(void);\nint g(void) { return f(); }"
    write(tmp_path / PLAIN, {CORE: extension(source, str(library))})
    return tmp_path / PLAIN


def test_a_check_has_the_answer_of_the_command(
    late: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = check_wheel(late)
    assert main(["check", "--json", str(late)]) == 1
    (printed,) = json.loads(capsys.readouterr().out)
    assert (result.wheel, result.ok, result.arch) == (NAME, False, "x86_64")
    assert result.claimed == ("musllinux_1_2_x86_64",)
    assert result.earned == printed["earned"]
    assert result.verdict.floor == MuslVersion(1, 2, 3)
    assert result.verdict.alpine == printed["alpine"]
    assert result.verdict.because == (("qsort_r", CORE),)
    (finding,) = result.verdict.findings
    (shown,) = printed["findings"]
    assert (finding.code, finding.severity, finding.subject) == ("MB103", "error", CORE)
    assert (finding.message, finding.hint) == (shown["message"], shown["hint"])
    assert finding.symbols == ("qsort_r",)
    assert not result.verdict.ok


@pytest.mark.parametrize("floor", ["1.2.3", MuslVersion(1, 2, 3)])
def test_another_release_can_be_asked_about(late: Path, floor: str | MuslVersion) -> None:
    assert check_wheel(late, floor=floor).ok
    assert check_wheel(late, against=floor).ok
    assert not check_wheel(late, against="1.2.2").ok
    assert check_wheel(late, ignore=["demo/*.so"], arch="x86_64").verdict.floor is not None


def test_libraries_can_be_taken_as_present(needy: Path) -> None:
    assert not check_wheel(needy, floor="1.2").ok
    assert check_wheel(needy, floor="1.2", library_dirs=[needy.parent / "libraries"]).ok
    assert check_wheel(needy, floor="1.2", exclude=["libneeded*"], assume_symbols=["f"]).ok


def test_a_damaged_wheel_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"PK")
    result = check_wheel(tmp_path / NAME)
    assert [finding.code for finding in result.verdict.findings] == ["MB100"]
    assert not result.ok


def test_a_limit_on_the_unpacked_size(late: Path) -> None:
    assert [f.code for f in check_wheel(late, max_unpacked=10).verdict.findings] == ["MB100"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arch": "vax"}, "arch = 'vax' is not a machine that musl runs on"),
        ({"floor": "1.2.99"}, "floor = '1.2.99': musl 1.2.99 is not a known release"),
        ({"against": "new"}, "against = 'new': 'new' is not a musl release"),
    ],
)
def test_a_wrong_argument_is_an_error(late: Path, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(MuslBackendError) as caught:
        check_wheel(late, **arguments)  # type: ignore[arg-type]
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_a_repair_says_what_it_bundled_and_where_the_wheel_is(needy: Path, tmp_path: Path) -> None:
    libraries, output = tmp_path / "libraries", tmp_path / "out"
    result = repair_wheel(needy, output, floor="1.2.3", library_dirs=[libraries])
    assert result.path is not None
    assert list(output.iterdir()) == [result.path]
    assert result.path.name == result.wheel == NAME
    assert result.verdict.ok
    (bundled,) = result.bundled
    assert bundled.source == libraries / "libneeded.so.1"
    assert bundled.path.startswith("demo.libs/libneeded-")
    assert bundled.required_by == (CORE,)
    assert len(bundled.sha256) == 64
    assert check_wheel(result.path).ok


def test_a_repair_without_an_output_writes_nothing(needy: Path, tmp_path: Path) -> None:
    settings = {"library-dirs": [str(tmp_path / "libraries")]}
    before = sorted(tmp_path.rglob("*"))
    result = repair_wheel(needy, None, settings=settings)
    assert result.path is None
    assert result.bundled
    assert sorted(tmp_path.rglob("*")) == before


def test_findings_that_forbid_a_tag_are_raised(needy: Path, tmp_path: Path) -> None:
    with pytest.raises(FindingsError) as caught:
        repair_wheel(needy, tmp_path / "out")
    assert [finding.code for finding in caught.value.findings] == ["MB101"]
    assert not (tmp_path / "out").exists()


def test_a_wrong_setting_is_an_error(needy: Path, tmp_path: Path) -> None:
    with pytest.raises(MuslBackendError, match="is not a setting"):
        repair_wheel(needy, tmp_path, settings={"exlude": []})


def test_the_public_names_are_values_with_types_that_can_be_read() -> None:
    for name in muslbackend.api.__all__:
        public = getattr(muslbackend.api, name)
        assert inspect.getdoc(public), name
        if dataclasses.is_dataclass(public):
            assert get_type_hints(public), name
    with pytest.raises(dataclasses.FrozenInstanceError):
        Verdict(floor=None, alpine=None, because=(), findings=()).floor = None  # type: ignore[misc]
