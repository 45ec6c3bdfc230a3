"""How far a wheel reaches: on one release exactly, and file by file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.errors import SettingsError
from muslbackend.loader.graph import Via
from muslbackend.musl import releases
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from muslbackend.policy.reach import answer, floors, with_system
from muslbackend.policy.registry import FINISHED_RULES
from muslbackend.policy.verdict import judge
from support.wheels.builders import X86_64, elf_info, extension, graph_of, target_for

if TYPE_CHECKING:
    from muslbackend.policy.findings import Finding

V = MuslVersion.parse
CORE = "demo/_core.so"


def found(symbol: str, release: str | None, floor: str | None = "1.2.0") -> tuple[Finding, ...]:
    graph = graph_of({CORE: extension(imports=frozenset({symbol}))})
    asked = V(release) if release else None
    return answer(graph, target_for(floor=floor), asked).findings


@pytest.mark.parametrize(
    ("symbol", "arch", "release", "has"),
    [
        ("malloc", "x86_64", "1.1.0", True),
        ("malloc", "x86_64", "1.2.6", True),
        ("statx", "x86_64", "1.2.4", False),
        ("statx", "x86_64", "1.2.5", True),
        ("__strdup", "x86_64", "1.1.20", True),
        ("__strdup", "x86_64", "1.1.21", False),
        ("posix_fallocate64", "x86_64", "1.2.3", True),
        ("posix_fallocate64", "x86_64", "1.2.5", False),
        ("posix_fallocate64", "x86_64", "1.2.6", True),
        ("__xstat", "i686", "1.1.24", True),
        ("__xstat", "i686", "1.2.3", False),
        ("__xstat", "i686", "1.2.4", True),
        ("malloc", "aarch64", "1.1.0", False),
        ("no_such", "x86_64", "1.2.6", False),
    ],
)
def test_what_one_release_has(symbol: str, arch: str, release: str, has: bool) -> None:
    assert releases.provides(symbol, ARCHITECTURES[arch], V(release)) is has


def test_without_a_release_the_promise_counts() -> None:
    assert [f.code for f in found("posix_fallocate64", None)] == ["MB103"]
    assert found("posix_fallocate64", None, floor=None) == ()


def test_of_symbols_of_one_cause_a_release_lacks_only_some() -> None:
    gone = frozenset({"__strdup", "__stpcpy", "no_such", "qsort_r", "strptime_l"})
    graph = graph_of({CORE: extension(imports=gone)})
    at = {
        release: {(f.code, f.names) for f in answer(graph, target_for(), V(release)).findings}
        for release in ("1.1.20", "1.2.2", "1.2.6")
    }
    nobody, musls = ("MB102", ("no_such",)), ("MB102", ("__stpcpy", "__strdup"))
    newer, glibcs = ("MB103", ("qsort_r",)), ("MB102", ("strptime_l",))
    assert {found for found in at["1.1.20"] if found[0] == "MB102"} == {nobody, glibcs}
    assert at["1.2.2"] == {nobody, musls, newer, glibcs}
    assert at["1.2.6"] == {nobody, musls, glibcs}


@pytest.mark.parametrize(
    ("symbol", "release", "codes"),
    [
        ("posix_fallocate64", "1.2.0", []),
        ("posix_fallocate64", "1.2.4", ["MB103"]),
        ("__strdup", "1.1.20", []),
        ("__strdup", "1.2.0", ["MB102"]),
        ("no_such", "1.2.6", ["MB102"]),
    ],
)
def test_a_release_answers_for_itself(symbol: str, release: str, codes: list[str]) -> None:
    assert [f.code for f in found(symbol, release)] == codes


def test_a_feature_is_needed_on_the_release_that_was_asked_for() -> None:
    graph = graph_of({CORE: extension(relr=True)})
    codes = [
        [f.code for f in answer(graph, target_for(), V(release)).findings]
        for release in ("1.2.3", "1.2.4")
    ]
    assert codes == [["MB104"], []]


def test_a_library_that_is_found_nowhere_is_missing_on_every_release() -> None:
    # The names of libraries are not symbols: none is passed over.
    graph = graph_of({CORE: extension(needed=("malloc",))})
    assert [f.code for f in answer(graph, target_for(), V("1.2.6")).findings] == ["MB101"]


def test_no_release_before_the_first_on_a_machine_can_be_asked_for() -> None:
    graph = graph_of({})
    with pytest.raises(SettingsError, match=r"musl 1\.2\.4 does not support loongarch64") as caught:
        answer(graph, target_for("loongarch64"), V("1.2.4"))
    assert caught.value.hint == "use 1.2.5 or later"


def test_every_file_has_a_floor_of_its_own() -> None:
    graph = graph_of(
        {
            CORE: extension(
                needed=("liba.so",), rpath=("$ORIGIN",), imports=frozenset({"qsort_r", "f"})
            ),
            "demo/liba.so": elf_info(relr=True, exports=frozenset({"f"})),
            "demo/lost.so": extension(needed=("libx.so",), imports=frozenset({"statx"})),
            "demo/plain.so": extension(needed=("liba.so",), rpath=("$ORIGIN",)),
        }
    )
    findings = judge(graph, target_for(), FINISHED_RULES).findings
    assert floors(graph, X86_64, findings) == {
        CORE: V("1.2.3"),
        "demo/liba.so": V("1.2.4"),
        "demo/lost.so": None,
        "demo/plain.so": V("1.1.0"),
    }


def test_the_first_release_on_a_machine_is_the_lowest_floor() -> None:
    arch = ARCHITECTURES["riscv64"]
    core = extension(machine=arch.machine, imports=frozenset({"malloc"}))
    assert floors(graph_of({CORE: core}, arch=arch), arch, ()) == {CORE: V("1.1.23")}


def test_on_a_machine_with_the_libraries_the_loader_finds_them() -> None:
    files = {
        CORE: extension(needed=("liba.so", "libx.so")),
        "/lib/liba.so": elf_info(needed=("libb.so",)),
        "/lib/libb.so": elf_info(),
    }
    graph = with_system(graph_of(files, "/lib"))
    assert [(e.name, e.via, e.provider) for e in graph.edges] == [
        ("libb.so", Via.LOADER, "/lib/libb.so"),
        ("liba.so", Via.LOADER, "/lib/liba.so"),
        ("libx.so", Via.MISSING, None),
    ]
    assert graph.outside() == ()
