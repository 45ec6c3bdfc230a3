from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from packaging.tags import parse_tag

from muslbackend.elf.edit import Edit
from muslbackend.loader.needs import Reason
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from muslbackend.policy.check import Checked, File, Question
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.reach import with_system
from muslbackend.policy.verdict import Verdict
from muslbackend.repair.outcome import Outcome
from muslbackend.repair.plan import Graft, Plan
from muslbackend.report.build import build_text
from muslbackend.report.check import check_json, check_text, file_lines, findings_lines, more_lines
from muslbackend.wheel.name import WheelName
from support.wheels.builders import elf_info, extension, graph_of

if TYPE_CHECKING:
    from muslbackend.loader.graph import Graph

V = MuslVersion.parse
WHEEL = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
NAME = WheelName("demo-1.0", "", parse_tag("cp311-cp311-musllinux_1_2_x86_64"))
CORE = "demo/_core.so"
SOUND = Verdict(V("1.1.0"), (), (), "3.6")
GRAPH = graph_of(
    {
        CORE: extension(needed=("libc.so", "liba.so", "libz.so.1"), rpath=("$ORIGIN", "/opt")),
        "demo/liba.so": elf_info(soname="liba.so.1"),
    },
    exclude=("libz.so.1",),
)
MISSING = Finding(
    "MB101",
    Severity.ERROR,
    CORE,
    "requires libx.so",
    hint="have it bundled",
    symbol="libx.so",
    details=("searched  /lib", "not usable  /lib/libx.so is for aarch64"),
)
LEFT = Finding("MB109", Severity.WARNING, CORE, "requires libz.so.1")
NEWER = Finding("MB103", Severity.ERROR, CORE, "requires statx", hint="avoid it", symbol="statx")
FILES = {CORE: File(70000, V("1.2.5")), "demo/liba.so": File(512, None)}
SECONDS = {"read": 0.25, "judge": 1.5, "total": 1.751}
STATX = Reason(CORE, "statx", V("1.2.5"))


def checked(
    verdict: Verdict,
    *,
    libc: str | None = "musl",
    claimed: tuple[str, ...] = ("musllinux_1_2_x86_64",),
    graph: Graph | None = GRAPH,
) -> Checked:
    earned = "musllinux_1_2_x86_64"
    return Checked(
        WHEEL,
        verdict,
        claimed=claimed,
        arch="x86_64",
        libc=libc,
        earned=earned,
        graph=graph,
        files=FILES,
        seconds=SECONDS,
    )


def test_a_finding_is_shown_with_its_details_and_its_remedy() -> None:
    note = Finding("MB100", Severity.NOTE, "x.whl", "is odd")
    assert list(findings_lines([MISSING, LEFT, note])) == [
        "error[MB101] demo/_core.so: requires libx.so",
        "      searched  /lib",
        "      not usable  /lib/libx.so is for aarch64",
        "      hint  have it bundled",
        "warning[MB109] demo/_core.so: requires libz.so.1",
        "note[MB100] x.whl: is odd",
    ]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            checked(SOUND),
            f"{WHEEL}: ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)",
        ),
        (
            checked(Verdict(V("1.2.5"), (STATX,), (), "3.20")),
            (
                f"{WHEEL}: ok, loads on musl 1.2.5 and later (Alpine 3.20 and later), "
                f"because of statx in {CORE}"
            ),
        ),
        (
            checked(Verdict(V("1.2.6"), (Reason(CORE, "x", V("1.2.6")),), ())),
            f"{WHEEL}: ok, loads on musl 1.2.6 and later, because of x in {CORE}",
        ),
        (
            checked(Verdict(None, (), ()), libc=None, claimed=("any",), graph=None),
            f"{WHEEL}: ok, contains no musl binaries",
        ),
        (
            checked(Verdict(None, (), ()), libc="glibc", claimed=("manylinux_2_17_x86_64",)),
            f"{WHEEL}: not for musl: its files were linked against glibc",
        ),
        (
            checked(Verdict(V("1.2.5"), (STATX,), (NEWER, LEFT), "3.20")),
            (
                f"{WHEEL}: musllinux_1_2_x86_64 is not true: loads on musl 1.2.5 and later "
                f"(Alpine 3.20 and later), because of statx in {CORE}\n"
                f"error[MB103] {CORE}: requires statx\n"
                "      hint  avoid it\n"
                f"warning[MB109] {CORE}: requires libz.so.1"
            ),
        ),
        (
            checked(
                Verdict(None, (), (NEWER,)),
                claimed=("manylinux_2_17_x86_64", "musllinux_1_2_x86_64"),
            ),
            (
                f"{WHEEL}: manylinux_2_17_x86_64 and musllinux_1_2_x86_64 is not true: "
                "does not load on any musl by itself\n"
                f"error[MB103] {CORE}: requires statx\n"
                "      hint  avoid it"
            ),
        ),
    ],
)
def test_check_says_of_a_wheel(result: Checked, text: str) -> None:
    assert check_text(result) == text


def test_on_a_terminal_each_part_has_a_role() -> None:
    def paint(text: str, role: str) -> str:
        return f"<{role}>{text}</>"

    result = checked(Verdict(V("1.2.5"), (STATX,), (MISSING, LEFT), "3.20"))
    assert check_text(result, paint=paint) == (
        f"<subject>{WHEEL}</>: <error>musllinux_1_2_x86_64 is not true</>: loads on musl 1.2.5 and "
        f"later (Alpine 3.20 and later), because of statx in {CORE}\n"
        f"<error>error[MB101]</> <subject>{CORE}</>: requires libx.so\n"
        "      searched  /lib\n"
        "      not usable  /lib/libx.so is for aarch64\n"
        "      <hint>hint  have it bundled</>\n"
        f"<warning>warning[MB109]</> <subject>{CORE}</>: requires libz.so.1"
    )
    assert check_text(checked(SOUND), paint=paint).startswith(
        f"<subject>{WHEEL}</>: <ok>ok</>, loads on musl 1.1.0"
    )
    assert list(more_lines([MISSING, LEFT, LEFT], paint)) == [
        "  <label>more</>      <subject>muslbackend explain MB101 MB109</>  their meanings and fixes"  # noqa: E501
    ]
    assert list(more_lines([LEFT])) == [
        "  more      muslbackend explain MB109  its meaning and fixes"
    ]
    assert list(more_lines([])) == []


def test_quiet_leaves_errors() -> None:
    result = checked(Verdict(None, (), (LEFT, MISSING)))
    assert check_text(result, quiet=True) == (
        f"{WHEEL}: musllinux_1_2_x86_64 is not true: does not load on any musl by itself\n"
        f"error[MB101] {CORE}: requires libx.so\n"
        "      searched  /lib\n"
        "      not usable  /lib/libx.so is for aarch64\n"
        "      hint  have it bundled"
    )


def test_verbose_shows_needed_libraries_and_durations() -> None:
    assert check_text(checked(SOUND), verbose=True) == (
        f"{WHEEL}: ok, loads on musl 1.1.0 and later (Alpine 3.6 and later)\n"
        f"  file      {CORE}: 70,000 bytes, loads on musl 1.2.5 and later, "
        "requires liba.so (demo/liba.so), libz.so.1 (left to the system)\n"
        "  file      demo/liba.so: 512 bytes, loads on no musl, requires nothing but musl\n"
        "  took      1.75 s: read 0.25, judge 1.50"
    )


def test_each_way_to_have_a_library_has_its_words() -> None:
    files = {
        CORE: extension(needed=("liba.so", "libb.so", "libc++.so", "libpython3.so")),
        "demo/libs/liba.so": elf_info(),
        "/lib/libb.so": elf_info(),
    }
    of_core, of_library = file_lines(graph_of(files, "/lib"))
    assert of_core == (
        f"  file      {CORE}: requires liba.so (demo/libs/liba.so, "
        "in a folder that musl does not search), "
        "libb.so (/lib/libb.so), libc++.so (not found), libpython3.so (provided by the interpreter)"
    )
    assert of_library == "  file      demo/libs/liba.so: requires nothing but musl"


@pytest.mark.parametrize(
    ("question", "verdict", "text"),
    [
        (Question(against=V("1.2.3")), SOUND, "ok, loads on musl 1.2.3"),
        # It was there once and is gone: no release from which on it loads.
        (Question(against=V("1.1.9")), Verdict(None, (), ()), "ok, loads on musl 1.1.9"),
        (
            Question(against=V("1.2.3")),
            Verdict(V("1.2.5"), (), (NEWER,), "3.20"),
            "does not load on musl 1.2.3: loads on musl 1.2.5 and later (Alpine 3.20 and later)",
        ),
        (
            Question(floor=V("1.2.3")),
            Verdict(None, (), (NEWER,)),
            "does not load on musl 1.2.3",
        ),
        (
            Question(floor=V("1.2.3"), arch=ARCHITECTURES["armv7l"]),
            Verdict(None, (), (NEWER,)),
            "does not load on musl 1.2.3 for armv7l",
        ),
        (
            Question(arch=ARCHITECTURES["armv7l"]),
            Verdict(None, (), (NEWER,)),
            "musllinux_1_2_x86_64 is not true for armv7l: does not load on any musl by itself",
        ),
    ],
)
def test_check_answers_the_question(question: Question, verdict: Verdict, text: str) -> None:
    shown = check_text(checked(verdict)._replace(question=question))
    assert shown.splitlines()[0] == f"{WHEEL}: {text}"


def test_a_system_library_is_not_a_provider_in_the_wheel() -> None:
    files = {CORE: extension(needed=("libz.so.1",)), "/lib/libz.so.1": elf_info()}
    graph = with_system(graph_of(files, "/lib"))
    (found,) = json.loads(check_json([checked(SOUND, graph=graph)]))
    assert found["files"][0]["needed"] == [{"name": "libz.so.1", "provider": None}]


def test_a_wheel_that_cannot_be_read_claims_nothing() -> None:
    finding = Finding("MB100", Severity.ERROR, WHEEL, "there is no such file")
    result = checked(Verdict(None, (), (finding,)), libc=None, claimed=(), graph=None)
    first, *rest = check_text(result).splitlines()
    assert rest == [f"error[MB100] {WHEEL}: there is no such file"]
    assert first.startswith(f"{WHEEL}: ")
    assert "is not true" not in first  # nothing was said that could be


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "a0 in f"),
        (3, "a0 in f, a1 in f, a2 in f"),
        (4, "a0 in f, a1 in f, a2 in f and 1 more"),
        (12, "a0 in f, a1 in f, a2 in f and 9 more"),
    ],
)
def test_three_reasons_are_shown_and_the_others_counted(count: int, text: str) -> None:
    reasons = tuple(Reason("f", f"a{number}", V("1.2.5")) for number in range(count))
    shown = check_text(checked(Verdict(V("1.2.5"), reasons, (), "3.20")))
    assert shown.endswith(f", because of {text}")


def test_a_build_without_errors_reports_its_steps() -> None:
    plan = Plan(
        (Graft("/usr/lib/libb.so.2", "demo.libs/libb-1.so.2", "ff", (CORE, "demo/x.so")),),
        (
            Edit("demo.libs/libb-1.so.2", soname="libb-1.so.2", rpath=()),
            Edit(CORE, needed=(("libb.so.2", "libb-1.so.2"),), rpath=("$ORIGIN/../demo.libs", "b")),
            Edit("demo/x.so", dropped=("libpython3.so",), rpath=()),
            Edit("demo/y.so", dropped=("libpython3.so",)),
        ),
    )
    verdict = Verdict(V("1.1.0"), (), (LEFT,), "3.6")
    assert build_text(Outcome(NAME, verdict, plan, promised=True)) == (
        f"muslbackend: {WHEEL}\n"
        "  loads on  musl 1.1.0 and later (Alpine 3.6 and later)\n"
        f"  bundled   /usr/lib/libb.so.2 as demo.libs/libb-1.so.2, for {CORE}, demo/x.so\n"
        f"  rewrote   {CORE}: libb.so.2 renamed to libb-1.so.2, rpath $ORIGIN/../demo.libs:b\n"
        "  rewrote   demo/x.so: libpython3.so removed from the needed libraries, no rpath\n"
        "  rewrote   demo/y.so: libpython3.so removed from the needed libraries\n"
        f"warning[MB109] {CORE}: requires libz.so.1"
    )


def test_on_a_terminal_the_report_of_a_build_ends_with_next_steps() -> None:
    def paint(text: str, role: str) -> str:
        return f"<{role}>{text}</>"

    outcome = Outcome(NAME, Verdict(V("1.1.0"), (), (LEFT,), "3.6"), Plan(), promised=True)
    assert build_text(outcome, paint, guided=True) == (
        f"<label>muslbackend:</> <ok>{WHEEL}</>\n"
        "  <label>loads on</>  musl 1.1.0 and later (Alpine 3.6 and later)\n"
        f"<warning>warning[MB109]</> <subject>{CORE}</>: requires libz.so.1\n"
        "  <label>more</>      <subject>muslbackend explain MB109</>  "
        "its meaning and fixes"
    )
    broken = Outcome(NAME, Verdict(None, (), (MISSING,)), Plan(), promised=False)
    assert build_text(broken, paint).startswith(
        f"<label>muslbackend:</> <warning>{WHEEL} promises no musl release</>: a musllinux tag"
    )


def test_a_build_says_how_long_it_took() -> None:
    outcome = Outcome(NAME, SOUND, Plan(), promised=True, seconds=SECONDS)
    assert build_text(outcome).endswith("\n  took      1.75 s: read 0.25, judge 1.50")


def test_a_build_that_promises_nothing_says_why() -> None:
    outcome = Outcome(NAME, Verdict(None, (), (MISSING,)), Plan(), promised=False)
    assert build_text(outcome) == (
        f"muslbackend: {WHEEL} promises no musl release: a musllinux tag would not be true\n"
        "  contents  as scikit-build-core made them; a local install works as without us\n"
        f"error[MB101] {CORE}: requires libx.so\n"
        "      searched  /lib\n"
        "      not usable  /lib/libx.so is for aarch64\n"
        "      hint  have it bundled"
    )


def test_the_json_of_a_wheel_has_everything_in_it() -> None:
    result = checked(Verdict(V("1.2.5"), (STATX,), (MISSING, LEFT), "3.20"))
    (found,) = json.loads(check_json([result]))
    # What a finding has besides is not of this test.
    findings = [{key: f[key] for key in FINDING_KEYS} for f in found.pop("findings")]
    assert found == {
        "wheel": WHEEL,
        "ok": False,
        "arch": "x86_64",
        "libc": "musl",
        "claimed": ["musllinux_1_2_x86_64"],
        "declared": None,
        "earned": "musllinux_1_2_x86_64",
        "floor": "1.2.5",
        "alpine": "3.20",
        "backport": None,
        "because": [{"file": CORE, "symbol": "statx", "since": "1.2.5"}],
        "files": [
            {
                "path": CORE,
                "soname": None,
                "needed": [
                    {"name": "liba.so", "provider": "demo/liba.so"},
                    {"name": "libz.so.1", "provider": None},
                ],
                "rpath": ["$ORIGIN", "/opt"],
                "size": 70000,
                "floor": "1.2.5",
            },
            {
                "path": "demo/liba.so",
                "soname": "liba.so.1",
                "needed": [],
                "rpath": [],
                "size": 512,
                "floor": None,
            },
        ],
        "seconds": SECONDS,
    }
    assert findings == [
        {
            "code": "MB101",
            "severity": "error",
            "file": CORE,
            "symbol": "libx.so",
            "message": "requires libx.so",
            "hint": "have it bundled",
        },
        {
            "code": "MB109",
            "severity": "warning",
            "file": CORE,
            "symbol": None,
            "message": "requires libz.so.1",
            "hint": None,
        },
    ]


FINDING_KEYS = ("code", "severity", "file", "symbol", "message", "hint")


def test_the_json_of_a_finding_has_its_details() -> None:
    (found,) = json.loads(check_json([checked(Verdict(None, (), (MISSING, LEFT)))]))
    assert [finding["details"] for finding in found["findings"]] == [list(MISSING.details), []]


def test_the_json_of_a_finding_has_all_its_symbols() -> None:
    many = NEWER._replace(symbols=("statx", "swab", "x"))
    verdict = Verdict(None, (), (NEWER, many, LEFT))
    (found,) = json.loads(check_json([checked(verdict)]))
    assert [(f["symbol"], f["symbols"]) for f in found["findings"]] == [
        ("statx", ["statx"]),
        ("statx", ["statx", "swab", "x"]),
        (None, []),
    ]


def test_the_json_of_a_wheel_without_native_code_is_empty_where_nothing_is_known() -> None:
    result = Checked("a.whl", Verdict(None, (), ()), claimed=("any",))
    assert json.loads(check_json([result])) == [
        {
            "wheel": "a.whl",
            "ok": True,
            "arch": None,
            "libc": None,
            "claimed": ["any"],
            "declared": None,
            "earned": None,
            "floor": None,
            "alpine": None,
            "backport": None,
            "because": [],
            "findings": [],
            "files": [],
            "seconds": {},
        }
    ]


def test_the_json_keeps_the_order_of_the_wheels() -> None:
    results = [Checked(f"{name}.whl", Verdict(None, (), ())) for name in "bca"]
    assert [w["wheel"] for w in json.loads(check_json(results))] == ["b.whl", "c.whl", "a.whl"]
    assert json.loads(check_json([])) == []
