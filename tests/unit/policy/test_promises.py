"""What is promised to users of the codes of findings."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import muslbackend
from muslbackend.policy.rules import loading, soundness

PACKAGE: Final = Path(muslbackend.__file__).parent
TESTS: Final = Path(__file__).resolve().parents[2]
CODE: Final = re.compile(r"MB\d+")
WITH_RULES: Final = {
    "policy/rules/loading.py",
    "policy/rules/hazards.py",
    "policy/rules/package.py",
    "policy/rules/abi.py",
    "policy/rules/ignored.py",
    "policy/rules/libraries.py",
} | {
    "policy/rules/archive.py",
    "policy/rules/installation.py",
    "policy/rules/dist_info.py",
    "policy/rules/unloaded.py",
}

#: A library that was found but will not do has the code of what is wrong with it.
SHARED: Final = {
    "MB105": {"_why_missing", "foreign_libc"},
    "MB106": {"_why_missing", "foreign_architecture"},
}


def functions_by_code() -> dict[str, set[str]]:
    """Return the functions with rules in which each code is written."""
    found = defaultdict(set)
    sources = [(PACKAGE / name).read_text(encoding="utf-8") for name in sorted(WITH_RULES)]
    nodes = [node for source in sources for node in ast.parse(source).body]
    for function in (node for node in nodes if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.Constant) and CODE.fullmatch(str(node.value)):
                found[str(node.value)].add(function.name)
    return found


def test_every_code_is_in_some_test() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    tests = [path for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name]
    tested = "".join(path.read_text(encoding="utf-8") for path in tests)
    codes = set(CODE.findall(sources))
    assert len(codes) >= 25
    assert codes - set(CODE.findall(tested)) == set()


def test_every_code_belongs_to_one_rule() -> None:
    shared = {code: names for code, names in functions_by_code().items() if len(names) > 1}
    assert shared == SHARED


def test_codes_are_written_in_rules_and_nowhere_else_but_for_a_wheel_that_cannot_be_read() -> None:
    elsewhere = {
        (str(path.relative_to(PACKAGE)), code)
        for path in PACKAGE.rglob("*.py")
        if str(path.relative_to(PACKAGE)) not in WITH_RULES
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }
    assert elsewhere == {
        ("api.py", "MB100"),  # in docstrings
        ("api.py", "MB101"),
        ("policy/check.py", "MB100"),
        ("policy/check.py", "MB106"),
        ("policy/check.py", "MB150"),
        *(("policy/rules/soundness.py", code) for code in soundness.CODES),
        ("repair/inventory.py", "MB133"),
        ("build/cmake_cache.py", "MB136"),
        ("policy/rules/declared_floor.py", "MB148"),
        ("cli/explain.py", "MB103"),  # examples
        ("cli/explain.py", "MB112"),
    }


def test_every_rule_is_among_those_that_are_run() -> None:
    finished = (*loading.FINISHED_RULES, *soundness.RULES)
    every = (*finished, *(rule for rule in loading.REPAIR_RULES if rule not in finished))
    run = {rule.__name__ for rule in every}
    assert len(run) == len(every)
    writing = {name for names in functions_by_code().values() for name in names}
    assert {name for name in writing if not name.startswith("_")} <= run


def test_findings_about_the_floor_have_codes_that_exist() -> None:
    assert set(functions_by_code()) >= loading.ABOUT_THE_TAG
