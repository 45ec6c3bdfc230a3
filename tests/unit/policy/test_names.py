"""Rules about the names of libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muslbackend.policy.findings import Finding, Severity
from support.wheels.builders import elf_info, extension, findings_of

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

ONE, TWO = "demo/a/one.so", "demo/b/two.so"


def two_of_one_name(
    second: ElfInfo, needer: ElfInfo | None = None, name: str = "libx.so"
) -> tuple[Finding, ...]:
    """Judge two files that each find a library of the name beside them."""
    asks = extension(needed=(name,), rpath=("$ORIGIN",))
    files = {ONE: asks, TWO: needer or asks, "demo/a/libx.so": elf_info(soname="libx.so")}
    return findings_of({**files, "demo/a/liby.so": elf_info(), f"demo/b/{name}": second})


def test_mb134_two_libraries_of_one_name() -> None:
    assert two_of_one_name(elf_info(soname="other")) == (
        Finding(
            "MB134",
            Severity.WARNING,
            TWO,
            "requires libx.so and finds demo/b/libx.so, while other files find "
            "demo/a/libx.so: within one process, musl uses the first one loaded for "
            "all of them",
            hint="give the two libraries different names",
            symbol="libx.so",
        ),
    )


def test_mb134_two_copies_of_one_library_serve_each_other() -> None:
    assert two_of_one_name(elf_info(soname="libx.so")) == ()


def test_mb134_a_program_has_a_process_of_its_own() -> None:
    program = elf_info(executable=True, needed=("libx.so",), rpath=("$ORIGIN",))
    assert two_of_one_name(elf_info(soname="other"), program) == ()
