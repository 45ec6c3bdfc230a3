from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from muslbackend.errors import SettingsError
from muslbackend.repair.licenses import LicenseRule, LicenseText, collect, find_texts, parse_rules
from muslbackend.repair.sbom import Bundled, Origin, Owner

PLACE: Final = "tool.muslbackend.bundled-licenses"
INFO: Final = "demo-1.0.dist-info/"
BASE: Final = f"{INFO}licenses/bundled"


def library(name: str, *files: str, dest: str = "") -> Bundled:
    owner = Owner("p", "1", Origin.APK, "pkg:apk/alpine/p@1", license_files=(*map(Path, files),))
    path = dest or f"demo.libs/{name}"
    return Bundled(path, name, "0" * 64, "1" * 64, 1, Origin.APK, owner if files else None)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("third-party/COPYING", LicenseRule("third-party/COPYING")),
        ("libfoo*=third-party/COPYING", LicenseRule("third-party/COPYING", "libfoo*")),
        ("*=a=b", LicenseRule("a=b", "*")),
        (" libfoo* = COPYING ", LicenseRule("COPYING", "libfoo*")),
    ],
)
def test_an_entry_is_a_path_or_a_library_and_a_path(entry: str, rule: LicenseRule) -> None:
    assert parse_rules(PLACE, [entry]) == (rule,)


@pytest.mark.parametrize("entry", ["", " ", "libfoo=", "=COPYING", "="])
def test_an_entry_without_path_or_library_is_refused(entry: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_rules("MUSLBACKEND_BUNDLED_LICENSES", [entry])
    assert error.value.message == (
        f"MUSLBACKEND_BUNDLED_LICENSES: {entry!r} is not the path of a license text"
    )
    assert '"LIBRARY=PATH"' in error.value.hint


def test_rules_lead_to_files_in_their_order(tmp_path: Path) -> None:
    for path in ("b/COPYING", "a/COPYING", "a/x/COPYING", "[1]/COPYING", "1/COPYING"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    rules = parse_rules(PLACE, ["lib=b/COPYING", "a/**/COPYING", "[1]/COPYING"])
    assert find_texts(PLACE, rules, tmp_path) == (
        LicenseText(tmp_path / "b/COPYING", "lib"),
        LicenseText(tmp_path / "a/COPYING"),
        LicenseText(tmp_path / "a/x/COPYING"),
        LicenseText(tmp_path / "[1]/COPYING"),
    )
    absolute = parse_rules(PLACE, [f"{tmp_path}/b/C*"])
    assert find_texts(PLACE, absolute, tmp_path / "a") == (LicenseText(tmp_path / "b/COPYING"),)


@pytest.mark.parametrize(
    ("path", "fact"),
    [("none/COPYING", "no such file"), ("none/*", "no such file"), ("folder", "is a folder")],
)
def test_a_rule_that_leads_to_no_file_stops_the_build(tmp_path: Path, path: str, fact: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError) as error:
        find_texts(PLACE, parse_rules(PLACE, [f"libfoo={path}"]), tmp_path)
    assert error.value.message == f"{PLACE}: {path}: {fact}"
    assert "relative to the folder of pyproject.toml" in error.value.hint


def test_texts_lie_in_a_folder_for_each_library() -> None:
    libraries = [library("libz.so.1", "/l/zlib/LICENSE"), library("libb.so", "/l/b/COPYING")]
    texts = [LicenseText(Path("extra"), "libb*")]
    found = collect(libraries, texts, INFO)
    assert found.members == (
        (f"{BASE}/libb.so/COPYING", Path("/l/b/COPYING")),
        (f"{BASE}/libb.so/extra", Path("extra")),
        (f"{BASE}/libz.so.1/LICENSE", Path("/l/zlib/LICENSE")),
    )
    assert found.without == ()
    assert collect(libraries[::-1], texts, INFO) == found


def test_a_library_without_text_is_named() -> None:
    bare = library("liba.so")
    found = collect([library("libb.so", "/l/b/COPYING"), bare], [], INFO)
    assert found.without == (bare,)


def test_a_text_for_all_is_put_once_and_serves_those_without() -> None:
    text = LicenseText(Path("/p/COPYING"))
    found = collect([library("liba.so"), library("libb.so")], [text], INFO)
    assert found.members == ((f"{BASE}/COPYING", Path("/p/COPYING")),)
    assert found.without == ()


def test_a_wheel_that_bundles_nothing_gets_no_texts() -> None:
    found = collect([], [LicenseText(Path("a")), LicenseText(Path("b"), "*")], INFO)
    assert (found.members, found.without) == ((), ())


def test_files_of_one_name_are_all_there_and_one_file_is_there_once() -> None:
    one = library("liba.so", "/l/a/COPYING", "/l/b/COPYING", "/l/a/COPYING", dest="d/liba-1.so")
    two = library("liba.so", "/l/c/COPYING", "/l/b/COPYING", dest="d/liba-2.so")
    assert collect([two, one], [], INFO).members == (
        (f"{BASE}/liba.so/2-COPYING", Path("/l/b/COPYING")),
        (f"{BASE}/liba.so/3-COPYING", Path("/l/c/COPYING")),
        (f"{BASE}/liba.so/COPYING", Path("/l/a/COPYING")),
    )
