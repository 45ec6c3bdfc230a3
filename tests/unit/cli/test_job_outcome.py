"""The file in which a hook leaves its outcome for ``muslbackend build``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from packaging.tags import parse_tag

from muslbackend.build import hooks, outcome, pipeline
from muslbackend.cli.multibuild import jobs, results
from muslbackend.cli.multibuild.results import read_outcome
from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.verdict import PolicyError, Verdict
from muslbackend.repair.outcome import Outcome, Repaired
from muslbackend.repair.plan import Plan
from muslbackend.report import text
from muslbackend.system.processes import Processes
from muslbackend.wheel.name import WheelName

if TYPE_CHECKING:
    from pathlib import Path

FINDING = Finding("MB103", Severity.ERROR, "demo/_core.so", "needs statx", "avoid it", "statx")
MADE = Outcome(
    WheelName("demo-1.0", "", parse_tag("cp311-cp311-musllinux_1_2_x86_64")),
    Verdict(MuslVersion(1, 2, 3), (), (FINDING._replace(severity=Severity.WARNING),)),
    Plan(),
    promised=True,
)
HOSTILE = "demo/a\nmuslbackend: error: b\x1b[32m\u202e::error::c.so"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ask the hooks for their outcome."""
    path = tmp_path / "outcome.json"
    monkeypatch.setenv(outcome.VARIABLE, str(path))
    return path


def test_a_wheel_that_was_built(file: Path) -> None:
    outcome.write(Repaired("demo.whl", MADE))
    left = read_outcome(file)
    assert left is not None
    assert (left.floor, left.promised, left.error) == ("1.2.3", True, None)
    assert left.findings == (FINDING._replace(severity=Severity.WARNING, symbol=""),)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_wheel_for_any_platform(file: Path) -> None:
    verdict = MADE.verdict._replace(floor=None, findings=())
    outcome.write(Repaired("demo.whl", MADE._replace(promised=None, verdict=verdict)))
    assert results.loads_on(read_outcome(file)) == "any"


def test_no_variable_and_no_writable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(outcome.VARIABLE, raising=False)
    outcome.write(Repaired("demo.whl", MADE))
    (tmp_path / "a file").touch()
    monkeypatch.setenv(outcome.VARIABLE, str(tmp_path / "a file" / "outcome.json"))
    outcome.write(Repaired("demo.whl", MADE))
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_a_hook_that_refuses_leaves_its_error_and_findings(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PolicyError(Verdict(None, (), (FINDING,)), "nothing was written", hint="see above")

    def build(_: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "build_wheel", build)
    with pytest.raises(SystemExit, match="1"):
        hooks.build_wheel("dist", {"musl.target": "x86_64"})
    assert results.reasons(read_outcome(file), "1 error in the log") == (
        "nothing was written",
        "error[MB103] demo/_core.so: needs statx",
        "      hint  avoid it",
        "  hint  see above",
    )


def test_a_hook_that_rejects_a_setting_leaves_its_error(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        hooks.get_requires_for_build_sdist({"musl.nosuch": "1"})
    left = read_outcome(file)
    assert left is not None
    assert left.error is not None
    assert "nosuch" in left.error


def test_a_hook_that_builds_leaves_its_outcome(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "build_wheel", lambda _: MADE)
    assert hooks.build_wheel("dist", {"musl.target": "x86_64"}) == MADE.wheel
    assert results.loads_on(read_outcome(file)) == "musl 1.2.3"


def test_hostile_names_cannot_print_lines_or_colors(file: Path) -> None:
    finding = FINDING._replace(subject=HOSTILE, message=HOSTILE, hint=HOSTILE, details=(HOSTILE,))
    verdict = Verdict(None, (), (finding,))
    outcome.write(Repaired(HOSTILE, error=f"{HOSTILE}\n  hint  {HOSTILE}", verdict=verdict))
    left = read_outcome(file)
    assert left is not None
    assert left.findings[0].subject == HOSTILE
    for line in results.reasons(left, ""):
        assert line.isprintable()
        assert text.shown(line) == line or "::" in line


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"floor": 1, "promised": true, "error": null, "findings": []}',
        b'{"floor": null, "promised": "yes", "error": null, "findings": []}',
        b'{"floor": null, "promised": true, "error": {}, "findings": []}',
        b'{"floor": null, "promised": true, "error": null, "findings": ["x"]}',
        b'{"floor": null, "promised": true, "error": null, "findings": [{"code": "MB103"}]}',
    ],
)
def test_a_file_that_is_missing_or_not_understood(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "outcome.json"
    if content is not None:
        file.write_bytes(content)
    assert read_outcome(file) is None


def test_a_severity_of_a_later_release(tmp_path: Path) -> None:
    finding = {"code": "MB103", "severity": "fatal", "file": "a", "message": "b", "hint": None}
    value: dict[str, object] = {
        "floor": None,
        "promised": None,
        "error": "c",
        "findings": [{**finding, "details": []}],
    }
    file = tmp_path / "outcome.json"
    file.write_text(json.dumps(value))
    assert read_outcome(file) is None


def test_only_hooks_get_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # pip may build requirements, and this command may run in a hook of another build.
    monkeypatch.setenv(outcome.VARIABLE, "of another build")
    environs = []
    processes = Processes()
    monkeypatch.setattr(processes, "run", lambda *args: environs.append(args[2]))
    jobs._Run(processes, tmp_path / "log", 1)(["pip"])
    jobs._Run(processes, tmp_path / "log", 1, tmp_path / "outcome.json")(["hook"])
    found = [environ.get(outcome.VARIABLE) for environ in environs]
    assert found == [None, str(tmp_path / "outcome.json")]
