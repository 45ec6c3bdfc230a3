from __future__ import annotations

import pytest

from muslbackend.loader.rpath import inside, is_rootless, origin_entries, passed, site_path
from support.wheels.builders import elf_info


@pytest.mark.parametrize(
    ("path", "installed"),
    [
        ("demo/_core.so", "demo/_core.so"),
        ("_core.so", "_core.so"),
        ("demo-1.0.data/platlib/demo/_core.so", "demo/_core.so"),
        ("demo-1.0.data/purelib/_core.so", "_core.so"),
        ("demo-1.0.data/scripts/tool", "demo-1.0.data/scripts/tool"),
        ("demo/models.data/platlib/x.so", "demo/models.data/platlib/x.so"),
        ("demo.libs/libx.so", "demo.libs/libx.so"),
    ],
)
def test_a_file_of_the_wheel_is_installed_in_its_place(path: str, installed: str) -> None:
    assert site_path(path) == installed


@pytest.mark.parametrize(
    ("path", "rootless"),
    [
        ("demo-1.0.data/scripts/tool", True),
        ("demo-1.0.data/data/lib/libx.so", True),
        ("demo-1.0.data/headers/x.h", True),
        ("demo-1.0.data/platlib/demo/_core.so", False),
        ("demo-1.0.data/purelib/demo/_core.so", False),
        ("demo/_core.so", False),
        ("demo/x.data/scripts/tool", False),
        ("/usr/lib/libx.so", False),
    ],
)
def test_scripts_and_data_are_installed_elsewhere(path: str, rootless: bool) -> None:
    assert is_rootless(path) is rootless


@pytest.mark.parametrize(
    ("entry", "path", "folder"),
    [
        ("$ORIGIN", "demo/_core.so", "demo"),
        ("${ORIGIN}", "demo/_core.so", "demo"),
        ("$ORIGIN/", "demo/_core.so", "demo"),
        ("$ORIGIN/.", "_core.so", "."),
        ("$ORIGIN", "_core.so", "."),
        ("$ORIGIN/..", "demo/_core.so", "."),
        ("$ORIGIN/../demo.libs", "demo/_core.so", "demo.libs"),
        ("${ORIGIN}/../../demo.libs", "demo/sub/_core.so", "demo.libs"),
        ("$ORIGIN//lib/./x/..", "demo/_core.so", "demo/lib"),
        ("$ORIGIN/..hidden", "_core.so", "..hidden"),
        ("$ORIGIN/../demo.libs", "demo-1.0.data/platlib/demo/_core.so", "demo.libs"),
        ("$ORIGIN/demo.libs", "demo-1.0.data/purelib/_core.so", "demo.libs"),
    ],
)
def test_an_entry_from_the_origin_names_a_folder_of_the_wheel(
    entry: str, path: str, folder: str
) -> None:
    assert inside(entry, path) == folder


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("/usr/lib", "demo/_core.so"),
        ("lib", "demo/_core.so"),
        (".", "demo/_core.so"),
        ("", "demo/_core.so"),
        ("$ORIGIN/..", "_core.so"),
        ("$ORIGIN/../..", "demo/_core.so"),
        ("$ORIGIN/../../site-packages/demo.libs", "demo/_core.so"),
        ("$LIB/demo", "demo/_core.so"),
        ("/opt/$ORIGIN", "demo/_core.so"),
        ("$ORIGINAL", "demo/_core.so"),
        ("$ORIGIN}", "demo/_core.so"),
        ("${ORIGIN", "demo/_core.so"),
    ],
)
def test_any_other_entry_leads_out_of_the_wheel(entry: str, path: str) -> None:
    assert inside(entry, path) is None


def test_entries_that_stay_inside_are_listed_in_order_as_they_are_written() -> None:
    elf = elf_info(rpath=("/opt/lib", "$ORIGIN/../b", "${ORIGIN}", "$ORIGIN/../../x", "rel"))
    assert list(origin_entries(elf, "demo/_core.so")) == [
        ("$ORIGIN/../b", "b"),
        ("${ORIGIN}", "demo"),
    ]


@pytest.mark.parametrize("other", ["$LIB", "/usr/$LIB", "$PLATFORM/x", "${LIB}", "$", "$ORIGIN/$X"])
def test_any_other_token_voids_the_whole_rpath(other: str) -> None:
    assert list(origin_entries(elf_info(rpath=("$ORIGIN", other)), "demo/_core.so")) == []


def test_an_origin_in_the_middle_voids_nothing() -> None:
    elf = elf_info(rpath=("$ORIGIN", "/opt/$ORIGIN"))
    assert list(origin_entries(elf, "demo/_core.so")) == [("$ORIGIN", "demo")]


def test_a_script_finds_nothing_by_its_origin() -> None:
    elf = elf_info(rpath=("$ORIGIN/../lib",))
    assert list(origin_entries(elf, "demo-1.0.data/scripts/tool")) == []


@pytest.mark.parametrize(
    ("entry", "path", "folders"),
    [
        ("$ORIGIN", "demo/_core.so", []),
        ("$ORIGIN/../demo.libs", "demo/_core.so", []),
        ("$ORIGIN/../demo/../demo.libs", "demo/_core.so", []),
        ("$ORIGIN/../../demo.libs", "demo/sub/_core.so", []),
        ("$ORIGIN/../gone/../demo.libs", "demo/_core.so", ["gone"]),
        ("$ORIGIN/a//b/./../../c", "demo/_core.so", ["demo/a/b", "demo/a"]),
        ("${ORIGIN}/gone/../demo.libs", "_core.so", ["gone"]),
        ("$ORIGIN/../gone/..", "demo-1.0.data/platlib/demo/_core.so", ["gone"]),
    ],
)
def test_folders_that_an_entry_only_goes_through_are_known(
    entry: str, path: str, folders: list[str]
) -> None:
    assert list(passed(entry, path)) == folders
