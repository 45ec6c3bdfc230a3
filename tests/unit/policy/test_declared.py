"""The floor that a wheel declares beside its tag: read, judged against, and written."""

from __future__ import annotations

import json
import zipfile
from email import message_from_bytes
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion, oldest
from muslbackend.policy.findings import Severity
from muslbackend.policy.rules.platform import declared, understated, unknown_tags
from muslbackend.wheel.contents import Contents
from muslbackend.wheel.declared_floor import line_for, with_floor
from support.wheels.builders import gcc_library
from support.wheels.wheels import record, whole, write

if TYPE_CHECKING:
    from pathlib import Path

V = MuslVersion.parse
TAG: Final = "musllinux_1_2_x86_64"
NAME: Final = f"demo-1.0-cp311-cp311-{TAG}.whl"
FOLDER: Final = "demo-1.0.dist-info"
CORE: Final = "demo/_core.so"
CALLS: Final = "extern long {0}(void); long PyInit__core(void) {{ return {0}(); }}"
ABOUT: Final = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\n"
WARNING: Final = (
    f"warning[MB148] {NAME}: musllinux_1_2 promises musl 1.2.0, but the wheel "
    "requires 1.2.5 (Alpine 3.20): pip installs it on older releases too"
)
REACH: Final = (
    f"loads on musl 1.2.5 and later (Alpine 3.20 and later), because of preadv2 in {CORE}"
)
HINT: Final = (
    "write one line, Musl-Floor: X.Y.Z, with a release of the series X.Y in "
    "the tag, or run muslbackend repair --floor X.Y.Z"
)


def about(more: str, tag: str = TAG) -> bytes:
    """Return a WHEEL file with lines behind the others."""
    return f"{ABOUT}Tag: cp311-cp311-{tag}\n{more}".encode()


def wheel(folder: Path, more: str = "", tag: str = TAG, calls: str = "preadv2") -> str:
    """Return the path of a wheel whose file calls a function of musl."""
    core = gcc_library(CALLS.format(calls), "-shared")
    name = f"demo-1.0-cp311-cp311-{tag}.whl"
    folder.mkdir(exist_ok=True)
    return str(write(folder / name, {CORE: core, f"{FOLDER}/WHEEL": about(more, tag)}))


def said(more: str, *tags: str) -> tuple[MuslVersion | None, list[str]]:
    """Return what a WHEEL file declares, and what is wrong with that."""
    texts = {f"{FOLDER}/WHEEL": about(more)}
    contents = Contents(NAME, dict.fromkeys(texts, 1), texts)
    found = declared(contents, tags or (TAG,))
    assert all(f.code == "MB148" and f.severity is Severity.ERROR for f in found.findings)
    assert all((f.subject, f.hint) == (f"{FOLDER}/WHEEL", HINT) for f in found.findings)
    return found.floor, [f.message for f in found.findings]


@pytest.mark.parametrize(
    ("more", "tags", "floor"),
    [
        ("", (TAG,), None),
        ("Musl-Floor: 1.2.5\n", (TAG,), "1.2.5"),
        ("musl-floor:1.2.5\r\n", (TAG,), "1.2.5"),
        ("MUSL-FLOOR:\t 1.2.5 \nBuild: 1\n", (TAG,), "1.2.5"),
        ("Musl-Floor: 1.2.0\n", (TAG,), "1.2.0"),
        ("Musl-Floor: 1.2.5\nBuilder: a tool for the Musl-Floor: 1.2.3\n", (TAG,), "1.2.5"),
        ("Musl-Floor: 1.2.6\n", ("manylinux_2_17_x86_64", TAG), "1.2.6"),
        ("Musl-Floor: 1.1.24\n", ("musllinux_1_1_x86_64", TAG), "1.1.24"),
    ],
)
def test_a_declaration_is_read(more: str, tags: tuple[str, ...], floor: str | None) -> None:
    assert said(more, *tags) == (V(floor) if floor else None, [])
    value = message_from_bytes(about(more))["Musl-Floor"]
    assert (value and value.strip()) == floor


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ("Musl-Floor: 1.2.5\nMusl-Floor: 1.2.5\n", "Musl-Floor: 1.2.5, Musl-Floor: 1.2.5"),
        ("Musl-Floor: 1.2.3\nmusl-floor: 1.2.5\n", "Musl-Floor: 1.2.3, musl-floor: 1.2.5"),
        ("\nMusl-Floor: 1.2.5\n", "Musl-Floor: 1.2.5"),
        ("Build: 1\n Musl-Floor: 1.2.5\n", "Musl-Floor: 1.2.5"),
        ("Musl-Floor: 1.2.5\n 1.2.6\n", "Musl-Floor: 1.2.5"),
        ("Musl-Floor:\n\t1.2.5\n", "Musl-Floor:"),
        ("X-Musl-Floor: 1.2.5\n", "X-Musl-Floor: 1.2.5"),
        ("Musl-Floor : 1.2.5\n", "Musl-Floor : 1.2.5"),
        ("Musl-Floor 1.2.5\n", "Musl-Floor 1.2.5"),
        (f"Musl-Floor: {'9' * 99999}\n" * 2, ", ".join([f"Musl-Floor: {'9' * 48}"] * 2)),
    ],
)
def test_what_is_not_one_header_line_is_refused(more: str, shown: str) -> None:
    assert said(more) == (None, [f"does not have Musl-Floor in exactly one header line: {shown}"])


RANGE: Final = "is not a known release (1.1.0 to 1.2.6)"


@pytest.mark.parametrize(
    ("value", "tags", "why"),
    [
        ("1.2.7", (TAG,), f"musl 1.2.7 {RANGE}; did you mean 1.2.6?"),
        ("0.9.0", (TAG,), f"musl 0.9.0 {RANGE}; did you mean 1.2.0?"),
        ("1.1.25", (TAG,), f"musl 1.1.25 {RANGE}; did you mean 1.1.5?"),
        ("", (TAG,), "'' is not a musl release such as 1.2.0"),
        ("v1.2.5", (TAG,), "'v1.2.5' is not a musl release such as 1.2.0"),
        ("1.2.5 (Alpine)", (TAG,), "'1.2.5 (Alpine)' is not a musl release such as 1.2.0"),
        ("1.2", (TAG,), "is not a release in the form 1.2.0"),
        ("1.2.05", (TAG,), "is not a release in the form 1.2.5"),
        ("1.2.\N{ARABIC-INDIC DIGIT FIVE}", (TAG,), "is not a release in the form 1.2.5"),
        ("1.1.24", (TAG,), "the tag of the wheel is musllinux_1_2"),
        ("1.2.5", ("musllinux_1_1_x86_64", TAG), "the tag of the wheel is musllinux_1_1"),
        ("1.2.5", ("linux_x86_64",), "no tag of the wheel is a musllinux tag"),
        ("9" * 60, (TAG,), f"'{'9' * 60}' is not a musl release such as 1.2.0"),
        ("1.2.5", ("any",), "no tag of the wheel is a musllinux tag"),
    ],
)
def test_a_release_that_the_tags_have_no_room_for_is_refused(
    value: str, tags: tuple[str, ...], why: str
) -> None:
    floor, (message,) = said(f"Musl-Floor: {value}\n", *tags)
    assert (floor, message) == (None, f"Musl-Floor: {value}: {why}")


@pytest.mark.parametrize("floor", [None, "1.2.0", "1.2.5", "1.2.6"])
@pytest.mark.parametrize(
    "more", ["", "Build: 1\n\n", "Musl-Floor: 1.2.3\n", "Musl-Floor: 1.2.5\nmusl-floor: x\n\n"]
)
def test_what_is_written_is_read_again(more: str, floor: str | None) -> None:
    written = with_floor(about(more), V(floor) if floor else None)
    texts = {f"{FOLDER}/WHEEL": written}
    found = declared(Contents(NAME, dict.fromkeys(texts, 1), texts), (TAG,))
    wanted = V(floor) if floor and V(floor).patch else None
    assert found == (wanted, ())
    assert message_from_bytes(written)["Tag"] == f"cp311-cp311-{TAG}"
    assert message_from_bytes(written).get("Build") == ("1" if "Build" in more else None)
    assert with_floor(written, wanted) == written


def test_a_floor_that_the_tag_names_is_not_written() -> None:
    assert [line_for(V(text)) for text in ("1.2.0", "1.1.0")] == ["", ""]
    assert line_for(None) == ""
    assert with_floor(about(""), V("1.2.0")) == about("")


def test_a_tag_that_says_less_is_warned_of() -> None:
    (finding,) = understated(NAME, [TAG], V("1.2.6"), None)
    assert finding.message == (
        "musllinux_1_2 promises musl 1.2.0, but the wheel requires 1.2.6: pip "
        "installs it on older releases too"
    )
    assert understated(NAME, [TAG], V("1.2.0"), "3.13") == ()
    assert understated(NAME, [TAG], None, None) == ()
    assert understated(NAME, ["linux_x86_64"], V("1.2.5"), "3.20") == ()


@pytest.mark.parametrize(
    ("platform", "release"),
    [
        ("musllinux_9_9_x86_64", "9.9.0"),
        ("musllinux_1_3_x86_64", "1.3.0"),
        ("musllinux_1_0_x86_64", "1.0.0"),
        ("musllinux_0_9_x86_64", "0.9.0"),
    ],
)
def test_a_tag_of_an_unknown_musl_cannot_be_proved(platform: str, release: str) -> None:
    (finding,) = unknown_tags(NAME, ["any", "manylinux_2_17_x86_64", TAG, platform])
    assert (finding.code, finding.severity) == ("MB148", Severity.ERROR)
    assert finding.message == (
        f"{platform} promises musl {release}, which is not a known release (known: "
        "1.1.0 to 1.2.6), so the tag cannot be verified"
    )


def test_check_says_both_and_judges_from_the_declared_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "Musl-Floor: 1.2.5\n")
    assert main(["check", path]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"{NAME}: ok, {REACH}",
        f"  promises  tag {TAG}; declared from 1.2.5, Alpine 3.20",
        WARNING,
    ]


def test_check_without_a_declaration_is_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", wheel(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"{NAME}: {TAG} is not true: {REACH}\nerror[MB103]")
    assert "MB148" not in said


def test_a_declaration_that_is_too_low_is_not_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", wheel(tmp_path, "Musl-Floor: 1.2.4\n")]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[:2] == [
        f"{NAME}: {TAG} is not true: {REACH}",
        f"  promises  tag {TAG}; declared from 1.2.4, Alpine 3.18",
    ]
    assert "error[MB103]" in said
    assert "must load on musl 1.2.4\n" in said
    assert "MB148" not in said


@pytest.mark.parametrize(
    ("asked", "code", "answer"),
    [
        (("--floor", "1.2.0"), 1, "does not load on musl 1.2.0: loads on musl 1.2.5 and later"),
        (("--floor", "1.2.6"), 0, "ok, loads on musl 1.2.5 and later"),
        (("--against", "1.2.3"), 1, "does not load on musl 1.2.3: loads on musl 1.2.5 and later"),
        (("--against", "1.2.5"), 0, "ok, loads on musl 1.2.5\n"),
    ],
)
def test_a_question_about_another_release_is_answered(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asked: tuple[str, str],
    code: int,
    answer: str,
) -> None:
    path = wheel(tmp_path, "Musl-Floor: 1.2.5\n")
    assert main(["check", *asked, path]) == code
    said = capsys.readouterr().out
    assert said.startswith(f"{NAME}: {answer}")
    assert "declared from 1.2.5, Alpine 3.20" in said
    assert "MB148" not in said


def test_a_declaration_that_nothing_needs_is_said_without_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", wheel(tmp_path, "Musl-Floor: 1.2.6\n", calls="getpid")]) == 0
    assert capsys.readouterr().out == (
        f"{NAME}: ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)\n"
        f"  promises  tag {TAG}; declared from 1.2.6\n"
    )


@pytest.mark.parametrize("calls", ["getpid", "preadv2"])
def test_an_invalid_declaration_is_an_error_and_believed_by_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], calls: str
) -> None:
    path = wheel(tmp_path, "Musl-Floor: 1.2.5\nMusl-Floor: 1.2.6\n", calls=calls)
    assert main(["check", path]) == 1
    said = capsys.readouterr().out
    assert (
        f"error[MB148] {FOLDER}/WHEEL: does not have Musl-Floor in exactly one header line: "
    ) in said
    assert ("error[MB103]" in said) is (calls == "preadv2")
    assert "declared from" not in said
    if calls == "getpid":
        assert said.startswith(f"{NAME}: the tag cannot be verified; loads on musl 1.1.0 and")


def test_check_of_an_unknown_musl_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, tag="musllinux_9_9_x86_64", calls="getpid")
    assert main(["check", path]) == 1
    said = capsys.readouterr().out
    assert "the tag cannot be verified; loads on musl 1.1.0 and later" in said
    assert "error[MB148]" in said
    assert main(["check", "--floor", "1.2.0", path]) == 0


def test_json_and_the_page_have_the_declared_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    path = wheel(tmp_path, "Musl-Floor: 1.2.5\n")
    assert main(["check", "--json", "--html", str(page), path, wheel(tmp_path / "plain")]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert (first["ok"], first["declared"], first["floor"]) == (True, "1.2.5", "1.2.5")
    assert (second["ok"], second["declared"], second["floor"]) == (False, None, "1.2.5")
    assert [(f["code"], f["severity"]) for f in first["findings"]] == [("MB148", "warning")]
    text = page.read_text("utf-8")
    assert f"OK: the tag {TAG} is true from musl 1.2.5 on, as declared" in text
    assert f"tag {TAG}; declared from 1.2.5, Alpine 3.20" in text


@pytest.mark.parametrize("word", ["--floor", "--against"])
@pytest.mark.parametrize("release", ["0.9", "1.0.5", "1.2.99", "1.3", "2.0", "1.1.25"])
def test_check_is_not_asked_of_a_musl_that_is_not_known(
    word: str, release: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", word, release, NAME])
    assert caught.value.code == 2
    assert f"musl {V(release)} {RANGE}" in capsys.readouterr().err


def repaired(folder: Path, path: str, *options: str) -> tuple[Path, str]:
    """Repair a wheel; return the path of the new one and its WHEEL file."""
    assert main(["repair", path, "-o", str(folder), *options]) == 0
    (made,) = folder.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        return made, archive.read(f"{FOLDER}/WHEEL").decode()


def test_repair_writes_the_floor_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, tag="linux_x86_64")
    made, text = repaired(tmp_path / "out", path, "--floor", "1.2.5")
    assert made.name == NAME
    assert text.endswith(f"Tag: cp311-cp311-{TAG}\nMusl-Floor: 1.2.5\n\n")
    assert WARNING in capsys.readouterr().out.splitlines()
    assert main(["check", str(made)]) == 0


def test_the_json_of_a_repair_has_what_the_new_wheel_declares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, tag="linux_x86_64", calls="getpid")
    for floor, said in (("1.2.5", "1.2.5"), ("1.2.0", None)):
        assert main(["repair", "--json", "--dry-run", "--floor", floor, path]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert (found["declared"], found["floor"]) == (said, "1.1.0")


def test_repair_keeps_the_declared_floor_and_the_wheel(tmp_path: Path) -> None:
    path = wheel(tmp_path, "Musl-Floor: 1.2.5\n")
    made, _ = repaired(tmp_path / "out", path)
    assert made.read_bytes() == (tmp_path / NAME).read_bytes()


def test_repair_to_another_floor_changes_a_sound_wheel(tmp_path: Path) -> None:
    path = wheel(tmp_path, calls="getpid")
    first, text = repaired(tmp_path / "first", path, "--floor", "1.2.3")
    assert "Musl-Floor: 1.2.3\n" in text
    second, text = repaired(tmp_path / "second", str(first), "--floor", "1.2.5")
    assert text.count("Musl-Floor") == 1
    assert "Musl-Floor: 1.2.5\n" in text
    third, text = repaired(tmp_path / "third", str(second), "--floor", "1.2.0")
    assert "Musl-Floor" not in text
    assert main(["check", str(third)]) == 0


def test_repair_replaces_a_declaration_that_is_not_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "Musl-Floor: 1.2.5\nMusl-Floor: 1.2.6\n", calls="getpid")
    made, text = repaired(tmp_path / "out", path)
    assert "Musl-Floor" not in text
    assert f"warning[MB148] {FOLDER}/WHEEL: does not have Musl-Floor in exactly one header" in (
        capsys.readouterr().out
    )
    assert main(["check", str(made)]) == 0


def test_repair_does_not_believe_a_declaration_that_is_too_low(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, "Musl-Floor: 1.2.4\n")
    assert main(["repair", path, "-o", str(tmp_path / "out")]) == 1
    assert "must load on musl 1.2.4" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("tag", ["musllinux_9_9_x86_64", "musllinux_0_9_x86_64"])
def test_repair_takes_a_tag_of_an_unknown_musl_only_with_a_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tag: str
) -> None:
    path = wheel(tmp_path, tag=tag, calls="getpid")
    assert main(["repair", path, "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert f"{tag} promises musl " in told.out + told.err
    assert "which is not a known release (1.1.0 to 1.2.6)" in told.out + told.err
    made, _ = repaired(tmp_path / "out", path, "--floor", "1.2.0")
    assert made.name == NAME


def test_the_sbom_of_a_wheel_has_its_floor(tmp_path: Path) -> None:
    sbom = f"{FOLDER}/sboms/muslbackend.cdx.json"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "metadata": {"component": {"type": "library", "name": "demo"}},
    }
    core = gcc_library(CALLS.format("preadv2"), "-shared")
    path = str(write(tmp_path / NAME, {CORE: core, sbom: json.dumps(document).encode()}))
    for floor, value in (("1.2.5", ["1.2.5"]), ("1.2.6", ["1.2.6"])):
        made, _ = repaired(tmp_path / floor, path, "--floor", floor)
        path = str(made)
        with zipfile.ZipFile(made) as archive:
            found = json.loads(archive.read(sbom))
        properties = found["metadata"]["component"]["properties"]
        assert [p["value"] for p in properties] == value
        assert [p["name"] for p in properties] == ["muslbackend:musl-floor"]


def test_several_metadata_folders_declare_nothing() -> None:
    texts = {f"{name}.dist-info/WHEEL": about("Musl-Floor: 1.2.5\n") for name in ("a-1", "b-1")}
    assert declared(Contents(NAME, dict.fromkeys(texts, 1), texts), (TAG,)) == (None, ())


def test_the_wheels_of_these_tests_are_sound() -> None:
    files = whole(NAME, {CORE: b"", f"{FOLDER}/WHEEL": about("Musl-Floor: 1.2.5\n")})
    assert (
        record({n: d for n, d in files.items() if n[-6:] != "RECORD"}, FOLDER)
        == (files[f"{FOLDER}/RECORD"])
    )


def test_no_machine_is_missed_by_a_tag_older_than_its_port() -> None:
    first = oldest(ARCHITECTURES["loongarch64"])
    platform = "musllinux_1_2_loongarch64"
    assert understated(NAME, [platform], first, None) == ()
    assert len(understated(NAME, [platform, "musllinux_1_2_x86_64"], first, None)) == 1
