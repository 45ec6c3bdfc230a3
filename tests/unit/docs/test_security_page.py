"""What docs/SECURITY.md says of dependencies is what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

PROJECT: Final = Path(__file__).parents[3]


def test_every_dependency_is_listed_with_its_bounds() -> None:
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*table["dependencies"]]
    for extra, requirements in table["optional-dependencies"].items():
        wanted += [f"{requirement}#{extra}" for requirement in requirements]
    text = (PROJECT / "docs/SECURITY.md").read_text("utf-8")
    rows = dict(re.findall(r"(?m)^\| ([\w-]+)(?: \(extra `\w+`\))? \|.*\| (.+) \|$", text))
    rows.pop("dependency")
    assert len(rows) == len(wanted)
    for line in wanted:
        text, _, extra = line.partition("#")
        requirement = Requirement(text)
        said = rows[requirement.name]
        for bound in requirement.specifier:
            assert {">=": f"from {bound.version}", "<": f"below {bound.version}"}[
                bound.operator
            ] in said
        if "<" not in str(requirement.specifier):
            assert "below" not in said
        if extra:
            page = (PROJECT / "docs/SECURITY.md").read_text("utf-8")
            assert f"| {requirement.name} (extra `{extra}`) |" in page
