"""Each hazard in names, of libraries and symbols: where the rule speaks and where it is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.policy.findings import Finding, Severity
from support.wheels.builders import elf_info, extension, findings_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
LIB = "demo/libx.so"
TOOL = "demo/tool"


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in found]


def names(*names: str) -> frozenset[str]:
    return frozenset(names)


def needing(library: ElfInfo, *imports: str) -> dict[str, ElfInfo]:
    """Return an extension that imports these, and the library that it needs."""
    core = extension(needed=("libx.so",), rpath=("$ORIGIN",), imports=frozenset(imports))
    return {CORE: core, LIB: library}


RESERVED = "demo/librt.so"


def reserved(*imports: str) -> dict[str, ElfInfo]:
    core = extension(needed=("librt.so",), rpath=("$ORIGIN",), imports=frozenset(imports))
    return {CORE: core, RESERVED: elf_info(exports=names("our_clock", "time"))}


def test_mb117_a_library_that_the_loader_never_opens() -> None:
    found = [f for f in findings_of(reserved("our_clock", "time")) if f.code != "MB102"]
    assert found == [
        Finding(
            "MB117",
            Severity.ERROR,
            CORE,
            "requires librt.so, a name that musl's loader reserves for musl itself: "
            f"{RESERVED} is never opened, and our_clock cannot be found",
            hint="link librt.so under another name, or statically",
            symbol="librt.so",
        )
    ]


def test_mb117_is_a_warning_where_nothing_is_missed() -> None:
    (found,) = findings_of(reserved("time"))
    assert (found.code, found.severity) == ("MB117", Severity.WARNING)
    assert found.message.endswith(f"{RESERVED} is never opened")


def test_mb117_is_a_warning_where_an_unknown_library_may_help() -> None:
    files = reserved("our_clock")
    files[CORE] = files[CORE]._replace(needed=("librt.so", "libz.so.1"))
    found = {f.code: f.severity for f in findings_of(files, exclude=("libz.so.1",))}
    assert found == {"MB109": Severity.WARNING, "MB117": Severity.WARNING}


def test_mb117_is_silent_where_nobody_needs_the_name() -> None:
    assert findings_of({CORE: extension(needed=("librt.so.1",)), RESERVED: elf_info()}) == ()


def test_mb118_a_library_in_whose_place_musl_is_called() -> None:
    library = elf_info(exports=names("getopt_long", "crc", "_init"))
    assert findings_of(needing(library, "getopt_long", "crc", "_init")) == (
        Finding(
            "MB118",
            Severity.WARNING,
            LIB,
            "defines getopt_long, which musl also defines: other files of the wheel "
            "that use them call musl's",
            hint=("prefix the names in the library, or make sure that musl's functions will do"),
        ),
    )


def test_mb118_names_five_at_most() -> None:
    many = ("abs", "labs", "cos", "sin", "tan", "exp", "log")
    (found,) = findings_of(needing(elf_info(exports=frozenset(many)), *many))
    assert "defines abs, cos, exp, labs, log and 2 more, which" in found.message


def test_mb118_speaks_of_a_library_that_is_going_to_be_bundled() -> None:
    core = extension(needed=("libx.so",), imports=names("getopt_long"))
    files = {CORE: core, "/lib/libx.so": elf_info(exports=names("getopt_long"))}
    (found,) = findings_of(files, "/lib")
    assert (found.code, found.subject) == ("MB118", "/lib/libx.so")


@pytest.mark.parametrize(
    "files",
    [
        needing(elf_info(exports=names("getopt_long"))),
        needing(elf_info(exports=names("getopt_long", "stdin", "__libc_start_main")), "getopt"),
        {CORE: extension(exports=names("abs")), "demo/two.so": extension(imports=names("abs"))},
        {
            TOOL: elf_info(
                executable=True, needed=("libx.so",), rpath=("$ORIGIN",), imports=names("abs")
            ),
            LIB: elf_info(exports=names("abs")),
        },
    ],
    ids=["nobody uses it", "a libc", "files that do not meet", "a program"],
)
def test_mb118_is_silent_where_a_librarys_own_is_called_or_none(files: dict[str, ElfInfo]) -> None:
    assert "MB118" not in codes(findings_of(files))


SHARED_LIBC = "link it to the shared libc: without -static, in Rust with crt-static off"


def test_mb119_a_libc() -> None:
    libc = elf_info(exports=names("stdin", "__libc_start_main", "malloc"))
    assert findings_of(needing(libc, "malloc")) == (
        Finding(
            "MB119",
            Severity.WARNING,
            LIB,
            "is a libc, which the loader replaces with the running musl",
            hint="remove it from the wheel",
        ),
    )


def test_mb119_an_extension_that_is_taken_for_a_libc() -> None:
    assert findings_of(extension(exports=names("stdin", "__libc_start_main"))) == (
        Finding(
            "MB119",
            Severity.ERROR,
            CORE,
            ("contains a libc: the loader opens musl in its place, which lacks PyInit__core"),
            hint=SHARED_LIBC,
        ),
    )


@pytest.mark.parametrize("exported", [("malloc", "environ", "stdin"), ("__libc_start_main",)])
def test_mb119_a_libc_inside_an_extension(exported: tuple[str, ...]) -> None:
    core = extension(exports=frozenset(exported))
    assert findings_of(core) == (
        Finding(
            "MB119",
            Severity.WARNING,
            CORE,
            "contains a libc, with memory and streams separate from musl's",
            hint=SHARED_LIBC,
        ),
    )
    assert findings_of(core._replace(needed=("libc.so",))) == ()
    assert findings_of({TOOL: core._replace(executable=True)}) == ()


PYTHON = "libpython3.11.so.1.0"


def test_mb120_libpython_is_wrong_only_in_a_finished_wheel() -> None:
    core = extension(needed=(PYTHON,))
    assert findings_of(core) == ()
    assert findings_of(core, finished=True) == (
        Finding(
            "MB120",
            Severity.WARNING,
            CORE,
            (f"requires {PYTHON}, which is present only if the interpreter is linked to it"),
            hint="link extension modules to Python::Module, not to Python::Python",
            symbol=PYTHON,
        ),
    )


def test_mb120_is_silent_on_a_program_for_which_it_is_missing() -> None:
    tool = elf_info(executable=True, needed=(PYTHON,))
    assert codes(findings_of({TOOL: tool}, finished=True)) == ["MB101"]


@pytest.mark.parametrize("arch", ["i686", "armv7l", "armv6l"])
def test_mb123_two_widths_of_time_in_one_process(arch: str) -> None:
    old = elf_info(imports=names("time", "clock_gettime", "gmtime_r", "dlsym", "malloc"))
    files = needing(old, "__time64")
    assert findings_of(files, arch=arch) == (
        Finding(
            "MB123",
            Severity.WARNING,
            LIB,
            f"calls clock_gettime, gmtime_r, time with 32-bit time, but {CORE} uses "
            "64-bit time: structures that contain times differ",
            hint="compile everything with the headers of musl 1.2.0 or later",
        ),
    )


def test_mb123_is_silent_where_all_agree_or_time_has_one_width() -> None:
    old = elf_info(imports=names("time"))
    assert findings_of(needing(old, "stat"), arch="i686") == ()
    assert (
        findings_of(needing(elf_info(imports=names("__stat_time64")), "__time64"), arch="i686")
        == ()
    )
    assert findings_of({CORE: extension(imports=names("__time64")), LIB: old}, arch="i686") == ()
    assert findings_of(needing(old, "stat")) == ()


def test_mb125_a_library_that_is_known_by_its_soname_only() -> None:
    core = extension(needed=("libx.so.1",), rpath=("$ORIGIN",))
    files = {CORE: core, "demo/libx.so.1.2": elf_info(soname="libx.so.1")}
    found = findings_of(files)
    assert codes(found) == ["MB101", "MB125"]
    assert found[1] == Finding(
        "MB125",
        Severity.NOTE,
        CORE,
        "requires libx.so.1, the SONAME of demo/libx.so.1.2; musl's loader "
        "compares file names only",
        hint="install demo/libx.so.1.2 as libx.so.1",
        symbol="libx.so.1",
    )


def test_mb125_is_silent_where_the_file_has_the_name() -> None:
    assert findings_of(needing(elf_info(soname="libx.so"))) == ()
    assert codes(findings_of(extension(needed=("libx.so.1",)))) == ["MB101"]
