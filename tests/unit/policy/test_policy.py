from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from muslbackend.loader.needs import Reason
from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.findings import Severity
from muslbackend.policy.verdict import Verdict, judge
from support.wheels.builders import elf_info, extension, graph_of, target_for

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
V = MuslVersion.parse


def verdict(files: dict[str, ElfInfo | str], floor: str | None = "1.2.0") -> Verdict:
    return judge(graph_of(files, exclude=("libz.so.1",)), target_for(floor=floor))


def imports(*names: str) -> ElfInfo:
    return extension(imports=frozenset(names))


def test_what_needs_nothing_new_loads_on_the_oldest_musl() -> None:
    assert verdict({CORE: imports("malloc", "free")}) == Verdict(V("1.1.0"), (), (), "3.6")


def test_an_empty_wheel_loads_on_the_oldest_musl() -> None:
    assert verdict({}) == Verdict(V("1.1.0"), (), (), "3.6")


def test_the_floor_is_the_newest_need_and_because_of_all_that_have_it() -> None:
    files: dict[str, ElfInfo | str] = {
        CORE: imports("gettid", "qsort_r", "malloc"),
        "demo/two.so": imports("pthread_getname_np"),
    }
    judged = verdict(files, floor="1.2.3")
    assert judged == Verdict(
        V("1.2.3"),
        (
            Reason(CORE, "qsort_r", V("1.2.3")),
            Reason("demo/two.so", "pthread_getname_np", V("1.2.3")),
        ),
        (),
        "3.16",
    )
    assert judged.ok


@pytest.mark.parametrize(
    ("arch", "machine", "symbol", "alpine"),
    [
        ("i686", 3, "__xstat", "3.19"),
        ("armv7l", 40, "__lxstat", "3.19"),
        ("i686", 3, "gettid", "3.13"),
    ],
)
def test_the_alpine_of_a_floor_has_what_is_needed(
    arch: str, machine: int, symbol: str, alpine: str
) -> None:
    """Alpine 3.18 has musl 1.2.4 without four of its names on 32-bit machines."""
    target = target_for(arch)
    core = extension(machine=machine, bits=32, imports=frozenset({symbol}))
    judged = judge(graph_of({CORE: core}, arch=target.arch), target)
    (finding,) = judged.findings
    assert finding.code == "MB103"
    assert f"(Alpine {alpine} and later)" in finding.hint
    assert judged.alpine == alpine


def test_packed_relocations_raise_the_floor() -> None:
    judged = verdict({CORE: extension(relr=True)}, floor=None)
    reason = Reason(CORE, "DT_RELR", V("1.2.4"), "packed relative relocations (DT_RELR)")
    assert (judged.floor, judged.because) == (V("1.2.4"), (reason,))


@pytest.mark.parametrize("core", [imports("statx"), extension(relr=True)])
def test_a_broken_promise_leaves_the_floor_known(core: ElfInfo) -> None:
    judged = verdict({CORE: core})
    assert not judged.ok
    assert judged.floor is not None
    assert judged.floor > V("1.2.0")
    assert verdict({CORE: core}, floor=None).ok
    assert verdict({CORE: core}, floor=str(judged.floor)).ok


@pytest.mark.parametrize(
    "core",
    [
        extension(needed=("liba.so",)),
        imports("no_such"),
        extension(needed=("ld-linux-x86-64.so.2",)),
        extension(machine=183),
        "is truncated",
    ],
)
def test_what_loads_nowhere_has_no_floor(core: ElfInfo | str) -> None:
    judged = verdict({CORE: core, "demo/two.so": imports("statx")}, floor=None)
    assert not judged.ok
    assert judged.floor is None


def test_a_warning_is_no_error() -> None:
    judged = verdict({CORE: extension(needed=("libz.so.1",))})
    assert [f.severity for f in judged.findings] == [Severity.WARNING]
    assert judged.ok
    assert judged.floor == V("1.1.0")


def test_a_library_that_was_searched_nowhere_has_no_details() -> None:
    (finding,) = verdict({CORE: extension(needed=("liba.so.1",))}).findings
    assert (finding.code, finding.details) == ("MB101", ())


def test_findings_are_sorted_errors_first_then_by_file_and_code() -> None:
    files: dict[str, ElfInfo | str] = {
        "demo/b.so": extension(
            needed=("libz.so.1", "liby.so", "libx.so"), imports=frozenset({"statx"}), relr=True
        ),
        "demo/a.so": extension(needed=("libz.so.1",), machine=183, imports=frozenset({"statx"})),
    }
    assert [(f.subject, f.code, f.symbol) for f in verdict(files).findings] == [
        ("demo/a.so", "MB103", "statx"),
        ("demo/a.so", "MB106", ""),
        ("demo/b.so", "MB101", "libx.so"),
        ("demo/b.so", "MB101", "liby.so"),
        ("demo/b.so", "MB103", "statx"),
        ("demo/b.so", "MB104", "DT_RELR"),
        ("demo/a.so", "MB109", "libz.so.1"),
        ("demo/b.so", "MB109", "libz.so.1"),
    ]


def test_the_judgement_does_not_depend_on_the_order_of_the_files() -> None:
    files: dict[str, ElfInfo | str] = {
        "demo/a.so": extension(needed=("liba.so",), imports=frozenset({"x", "y", "statx"})),
        "demo/b.so": extension(needed=("libb.so", "liba.so"), relr=True),
        "demo/c.so": "is truncated",
        "demo/liba.so": elf_info(machine=183, imports=frozenset({"qsort_r"})),
    }
    verdicts = [verdict({p: files[p] for p in order}) for order in permutations(files)]
    assert verdicts == [verdicts[0]] * len(verdicts)
    assert len(verdicts[0].findings) > 5


def test_the_first_musl_of_an_architecture_is_its_oldest() -> None:
    target = target_for("loongarch64")
    core = extension(machine=258, imports=frozenset({"malloc"}), relr=True)
    judged = judge(graph_of({CORE: core}, arch=target.arch), target)
    assert judged == Verdict(V("1.2.5"), (), ())
