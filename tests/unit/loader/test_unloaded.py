"""ELF files that nothing loads: which are data, and what settings set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.elf.header import Damaged, Header, read_header
from muslbackend.loader.graph import Graph, Supply, Via, fits_path
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.loader.unloaded import is_data_anywhere
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.verdict import judge
from muslbackend.repair.plan import Wishes, make_plan, to_expand
from muslbackend.wheel.member import Member
from support.wheels.builders import X86_64, FakeFiles, elf_info, extension, target_for
from support.wheels.craftedelf import Crafted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muslbackend.elf.info import ElfInfo

CORE: Final = "demo/_core.so"
REL, EXEC, DYN, CORE_FILE = 1, 2, 3, 4
BPF, CUDA, AARCH64, I386, ARM = 247, 190, 183, 3, 40


def resolved(files: Mapping[str, ElfInfo | str], **supply: tuple[str, ...]) -> Graph:
    return resolve(FakeFiles(files), X86_64, Supply(**supply))  # type: ignore[arg-type]


def findings(files: Mapping[str, ElfInfo | str], **supply: tuple[str, ...]) -> list[Finding]:
    return [*judge(resolved(files, **supply), target_for()).findings]


def codes(files: Mapping[str, ElfInfo | str], **supply: tuple[str, ...]) -> list[str]:
    return [finding.code for finding in findings(files, **supply)]


def foreign(machine: int, kind: int, bits: int = 64) -> ElfInfo:
    """Return a file that is no extension module, for some machine."""
    return elf_info(machine=machine, kind=kind, bits=bits, dynamic=kind == DYN)


@pytest.mark.parametrize(
    ("path", "elf", "described"),
    [
        ("demo/trace.bpf.o", foreign(BPF, REL), "ELF object for BPF"),
        ("demo/kernel.cubin", foreign(CUDA, EXEC), "ELF program for CUDA"),
        ("demo/gpu/code.hsaco", foreign(224, DYN), "ELF shared object for AMD GPU"),
        ("demo/fw/boot.elf", foreign(ARM, EXEC, 32), "ELF program for 32-bit ARM"),
        ("demo/fw/blob.bin", foreign(94, EXEC, 32), "ELF program for Xtensa"),
        ("demo/agents/agent-aarch64", foreign(AARCH64, DYN), "ELF shared object for AArch64"),
        ("demo/agents/agent", foreign(AARCH64, EXEC), "ELF program for AArch64"),
        ("demo/agents/aarch64/agent.so", foreign(AARCH64, DYN), "ELF shared object for AArch64"),
        ("demo/attach_linux_x86.so", foreign(I386, DYN, 32), "ELF shared object for x86"),
        ("demo/lib/arm64-v8a/libhook.so.1", foreign(AARCH64, DYN), "ELF shared object for AArch64"),
        ("demo/tests/core.1234", foreign(62, CORE_FILE), "ELF core for x86-64"),
        ("demo/tests/main.o", foreign(62, REL), "ELF object for x86-64"),
        ("demo/tests/odd", foreign(4711, 0xFE00), "ELF file for machine 4711"),
        ("demo-1.0.data/data/share/fw.elf", foreign(ARM, EXEC, 32), "ELF program for 32-bit ARM"),
    ],
)
def test_mb146_what_nothing_loads_is_data(path: str, elf: ElfInfo, described: str) -> None:
    files = {CORE: extension(), path: elf}
    assert findings(files) == [
        Finding(
            "MB146",
            Severity.NOTE,
            path,
            f"is an {described}, and no file of the wheel requires it: treated as data",
            hint="if the package loads or starts it, build it for x86_64",
        )
    ]
    graph = resolved(files)
    assert (graph.wheel, *graph.broken) == ((CORE,),)
    # Data is nothing that a plan changes.
    assert make_plan(graph, {}, Wishes("demo.libs", strip="all")).is_empty


@pytest.mark.parametrize(
    ("path", "elf"),
    [
        # What import takes.
        ("demo/agent.so", foreign(AARCH64, DYN)),
        ("demo/_x.abi3.so", foreign(AARCH64, DYN)),
        ("demo/_x.cpython-312-aarch64-linux-musl.so", foreign(AARCH64, DYN)),
        ("demo/bpf.so", foreign(BPF, DYN)),
        # What ctypes opens.
        ("demo/libagent.so", foreign(AARCH64, DYN)),
        ("demo/libagent.so.1.2", foreign(AARCH64, DYN)),
        # A path that names another machine than the file's.
        ("demo/x86_64/libagent.so", foreign(AARCH64, DYN)),
        ("demo/x86_64/libagent.so", foreign(I386, DYN, 32)),
        ("demo/charm/libagent.so", foreign(ARM, DYN, 32)),
        # A module, whatever its path says.
        ("demo/aarch64/_x", extension(machine=AARCH64)),
        ("demo/aarch64/_x.so", extension(machine=AARCH64)),
        # Programs that are installed to be started by name.
        ("demo-1.0.data/scripts/prog", foreign(AARCH64, EXEC)),
        ("demo-1.0.data/data/bin/prog", foreign(AARCH64, EXEC)),
    ],
)
def test_mb106_what_python_or_a_user_opens_is_no_data(path: str, elf: ElfInfo) -> None:
    found = findings({CORE: extension(), path: elf})
    assert [(f.code, f.subject, f.severity) for f in found] == [("MB106", path, Severity.ERROR)]


def test_mb108_an_object_file_named_like_a_module_is_refused() -> None:
    (found,) = findings({CORE: foreign(62, REL)})
    assert (found.code, found.severity) == ("MB108", Severity.ERROR)
    assert "has no dynamic section" in found.message


@pytest.mark.parametrize("kind", [0, REL, CORE_FILE])
def test_mb108_the_name_of_this_machine_makes_no_data_of_a_library(kind: int) -> None:
    path = "demo/x86_64/libfoo.so"
    assert codes({CORE: extension(), path: foreign(62, kind)}) == ["MB108"]
    assert codes({CORE: extension(), path: Damaged("", Header(kind, 62, 64, "little"))}) == [
        "MB108"
    ]


def test_what_a_judged_file_requires_is_judged() -> None:
    files = {
        CORE: extension(needed=("helper",), rpath=("$ORIGIN",)),
        "demo/helper": elf_info(machine=AARCH64, needed=("helper2",)),
        "demo/aarch64/helper2": foreign(AARCH64, DYN),
        "demo/aarch64/helper3": foreign(AARCH64, DYN),
    }
    found = {finding.subject: finding.code for finding in findings(files)}
    assert found["demo/helper"] == "MB106"
    assert found["demo/aarch64/helper2"] == "MB106"
    assert found["demo/aarch64/helper3"] == "MB146"


def test_of_two_files_of_one_name_the_one_that_the_loader_finds_first_counts() -> None:
    core = extension(needed=("libx.so",), rpath=("$ORIGIN/x86_64", "$ORIGIN/aarch64"))
    files: dict[str, ElfInfo | str] = {
        CORE: core,
        "demo/x86_64/libx.so": elf_info(),
        "demo/aarch64/libx.so": foreign(AARCH64, DYN),
    }
    assert codes(files) == ["MB146"]
    assert codes(files, ignore=("demo/aarch64/*",)) == ["MB147"]
    files[CORE] = core._replace(rpath=core.rpath[::-1])
    (first, *_) = findings(files)
    assert (first.code, first.subject) == ("MB101", CORE)
    assert first.details == (
        "searched  $ORIGIN/aarch64",
        "not usable  demo/aarch64/libx.so is an ELF shared object for AArch64",
    )
    (first, *_) = findings(files, ignore=("demo/aarch64/*",))
    assert first.details[-1] == "not usable  demo/aarch64/libx.so is excluded from judgement"


def test_data_that_requires_data_is_data() -> None:
    first = elf_info(machine=AARCH64, needed=("core.arm64",))
    files = {CORE: extension(), "demo/agent": first, "demo/core.arm64": foreign(AARCH64, DYN)}
    assert codes(files) == ["MB146", "MB146"]


def test_mb106_a_wheel_with_programs_for_another_machine_alone_is_for_the_wrong_one() -> None:
    assert codes({"demo/bin/tool": foreign(AARCH64, EXEC)}) == ["MB106"]
    # What no build for another target leaves behind does not make it so.
    assert codes({"demo/trace.o": foreign(BPF, REL)}) == ["MB146"]
    assert codes({"demo/agent-aarch64": foreign(AARCH64, EXEC)}) == ["MB146"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (Header(EXEC, AARCH64, 64, "little"), "MB146"),
        (Header(REL, 62, 64, "little"), "MB146"),
        # It may be a program for this machine, cut short.
        (Header(EXEC, 62, 64, "little"), "MB108"),
        (Header(DYN, 62, 64, "little"), "MB108"),
        (None, "MB108"),
    ],
)
def test_a_damaged_file_is_data_if_it_is_for_another_machine(
    header: Header | None, code: str
) -> None:
    assert codes({CORE: extension(), "demo/blob": Damaged("is damaged", header)}) == [code]


def test_the_header_of_a_damaged_file_is_read(tmp_path: object) -> None:
    cut = Crafted(bits=32, machine=AARCH64).file()[:60]
    scan = Scan.of_members([Member("demo/cut", cut)])
    found = scan.look("demo/cut")
    assert isinstance(found, Damaged)
    assert found.header == Header(DYN, AARCH64, 32, "little")
    assert read_header(b"\x7fELF\x02\x02".ljust(18, b"\0") + b"\0\x16") == Header(0, 22, 64, "big")
    assert read_header(b"\x7fELF\x03\x01".ljust(20, b"\0")) is None
    assert read_header(cut[:19]) is None


@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
def test_data_on_every_machine_is_for_none_that_musl_runs_on(arch: str) -> None:
    machine = ARCHITECTURES[arch].machine
    assert not is_data_anywhere("demo/tool", foreign(machine, EXEC))
    assert is_data_anywhere("demo/tool.o", foreign(machine, REL))
    assert is_data_anywhere("demo/x.bpf", foreign(BPF, DYN))
    assert not is_data_anywhere("demo/x.so", foreign(BPF, DYN))
    assert not is_data_anywhere("demo/x", "is damaged")


def test_mb147_what_is_ignored_is_named() -> None:
    files: dict[str, ElfInfo | str] = {
        CORE: extension(),
        "demo/dsp/skel.so": foreign(164, DYN, 32),
        "demo/plugin.so": elf_info(imports=frozenset({"nobody_has_this"})),
        "demo/cut.so": Damaged("is damaged", Header(DYN, 62, 64, "little")),
    }
    assert codes(files) == ["MB108", "MB106", "MB102"]
    assert findings(files, ignore=("demo/dsp/*", "plugin.so", "cut.so")) == [
        Finding(
            "MB147",
            Severity.WARNING,
            path,
            ("is not checked, because it matches ignore: the tag makes no promise about it"),
            hint="remove it from ignore to have it checked",
        )
        for path in ("demo/cut.so", "demo/plugin.so")
    ] + [
        Finding(
            "MB147", Severity.NOTE, "demo/dsp/skel.so", "is not checked, because it matches ignore"
        ),
    ]


def test_mb147_what_a_judged_file_requires_cannot_be_ignored() -> None:
    bad = elf_info(imports=frozenset({"nobody_has_this"}), needed=("libz9.so",), rpath=("$ORIGIN",))
    files = {
        CORE: extension(needed=("libbad.so",), rpath=("$ORIGIN",)),
        "demo/libbad.so": bad,
        "demo/libz9.so": elf_info(imports=frozenset({"nor_this"})),
        "demo/other.so": elf_info(imports=frozenset({"nor_that"})),
    }
    found = findings(files, ignore=("*",))
    # Where everything is ignored, nothing is judged that could need it.
    assert {f.code for f in found} == {"MB147"}
    found = findings(files, ignore=("lib*.so", "other.so"))
    assert [(f.code, f.subject) for f in found if f.severity is Severity.ERROR] == [
        ("MB102", "demo/libbad.so"),
        ("MB102", "demo/libz9.so"),
    ]
    assert (
        Finding(
            "MB147",
            Severity.WARNING,
            "demo/libbad.so",
            f"is checked although it matches ignore: {CORE} requires it",
            hint="list libbad.so in exclude if the system provides that library",
        )
        in found
    )


def test_a_bundled_library_does_not_find_what_is_ignored() -> None:
    """The one file that requires it is outside of the wheel, and comes into it."""
    files = {
        CORE: extension(needed=("libout.so",)),
        "/usr/lib/libout.so": elf_info(needed=("libin.so",), rpath=("$ORIGIN",)),
        "demo/libin.so": elf_info(),
    }
    graph = resolved(files, directories=("/usr/lib",), ignore=("libin.so",))
    edges = {edge.needer: edge.via for edge in graph.edges}
    assert edges == {CORE: Via.OUTSIDE, "/usr/lib/libout.so": Via.MISSING}
    inherited = {**files, CORE: extension(needed=("libout.so",), rpath=("$ORIGIN",))}
    graph = resolved(inherited, directories=("/usr/lib",), ignore=("libin.so",))
    (edge,) = (edge for edge in graph.edges if edge.name == "libin.so")
    assert edge.via is Via.MISSING
    assert edge.rejected[0].detail == "is excluded from judgement"


RUN: Final = "demo/bootloader/run"
IN_PLACE: Final = elf_info(executable=True, needed=("libz.so.1",), relr=True, rpath=("/build",))


def test_mb147_what_is_kept_in_place_is_judged_and_not_changed() -> None:
    files = {CORE: extension(), RUN: IN_PLACE, "/usr/lib/libz.so.1": elf_info()}
    target = target_for(floor="1.2.5")
    graph = resolved(files, directories=("/usr/lib",))
    digests = {"/usr/lib/libz.so.1": "00"}
    assert [edit.path for edit in make_plan(graph, digests, Wishes("demo.libs")).edits] == [
        "demo.libs/libz-f1534392.so.1",
        RUN,
    ]
    graph = resolved(files, directories=("/usr/lib",), in_place=(RUN,))
    assert make_plan(graph, {}, Wishes("demo.libs", strip="all")).is_empty
    found = judge(graph, target).findings
    assert [(f.code, f.severity) for f in found] == [
        ("MB109", Severity.WARNING),
        ("MB147", Severity.NOTE),
    ]
    assert found[1].message == (
        "is left unchanged, because it matches keep-in-place: nothing is bundled for it"
    )
    # Its packed relocations stay packed: it does not load on an older musl.
    assert to_expand(graph, target_for()) == frozenset()
    assert judge(graph, target_for()).findings[0].code == "MB104"
    assert to_expand(resolved(files), target_for()) == {RUN}


def test_a_library_kept_in_place_is_found_and_one_that_it_finds_broken_is_an_error() -> None:
    needy = elf_info(executable=True, needed=("libin.so", "libgone.so"), rpath=("$ORIGIN",))
    files: dict[str, ElfInfo | str] = {RUN: needy, "demo/bootloader/libin.so": elf_info()}
    graph = resolved(files, in_place=("demo/bootloader/*",))
    assert {edge.name: edge.via for edge in graph.edges} == {
        "libin.so": Via.LOADER,
        "libgone.so": Via.EXCLUDED,
    }
    files["demo/bootloader/libin.so"] = Damaged("is damaged", Header(DYN, 62, 64, "little"))
    assert codes(files, in_place=("run",))[:2] == ["MB108", "MB101"]


def test_a_library_that_another_file_gets_bundled_has_another_name_for_one_in_place() -> None:
    files = {
        "demo/prog": elf_info(
            executable=True, needed=("libz.so.1", "libin.so"), rpath=("$ORIGIN",)
        ),
        "demo/libin.so": elf_info(needed=("libz.so.1",)),
        "/usr/lib/libz.so.1": elf_info(),
    }
    graph = resolved(files, directories=("/usr/lib",), in_place=("libin.so",))
    assert {edge.needer: edge.via for edge in graph.edges if edge.name == "libz.so.1"} == {
        "demo/prog": Via.OUTSIDE,
        "demo/libin.so": Via.EXCLUDED,
    }


@pytest.mark.parametrize(
    ("glob", "fits"),
    [
        ("*.o", True),
        ("x.bpf.o", True),
        ("demo/*.o", True),
        ("demo/bpf/x.bpf.o", True),
        ("bpf/x.bpf.o", False),
        ("demo", False),
        ("*.so", False),
    ],
)
def test_a_glob_with_a_slash_fits_the_path_one_without_the_name(glob: str, fits: bool) -> None:
    assert fits_path("demo/bpf/x.bpf.o", ["other", glob]) is fits
