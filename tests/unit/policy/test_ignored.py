"""What a file asks for and musl passes over: where the rules speak and where they are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.elf.reader import read_elf
from muslbackend.policy.findings import Finding, Severity
from support.wheels.builders import elf_info, extension, findings_of, gcc_library

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
BESIDE = "demo/libx.so"
MIB = 1 << 20
HERE = ("$ORIGIN",)
V1, V2 = (frozenset({("foo", version)}) for version in ("V1", "V2"))


def test_mb131_a_size_for_the_stacks_of_threads() -> None:
    assert findings_of(extension(stack_size=MIB)) == (
        Finding(
            "MB131",
            Severity.NOTE,
            CORE,
            "requests thread stacks of 1048576 bytes, which musl honors only in "
            "programs and the libraries loaded at their start",
            hint="set the size where threads are created: pthread_attr_setstacksize in C, "
            "threading.stack_size in Python",
        ),
    )


def test_mb131_is_silent_on_what_musl_gives_anyway_and_on_programs() -> None:
    assert findings_of(extension(stack_size=128 << 10)) == ()
    tool = elf_info(executable=True, stack_size=MIB, needed=("libx.so",), rpath=HERE)
    assert findings_of({"demo/tool": tool, BESIDE: elf_info(stack_size=MIB)}) == ()


@pytest.mark.parametrize(("option", "size"), [("-Wl,-z,stack-size=1048576", MIB), ("-g0", 0)])
def test_the_size_is_read_from_its_segment(option: str, size: int) -> None:
    assert read_elf(gcc_library("int x;", "-shared", option)).stack_size == size


USES = extension(needed=("libx.so",), rpath=HERE, imports=frozenset({"foo"}), wanted_versions=V1)
PROVIDES = elf_info(exports=frozenset({"foo"}), old_versions=V1)


def test_mb132_a_file_that_was_linked_to_an_old_version() -> None:
    assert findings_of({CORE: USES, BESIDE: PROVIDES}) == (
        Finding(
            "MB132",
            Severity.WARNING,
            CORE,
            "was linked to foo@V1 of demo/libx.so, but musl binds to the default "
            "versions of these names",
            hint="relink it against the library that it will load",
        ),
    )


@pytest.mark.parametrize(
    ("user", "provider"),
    [
        (USES, elf_info(exports=frozenset({"foo"}))),
        (USES, elf_info(exports=frozenset({"foo"}), old_versions=V2)),
        (
            extension(
                needed=("libx.so",),
                rpath=HERE,
                imports=frozenset({"malloc"}),
                wanted_versions=frozenset({("malloc", "V1")}),
            ),
            elf_info(exports=frozenset({"malloc"}), old_versions=frozenset({("malloc", "V1")})),
        ),
    ],
    ids=["it has no versions", "it has another old version", "musl has the name"],
)
def test_mb132_is_silent_where_the_wanted_version_is_no_old_one(
    user: ElfInfo, provider: ElfInfo
) -> None:
    codes = {finding.code for finding in findings_of({CORE: user, BESIDE: provider})}
    assert codes <= {"MB118"}
