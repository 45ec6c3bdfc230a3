"""What ``check`` found out of made-up wheels, for the tests of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.musl.releases import MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.policy.check import Checked, File, Question
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.reach import answer, floors
from muslbackend.policy.verdict import Verdict
from muslbackend.wheel.zip.directory import Listed
from support.wheels.builders import X86_64, elf_info, extension, graph_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.elf.info import ElfInfo

V = MuslVersion.parse
WHEEL: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
CORE, LIBRARY = "demo/_core.so", "demo.libs/liba.so"
TAG: Final = "musllinux_1_2_x86_64"
ANY: Final = Question()


def listed(sizes: Mapping[str, int]) -> tuple[Listed, ...]:
    """Return members of an archive, packed to half their size."""
    return tuple(Listed(name, 0, 8, 0, size // 2, size, 0, 0) for name, size in sizes.items())


def checked(
    files: Mapping[str, ElfInfo | str],
    question: Question = ANY,
) -> Checked:
    """Judge a wheel that consists of made-up files, as ``check`` does."""
    graph = graph_of(files)
    target = Target(X86_64, question.against or V("1.2.0"), native=False, strict=True)
    verdict = answer(graph, target, question.against)
    known = {
        path: File(1000 * number, floor)
        for number, (path, floor) in enumerate(floors(graph, X86_64, verdict.findings).items(), 1)
    }
    members = {**{path: file.size for path, file in known.items()}, "demo/__init__.py": 500}
    earned = TAG if verdict.ok else None
    return Checked(
        WHEEL,
        verdict,
        claimed=(TAG,),
        arch="x86_64",
        libc="musl",
        earned=earned,
        graph=graph,
        question=question,
        files=known,
        seconds={"total": 1.23},
        listed=listed(members),
    )


CLEAN: Final = checked({CORE: extension(imports=frozenset({"getpid"}))})
NEWER: Final = checked(
    {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN/../demo.libs",)),
        LIBRARY: elf_info(imports=frozenset({"statx", "qsort_r"}), relr=True),
    }
)

HOSTILE: Final = (
    "demo/<script>alert(1)</script>.so",
    "demo/\"><img src=x onerror='alert(1)'>.so",
    "demo/' onmouseover='alert(1).so",
    "demo/</title></style></svg><b>.so",
    "demo/]]>--><!-- x.so",
    "demo/&lt;&#60;.so",
    "demo/new\nline\r\x00\x1b[31m.so",
    "demo/\u202egnp.exe\u2066.so",
    "demo/\udcff\ud800.so",
    "demo/\u05e9\u05dc\u05d5\u05dd.so",
    f"demo/{'long' * 60}.so",
    "javascript:alert(1)",
)


def hostile() -> Checked:
    """Return a wheel in which every name is one that would like to be something else."""
    graph = graph_of(
        {
            name: extension(
                needed=(*HOSTILE[:3], name.rpartition("/")[2]), imports=frozenset(HOSTILE)
            )
            for name in HOSTILE
        }
    )
    findings = tuple(
        Finding("MB102", Severity.ERROR, name, f"needs {name}", name, name, (name,))
        for name in HOSTILE
    )
    reasons = answer(graph, Target(X86_64, None, native=False, strict=True), None).because
    return Checked(
        f"{HOSTILE[1]}.whl",
        Verdict(V("1.2.0"), reasons, findings),
        claimed=HOSTILE,
        arch="x86_64",
        earned=HOSTILE[0],
        graph=graph,
        files={name: File(1000, None) for name in HOSTILE},
        listed=listed(dict.fromkeys(HOSTILE, 1000)),
    )
