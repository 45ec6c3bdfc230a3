"""Annotations of GitHub Actions: what stands in them, and that nothing gets out of them."""

from __future__ import annotations

from muslbackend.policy.findings import Finding, Severity
from muslbackend.report import github

NEWER = Finding("MB103", Severity.ERROR, "demo/_core.so", "needs statx", "avoid it")


def test_each_finding_is_one_command() -> None:
    findings = [
        NEWER,
        Finding("MB109", Severity.WARNING, "demo/a.so", "needs libz.so.1"),
        Finding("MB116", Severity.NOTE, "demo/b.so", "wants a stack"),
    ]
    assert list(github.of_findings(findings)) == [
        "::error file=demo/_core.so,title=MB103::demo/_core.so: needs statx%0Ahint  avoid it",
        "::warning file=demo/a.so,title=MB109::demo/a.so: needs libz.so.1",
        "::notice file=demo/b.so,title=MB116::demo/b.so: wants a stack",
    ]


def test_the_wheel_is_named_once() -> None:
    (command,) = github.of_findings([NEWER], "demo-1.whl")
    assert command.endswith("::demo-1.whl: demo/_core.so: needs statx%0Ahint  avoid it")
    broken = Finding("MB100", Severity.ERROR, "demo-1.whl", "is no archive")
    (command,) = github.of_findings([broken], "demo-1.whl")
    assert command == "::error file=demo-1.whl,title=MB100::demo-1.whl: is no archive"


def test_an_error_keeps_its_lines() -> None:
    assert github.of_error("it broke: 100%\n  hint  mend it\r") == (
        "::error title=muslbackend::it broke: 100%25%0A  hint  mend it\\r"
    )


def test_properties_escape_their_delimiters() -> None:
    assert github.command("note", {"file": "a,b:c%d\r\n", "title": "x"}, "a,b:c%d\r\n") == (
        "::notice file=a%2Cb%3Ac%25d%0D%0A,title=x::a,b:c%25d%0D%0A"
    )


def test_names_begin_no_commands() -> None:
    hostile = "a,line=1::b\n::set-output name=x::y\r::stop-commands::z\u2028"
    finding = Finding("MB102", Severity.ERROR, hostile, f"needs {hostile}", hostile)
    (command,) = github.of_findings([finding], hostile)
    assert len(command.splitlines()) == 1
    properties = command.removeprefix("::error ").partition("::")[0]
    assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "title"]
