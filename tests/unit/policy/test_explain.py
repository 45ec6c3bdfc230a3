"""What ``explain`` says: something of every code, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

import muslbackend
from muslbackend.cli.main import main
from muslbackend.policy.codes import REMEDIES, entries, explain

PACKAGE: Final = Path(muslbackend.__file__).parent


def codes_in_source() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    return set(re.findall(r"\bMB\d{3}\b", "".join(texts)))


def test_every_code_has_an_entry() -> None:
    assert codes_in_source() - set(entries()) == set()


def test_no_entry_is_without_a_rule() -> None:
    assert set(entries()) - codes_in_source() == set()


@pytest.mark.parametrize("code", sorted(entries()))
def test_an_entry_has_a_rule_the_words_of_musl_and_a_remedy(code: str) -> None:
    entry = entries()[code]
    assert len(f"{code}  {entry.title}") <= 100
    assert not entry.title.endswith(".")
    assert entry.rule.endswith(".")
    assert entry.prints
    assert next(iter(entry.remedies)) == "anyway"


def test_the_file_has_no_key_that_is_not_shown() -> None:
    text = (PACKAGE / "policy" / "codes.toml").read_text(encoding="utf-8")
    keys = set(re.findall(r"^(\w+) = ", text, re.MULTILINE))
    assert keys == {"title", "rule", "prints", *REMEDIES}


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == sorted(entries())
    assert lines[2] == "MB102  a symbol that neither musl nor a library of the wheel defines"


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mb112"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("MB112: initial-exec TLS in a file that an import opens\n  rule\n")
    assert "  musl prints\n      Error relocating X: S: initial-exec TLS resolves to dynamic" in out
    assert "  CMake\n      target_compile_options(" in out
    assert "  Go\n      -buildmode=c-shared " in out
    assert max(map(len, out.splitlines())) <= 100


def test_several_codes_are_explained_in_the_order_given() -> None:
    text = explain(["MB104", "MB101"])
    assert re.findall(r"^MB\d+", text, re.MULTILINE) == ["MB104", "MB101"]
    assert "\n\nMB101: " in text


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("MB183", "did you mean MB1"),
        ("fortify", "run muslbackend explain without arguments to list all codes"),
    ],
)
def test_an_unknown_code_exits_with_2(
    code: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "MB101", code]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"muslbackend: error: unknown code: {code}\n  hint  {hint}" in err
