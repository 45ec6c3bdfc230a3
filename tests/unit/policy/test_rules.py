"""Each rule, where it speaks and where it is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.verdict import judge
from support.wheels.builders import elf_info, extension, graph_of, target_for

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
GLIBC = frozenset({("libc.so.6", "GLIBC_2.9"), ("libc.so.6", "GLIBC_2.34")})


def findings(
    files: dict[str, ElfInfo | str] | ElfInfo,
    *folders: str,
    floor: str | None = "1.2.0",
    arch: str = "x86_64",
    exclude: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """Judge a wheel, or a lone extension."""
    world = files if isinstance(files, dict) else {CORE: files}
    target = target_for(arch, floor)
    return judge(graph_of(world, *folders, arch=target.arch, exclude=exclude), target).findings


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in found]


def imports(*names: str) -> ElfInfo:
    return extension(imports=frozenset(names))


def test_a_sound_wheel_has_no_findings() -> None:
    core = extension(
        needed=("libc.so", "liba.so"),
        rpath=("$ORIGIN",),
        imports=frozenset({"malloc", "PyList_New", "a_function"}),
    )
    assert findings({CORE: core, "demo/liba.so": elf_info(exports=frozenset({"a_function"}))}) == ()


def test_mb101_a_missing_library() -> None:
    core = extension(needed=("liba.so.1",), rpath=("$ORIGIN/lib",))
    files: dict[str, ElfInfo | str] = {CORE: core, "/opt/liba.so.1": "is not an ELF file"}
    assert findings(files, "/lib", "/opt") == (
        Finding(
            "MB101",
            Severity.ERROR,
            CORE,
            (
                "requires liba.so.1, which is not in the wheel and not found in the "
                "library search path"
            ),
            hint="add its directory to library-dirs to bundle it, link it statically, or "
            "leave it to the system with exclude",
            symbol="liba.so.1",
            details=(
                "searched  $ORIGIN/lib, /lib, /opt",
                "not usable  /opt/liba.so.1 is not an ELF file",
            ),
        ),
    )


def test_mb102_a_symbol_that_nobody_has() -> None:
    assert findings(imports("no_such")) == (
        Finding(
            "MB102",
            Severity.ERROR,
            CORE,
            "requires no_such, which no musl release and no library of the wheel defines",
            hint="build it against musl, and link the library that defines it",
            symbol="no_such",
        ),
    )


def test_mb102_a_symbol_that_musl_had() -> None:
    (finding,) = findings(imports("__strdup"))
    assert finding.code == "MB102"
    assert finding.message == "requires __strdup, which musl defines only up to 1.1.20"


@pytest.mark.parametrize("exclude", [(), ("liba.so",)])
def test_mb102_is_silent_where_a_library_is_unknown(exclude: tuple[str, ...]) -> None:
    core = extension(needed=("liba.so",), imports=frozenset({"a_function"}))
    assert "MB102" not in codes(findings(core, exclude=exclude))


def test_mb102_speaks_of_a_file_although_another_one_lacks_a_library() -> None:
    files: dict[str, ElfInfo | str] = {
        CORE: imports("no_such"),
        "demo/two.so": extension(needed=("liba.so",)),
    }
    assert codes(findings(files)) == ["MB102", "MB101"]


def test_mb103_a_symbol_that_is_newer_than_the_promise() -> None:
    assert findings(imports("preadv2")) == (
        Finding(
            "MB103",
            Severity.ERROR,
            CORE,
            ("requires preadv2, available since musl 1.2.5; the wheel must load on musl 1.2.0"),
            hint=('avoid preadv2, or require musl 1.2.5: floor = "1.2.5" (Alpine 3.20 and later)'),
            symbol="preadv2",
        ),
    )


@pytest.mark.parametrize("floor", ["1.2.5", "1.2.6", None])
def test_mb103_is_silent_where_the_promise_is_newer_or_none(floor: str | None) -> None:
    assert findings(imports("preadv2"), floor=floor) == ()


def test_mb103_names_no_alpine_where_there_is_none() -> None:
    (finding,) = findings(imports("renameat2"))
    assert finding.hint == 'avoid renameat2, or require musl 1.2.6: floor = "1.2.6"'


@pytest.mark.parametrize("arch", ["loongarch64", "riscv64", "ppc64le", "s390x", "aarch64"])
def test_mb103_is_silent_on_what_the_first_musl_of_an_architecture_has(arch: str) -> None:
    # No older musl runs there, so musllinux_1_1 and musllinux_1_2 promise nothing of one.
    target = target_for(arch).arch
    core = extension(
        machine=target.machine,
        bits=target.bits,
        byteorder=target.byteorder,
        imports=frozenset({"malloc"}),
    )
    assert findings(core, arch=arch, floor="1.1.0") == ()
    assert findings(core, arch=arch, floor="1.2.0") == ()


def test_mb104_packed_relocations() -> None:
    assert findings(extension(relr=True)) == (
        Finding(
            "MB104",
            Severity.ERROR,
            CORE,
            "uses packed relative relocations (DT_RELR), supported since musl 1.2.4; "
            "the wheel must load on musl 1.2.0",
            hint="unpack them with muslbackend repair, link without them "
            "(-Wl,-z,nopack-relative-relocs), or require musl 1.2.4: floor = "
            '"1.2.4" (Alpine 3.18 and later)',
            symbol="DT_RELR",
        ),
    )


@pytest.mark.parametrize("floor", ["1.2.4", "1.2.6", None])
def test_mb104_is_silent_where_the_promise_is_newer_or_none(floor: str | None) -> None:
    assert findings(extension(relr=True), floor=floor) == ()


def test_mb105_a_file_for_glibc() -> None:
    assert findings(extension(needed=("libc.so.6",), version_needs=GLIBC)) == (
        Finding(
            "MB105",
            Severity.ERROR,
            CORE,
            "was linked against glibc (requires GLIBC_2.34)",
            hint="build it with a compiler that targets musl; -C musl.target=ARCH uses zig",
        ),
    )


def test_mb105_a_library_that_was_found_but_is_for_glibc() -> None:
    files: dict[str, ElfInfo | str] = {
        CORE: extension(needed=("liba.so",)),
        "/lib/liba.so": elf_info(needed=("libc.so.6",), version_needs=GLIBC),
    }
    (finding,) = findings(files, "/lib")
    assert finding == Finding(
        "MB105",
        Severity.ERROR,
        CORE,
        "requires liba.so, but the library found was linked against glibc",
        hint="build liba.so against musl, for example in the same CMake project, and "
        "add its directory to library-dirs",
        symbol="liba.so",
        details=("searched  /lib", "not usable  /lib/liba.so was linked against glibc"),
    )


def test_mb102_symbols_of_one_cause_are_one_finding() -> None:
    names = [f"no_such_{n}" for n in range(7)]
    (found,) = findings(imports(*names))
    assert (found.symbol, found.symbols, found.names) == (names[0], tuple(names), tuple(names))
    assert found.message == (
        "requires 7 symbols (no_such_0, no_such_1, no_such_2, no_such_3, no_such_4 and 2 more), "
        "which no musl release and no library of the wheel defines"
    )


def test_mb103_symbols_of_one_release_are_one_finding() -> None:
    found = findings(imports("preadv2", "statx", "qsort_r", "getpid"))
    assert [(f.code, f.symbol, f.names) for f in found] == [
        ("MB103", "preadv2", ("preadv2", "statx")),
        ("MB103", "qsort_r", ("qsort_r",)),
    ]
    assert (found[0].message, found[0].hint) == (
        (
            "requires 2 symbols (preadv2, statx), available since musl 1.2.5; the "
            "wheel must load on musl 1.2.0"
        ),
        ('avoid them, or require musl 1.2.5: floor = "1.2.5" (Alpine 3.20 and later)'),
    )


def test_mb106_a_file_for_another_machine() -> None:
    assert findings(extension(machine=183)) == (
        Finding(
            "MB106",
            Severity.ERROR,
            CORE,
            "is for aarch64, but the wheel is for x86_64",
            hint="build it for x86_64, or list it in ignore if nothing loads or starts it",
        ),
    )


def test_mb106_a_machine_without_a_name() -> None:
    (finding,) = findings(extension(machine=8, bits=32))
    assert finding.message == "is for an unknown machine, but the wheel is for x86_64"


def test_mb106_is_silent_on_32_bit_arm_of_both_kinds() -> None:
    core = extension(machine=40, bits=32)
    assert findings(core, arch="armv6l") == findings(core, arch="armv7l") == ()


def test_mb106_a_library_that_was_found_but_is_for_another_machine() -> None:
    files: dict[str, ElfInfo | str] = {
        CORE: extension(needed=("liba.so",)),
        "/lib/liba.so": elf_info(machine=183),
    }
    (finding,) = findings(files, "/lib")
    assert (finding.code, finding.message, finding.hint) == (
        "MB106",
        "requires liba.so, but the library found is not for x86_64",
        "add the directory of a liba.so for x86_64 to library-dirs",
    )


@pytest.mark.parametrize("name", ["cpython-311", "cpython-313t", "cpython-312d", "abi3", "abi3t"])
def test_mb107_a_suffix_for_another_platform(name: str) -> None:
    path = f"demo/_core.{name}-x86_64-linux-gnu.so"
    assert findings({path: extension()}) == (
        Finding(
            "MB107",
            Severity.ERROR,
            path,
            "is named for x86_64-linux-gnu, but CPython on musl imports only "
            "x86_64-linux-musl, .abi3.so and .so",
            hint="take the suffix from Python_SOABI or SKBUILD_SOABI in CMakeLists.txt",
        ),
    )


@pytest.mark.parametrize(
    "name",
    ["cpython-311-x86_64-linux-musl.so", "cpython-310-x86_64-linux-gnu.so", "abi3.so", "so"],
)
def test_mb107_is_silent_on_a_suffix_that_is_looked_for(name: str) -> None:
    assert findings({f"demo/_core.{name}": extension()}) == ()


def test_mb107_a_suffix_of_the_stable_abi_that_older_pythons_never_look_for() -> None:
    path = "demo/_core.abi3-x86_64-linux-musl.so"
    assert findings({path: extension()}) == (
        Finding(
            "MB107",
            Severity.WARNING,
            path,
            ("is named for x86_64-linux-musl, a suffix that only CPython 3.15 and later import"),
            hint=("use the suffix .abi3.so, or tag the wheel for CPython 3.15 and later only"),
        ),
    )


def test_mb107_is_silent_on_a_library_that_is_no_extension() -> None:
    assert findings({"demo/x.cpython-311-x86_64-linux-gnu.so": elf_info()}) == ()


def test_mb108_a_damaged_file() -> None:
    assert findings({CORE: "is not a valid ELF file: no ELF header"}) == (
        Finding(
            "MB108",
            Severity.ERROR,
            CORE,
            "is not a valid ELF file: no ELF header",
            hint="rebuild it",
        ),
    )


def test_mb109_a_library_left_to_the_system() -> None:
    assert findings(extension(needed=("libz.so.1",)), exclude=("libz.*",)) == (
        Finding(
            "MB109",
            Severity.WARNING,
            CORE,
            "requires libz.so.1, which is left to the system; the wheel works only "
            "where that library is installed",
            symbol="libz.so.1",
        ),
    )


@pytest.mark.parametrize("library", ["demo/lib/liba.so", "/lib/liba.so"])
def test_mb110_a_script_that_needs_a_library(library: str) -> None:
    tool = "demo-1.0.data/scripts/tool"
    files = {tool: elf_info(executable=True, needed=("liba.so",)), library: elf_info()}
    assert findings({**files}, "/lib") == (
        Finding(
            "MB110",
            Severity.ERROR,
            tool,
            "requires liba.so, which cannot be found from the scripts directory",
            hint="link it statically, or install the program inside the package",
            symbol="liba.so",
        ),
    )


def test_mb110_is_silent_on_a_script_that_needs_only_musl() -> None:
    tool = elf_info(executable=True, needed=("libc.so",), imports=frozenset({"malloc"}))
    assert findings({"demo-1.0.data/scripts/tool": tool}) == ()
