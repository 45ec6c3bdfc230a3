"""Terminals, pipes, and annotations for GitHub Actions."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest
from packaging.tags import parse_tag

from muslbackend.build import hooks, pipeline
from muslbackend.build.job import Request
from muslbackend.build.settings import Settings
from muslbackend.cli.multibuild import driver, jobs
from muslbackend.cli.multibuild.matrix import Interpreter, Job
from muslbackend.cli.multibuild.results import Result
from muslbackend.musl.releases import MuslVersion
from muslbackend.musl.tags import Facts
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.verdict import PolicyError, Verdict
from muslbackend.repair.outcome import Outcome
from muslbackend.repair.plan import Plan
from muslbackend.report import terminal, text
from muslbackend.report.terminal import Output, annotate, complain
from muslbackend.system.processes import Processes
from muslbackend.wheel.name import WheelName
from support.tools.terminal import pair
from support.wheels.builders import target_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FINDING = Finding("MB103", Severity.ERROR, "demo/_core.so", "needs statx", "avoid it")
LONG = "  bundled   " + "word " * 20 + "end"


@contextmanager
def a_terminal(columns: int = 60, encoding: str = "utf-8") -> Iterator[tuple[int, TextIO]]:
    """Yield the user's end of a terminal and the program's."""
    user, program = pair(columns)
    with os.fdopen(program, "w", encoding=encoding) as stream:
        yield user, stream
    os.close(user)


def shown(user: int) -> str:
    """Return the text written to a terminal, which adds a return before each newline."""
    return os.read(user, 10000).decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def test_a_pipe_gets_plain_text() -> None:
    stream = io.StringIO()
    output = Output(stream)
    output.rule()
    output.show(LONG)
    assert output.paint is text.paint
    assert not output.guides
    assert stream.getvalue() == LONG + "\n"


def test_a_terminal_gets_colors_and_folded_lines() -> None:
    with a_terminal() as (user, stream):
        output = Output(stream)
        output.show(LONG, flush=True)
        assert output.paint is terminal.paint
        assert output.guides
        lines = shown(user).splitlines()
    assert max(map(len, lines)) <= 60
    assert all(line.startswith(" " * 12) for line in lines[1:])
    assert "\n".join(lines).split() == LONG.split()


def test_tables_are_not_folded() -> None:
    with a_terminal() as (user, stream):
        Output(stream).show(LONG, table=True, flush=True)
        assert shown(user) == LONG + "\n"


@pytest.mark.parametrize(("encoding", "char"), [("utf-8", "─"), ("ascii", "-")])
def test_a_rule_is_as_wide_as_the_terminal(encoding: str, char: str) -> None:
    with a_terminal(60, encoding) as (user, stream):
        output = Output(stream)
        output.rule()
        stream.flush()
        assert shown(user) == terminal.paint(char * 60, "hint") + "\n"


def test_a_terminal_without_colors_folds_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with a_terminal() as (_, stream):
        output = Output(stream)
    assert (output.paint, output.columns) == (text.paint, 60)


def test_a_dumb_terminal_is_like_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with a_terminal() as (_, stream):
        output = Output(stream)
    assert (output.paint, output.columns) == (text.paint, 0)


def test_forced_colors_do_not_fold_lines_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    output = Output(io.StringIO())
    assert (output.paint, output.columns) == (terminal.paint, 0)


def test_annotations_appear_on_github_only(capsys: pytest.CaptureFixture[str]) -> None:
    annotate([FINDING])
    complain("it broke")
    assert capsys.readouterr() == ("", "muslbackend: error: it broke\n")


def test_annotations_go_to_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    annotate([FINDING], "demo.whl")
    complain("it broke\n  hint  mend it")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        (
            "::error file=demo/_core.so,title=MB103::"
            "demo.whl: demo/_core.so: needs statx%0Ahint  avoid it"
        ),
        "muslbackend: error: it broke",
        "  hint  mend it",
        "::error title=muslbackend::it broke%0A  hint  mend it",
    ]


ASKED = Request({}, Settings(), {}, Facts("linux", "", "x86_64", ""), target_for())
OUTCOME = Outcome(
    WheelName("demo-1.0", "", parse_tag("cp311-cp311-musllinux_1_2_x86_64")),
    Verdict(MuslVersion(1, 1, 0), (), (FINDING._replace(severity=Severity.WARNING),)),
    Plan(),
    promised=True,
)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcome | Exception], None]:
    """Run the build hook with a given outcome or error."""

    def call(result: Outcome | Exception) -> None:
        def build(_: object) -> Outcome:
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(hooks, "read_request", lambda _: ASKED)
        monkeypatch.setattr(pipeline, "build_wheel", build)
        hooks.build_wheel("dist")

    return call


def test_the_hook_annotates_findings(
    hook: Callable[[Outcome | Exception], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook(OUTCOME)
    plain, nothing = capsys.readouterr()
    assert (plain.splitlines()[0], nothing) == (f"muslbackend: {OUTCOME.wheel}", "")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    hook(OUTCOME)
    assert capsys.readouterr() == (
        plain,
        (
            "::warning file=demo/_core.so,title=MB103::"
            f"{OUTCOME.wheel}: demo/_core.so: needs statx%0Ahint  avoid it\n"
        ),
    )


def test_the_hook_annotates_its_error(
    hook: Callable[[Outcome | Exception], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = PolicyError(Verdict(None, (), (FINDING,)), "nothing was written", hint="see above")
    with pytest.raises(SystemExit, match="1"):
        hook(error)
    _, plain = capsys.readouterr()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(SystemExit, match="1"):
        hook(error)
    _, both = capsys.readouterr()
    lines = both.splitlines()
    assert [line for line in lines if not line.startswith("::")] == plain.splitlines()
    assert [line for line in lines if line.startswith("::")] == [
        "::error file=demo/_core.so,title=MB103::demo/_core.so: needs statx%0Ahint  avoid it",
        "::error title=muslbackend::nothing was written%0A  hint  see above",
    ]


def test_the_log_of_a_job_gets_no_colors_and_no_annotations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Mapping[str, str]] = []
    processes = Processes()
    monkeypatch.setattr(processes, "run", lambda *args: seen.append(args[2]))
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.setenv(name, "true")
    jobs._Run(processes, Path("log"), 1)(["program"], extra_environ={"MORE": "1"})
    (environ,) = seen
    assert environ["MORE"] == "1"
    assert not {"FORCE_COLOR", "GITHUB_ACTIONS"} & environ.keys()


def test_failed_jobs_are_annotated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Interpreter("/usr/bin/python3.11", (3, 11, 2), "cpython", False, ())
    bad = Result(Job("aarch64", python), 3.0, exit_code=1, why=("it broke", "  because"))
    good = Result(Job("x86_64", python), 3.0, "demo.whl", 1000, "musl 1.1.0")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    driver._tell([good, bad], table=True)
    out, err = capsys.readouterr()
    assert out.splitlines()[2].endswith("failed: it broke")
    assert err.splitlines() == [
        "muslbackend: error: aarch64-cp311: it broke",
        "    because",
        "::error title=muslbackend::aarch64-cp311: it broke",
    ]
