"""The rules about what the loader itself must know: relocations, TLS, segments, folders."""

from __future__ import annotations

import pytest

from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.registry import BUILD_RULES, FINISHED_RULES
from muslbackend.policy.verdict import Verdict, judge
from support.wheels.builders import elf_info, extension, graph_of, target_for

CORE = "demo/_core.so"


def verdict(kinds: set[int], arch: str = "x86_64", floor: str | None = "1.2.0") -> Verdict:
    """Judge an extension that has relocations of these types."""
    target = target_for(arch, floor)
    core = extension(
        relocations=frozenset(kinds),
        machine=target.arch.machine,
        bits=target.arch.bits,
        byteorder=target.arch.byteorder,
    )
    return judge(graph_of({CORE: core}, arch=target.arch), target)


def test_mb111_a_relocation_that_no_musl_knows() -> None:
    irelative = 37
    assert verdict({6, 8, irelative}).findings == (
        Finding(
            "MB111",
            Severity.ERROR,
            CORE,
            "has relocations of type 37, which no musl release supports",
            hint="build it with a compiler that targets musl, and without ifunc",
            symbol="type 37",
        ),
    )
    assert verdict({irelative}).floor is None
    assert verdict({1, 6, 7, 8, 16, 17}).findings == ()


def test_mb111_types_of_one_file_are_one_finding() -> None:
    (found,) = verdict({1, 90, 91}).findings
    assert found.message == "has relocations of type 90, 91, which no musl release supports"
    assert found.names == ("type 90", "type 91")


@pytest.mark.parametrize(
    ("arch", "kind"),
    [("x86_64", 18), ("i686", 14), ("i686", 37), ("aarch64", 1030), ("armv7l", 19), ("s390x", 56)],
)
def test_mb112_initial_exec_tls_in_an_extension(arch: str, kind: int) -> None:
    (found,) = verdict({kind}, arch).findings
    assert (found.code, found.severity, found.subject) == ("MB112", Severity.ERROR, CORE)
    assert (
        found.message == "uses initial-exec TLS, which musl rejects in files that an import opens"
    )


def test_mb112_is_silent_on_a_program() -> None:
    program = elf_info(executable=True, relocations=frozenset({18}))
    assert judge(graph_of({"demo/tool": program}), target_for()).findings == ()


def test_mb112_speaks_of_a_library_that_an_extension_needs() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(relocations=frozenset({18})),
    }
    (found,) = judge(graph_of(files), target_for()).findings
    assert (found.code, found.subject) == ("MB112", "demo/liba.so")


def test_mb104_tls_descriptors_came_late_to_riscv() -> None:
    judged = verdict({12}, "riscv64")
    assert judged.floor == MuslVersion(1, 2, 5)
    (found,) = judged.findings
    assert found.code == "MB104"
    assert found.message == (
        "uses relocations of type 12, supported since musl 1.2.5; the wheel must load on musl 1.2.0"
    )
    assert verdict({12}, "riscv64", "1.2.5").findings == ()
    assert verdict({36}).findings == ()


def test_mb104_a_segment_of_no_size() -> None:
    graph = graph_of({CORE: extension(empty_segment=True)})
    (found,) = judge(graph, target_for()).findings
    assert found.code == "MB104"
    assert found.message == (
        "uses an empty segment, supported since musl 1.2.3; the wheel must load on musl 1.2.0"
    )
    assert found.hint == 'require musl 1.2.3: floor = "1.2.3" (Alpine 3.16 and later)'
    assert judge(graph, target_for(floor="1.2.3")).findings == ()


def test_mb113_a_library_out_of_reach_is_wrong_only_in_a_finished_wheel() -> None:
    graph = graph_of({CORE: extension(needed=("liba.so",)), "demo/liba.so": elf_info()})
    assert judge(graph, target_for(), BUILD_RULES).findings == ()
    assert judge(graph, target_for(), FINISHED_RULES).findings == (
        Finding(
            "MB113",
            Severity.ERROR,
            CORE,
            (
                "requires liba.so, which the wheel contains as demo/liba.so, where musl's "
                "loader does not search"
            ),
            hint="link it with an rpath from $ORIGIN to that directory",
            symbol="liba.so",
        ),
    )
