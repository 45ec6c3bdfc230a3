"""Each code has one explanation, at least one test, and one module in which its rules are."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import muslbackend
from muslbackend.policy import registry
from muslbackend.policy.codes import entries

PACKAGE: Final = Path(muslbackend.__file__).parent
TESTS: Final = Path(__file__).resolve().parents[2]
CODE: Final = re.compile(r"\bMB\d{3}\b")
#: Findings that are made while a wheel is read or built: no rule can yield them.
WITHOUT_RULE: Final = {
    "policy/check.py": {"MB100", "MB150"},
    "repair/inventory.py": {"MB133"},
    "build/pipeline.py": {"MB136"},
}
#: Codes of several rules: a second question about the tags has the same answer.
SHARED: Final = {
    "MB106": {"foreign_architecture", "unknown_machines", "machines_without_files"},
    "MB148": {"invalid_declaration", "unknown_tags", "understated"},
}


def codes_in(path: Path) -> set[str]:
    text = re.sub(r'"""(?s:.*?)"""|#.*', "", path.read_text(encoding="utf-8"))
    return set(CODE.findall(text))


def test_every_code_is_in_some_test() -> None:
    tests = [path for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name]
    tested = "".join(path.read_text(encoding="utf-8") for path in tests)
    assert set(entries()) - set(CODE.findall(tested)) == set()


def test_every_code_has_a_rule_and_an_explanation() -> None:
    without = set().union(*WITHOUT_RULE.values())
    with_rule = {rule.code for rule in registry.ALL_RULES}
    assert with_rule & without == set()
    assert with_rule | without == set(entries())


def test_a_code_is_shared_only_by_questions_about_tags() -> None:
    names = defaultdict(set)
    for rule in registry.ALL_RULES:
        names[rule.code].add(rule.name)
    assert {code: rules for code, rules in names.items() if len(rules) > 1} == SHARED


def test_findings_without_a_rule_are_made_in_known_places() -> None:
    elsewhere = {
        name: codes
        for path in PACKAGE.rglob("*.py")
        if not (name := str(path.relative_to(PACKAGE))).startswith("policy/rules/")
        if (codes := codes_in(path))
    }
    named = {
        "build/foreign_objects.py": {"MB151"},
        "cli/explain.py": {"MB103", "MB112"},  # examples
        "report/check.py": {"MB148"},
    }
    assert elsewhere == WITHOUT_RULE | named


def test_every_rule_is_written_once_and_runs() -> None:
    rules = registry.ALL_RULES
    assert len({rule.name for rule in rules}) == len(rules) >= 45
    run = {*registry.REPAIR_RULES, *registry.FINISHED_RULES, *registry.ARCHIVE_RULES}
    called = (PACKAGE / "policy" / "check.py").read_text(encoding="utf-8")
    called += (PACKAGE / "policy" / "rules" / "platform.py").read_text(encoding="utf-8")
    assert [r.name for r in set(rules) - run if f" {r.name}(" not in called] == []


def test_rules_about_the_archive_are_in_the_order_in_which_findings_are_shown() -> None:
    codes = [rule.code for rule in registry.ARCHIVE_RULES]
    assert codes == ["MB137", "MB142", "MB143", "MB138", "MB139", "MB140"]


def test_the_derived_sets_are_these() -> None:
    assert {"MB103", "MB104", "MB121"} == registry.TAG_CODES
    assert {rule.code for rule in registry.ANY_LIBC_RULES} == {"MB121", "MB127"}
    build, repair = set(registry.BUILD_RULES), set(registry.REPAIR_RULES)
    assert {rule.code for rule in repair - build} == {"MB149"}
    finished = {rule.code for rule in set(registry.FINISHED_RULES) - build}
    assert finished == {"MB113", "MB120"}
    assert [rule.code for rule in registry.REWRITTEN_ARCHIVE_RULES] == ["MB140"]
    asked = {rule.code for rule in registry.RELEASE_RULES}
    assert asked == {"MB102", "MB103", "MB104", "MB126", "MB144", "MB145"}
