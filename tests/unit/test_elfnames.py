"""Names that are looked up in the file: the same as if they were held."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Final

import pytest

from builders import ZIG_TARGETS, zig_library
from largelibrary import library, relocations
from muslbackend import elfsymbols
from muslbackend.elfimage import ElfImage
from muslbackend.elfnames import HashedNames
from muslbackend.elfreader import read_elf

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE: Final = "".join(
    f"int exported_{n}(void) {{ return {n}; }}\nstatic int hidden_{n};\n" for n in range(200)
)
DT_HASH, DT_GNU_HASH = 4, 0x6FFFFEF5
MIB: Final = 1 << 20


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elfsymbols, "_MANY", 0)


def held(data: bytes, monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    """The names as a set of Python's."""
    monkeypatch.setattr(elfsymbols, "_MANY", 1 << 16)
    exports = read_elf(data).exports
    assert isinstance(exports, frozenset)
    return exports


@pytest.mark.parametrize(
    ("arch", "style"),
    [
        (arch, style)
        for arch in ZIG_TARGETS
        for style in ("gnu", "sysv", "both")
        if (arch, style) != ("s390x", "sysv")  # musl cannot read what lld writes there
    ],
)
def test_every_name_is_found_and_no_other(
    arch: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = zig_library(arch, f"-Wl,--hash-style={style}", source=SOURCE)
    names, expected = read_elf(data).exports, held(data, monkeypatch)
    assert len(expected) >= 200
    assert isinstance(names, HashedNames)
    assert len(names) == len(expected)
    assert set(names) == expected
    assert all(name in names for name in expected)
    others = ["", "hidden_1", "exported_200", "exported_1\0", "xported_1", 1, None, b"exported_1"]
    assert not any(other in names for other in others)


def test_it_goes_with_other_sets() -> None:
    names = read_elf(zig_library("x86_64", source=SOURCE)).exports
    assert isinstance(names, HashedNames)
    some = frozenset({"exported_1", "elsewhere"})
    assert some - names == {"elsewhere"}
    assert some & names == names & some == {"exported_1"}
    assert not names >= some
    assert names >= {"exported_1", "exported_2"}
    assert {"exported_1"} <= names
    assert some.intersection(names) == {"exported_1"}
    assert len({(1, names), (1, read_elf(zig_library("x86_64", source=SOURCE)).exports)}) == 1


def patched(data: bytes, tag: int, change: Callable[[ElfImage, bytearray, int], None]) -> bytes:
    """Return the file with another hash table."""
    image, new = ElfImage(data), bytearray(data)
    change(image, new, image.offset(image.tag(tag)))
    return bytes(new)


def loops(image: ElfImage, new: bytearray, at: int) -> None:
    """Let each symbol of DT_HASH follow itself."""
    buckets, count = struct.unpack_from(f"{image.order}2I", new, at)
    for n in range(count):
        struct.pack_into(f"{image.order}I", new, at + 8 + 4 * (buckets + n), n)


def leads_away(image: ElfImage, new: bytearray, at: int) -> None:
    """Let each bucket of DT_HASH begin with a symbol that is not there."""
    (buckets,) = struct.unpack_from(f"{image.order}I", new, at)
    for n in range(buckets):
        struct.pack_into(f"{image.order}I", new, at + 8 + 4 * n, 1 << 24)


def no_buckets(image: ElfImage, new: bytearray, at: int) -> None:
    struct.pack_into(f"{image.order}I", new, at, 0)


@pytest.mark.parametrize("arch", ["x86_64", "i686", "ppc64le"])
@pytest.mark.parametrize("change", [loops, leads_away, no_buckets])
def test_a_damaged_hash_table_leads_nowhere(
    arch: str, change: Callable[[ElfImage, bytearray, int], None]
) -> None:
    data = zig_library(arch, "-Wl,--hash-style=sysv", source=SOURCE)
    names = read_elf(patched(data, DT_HASH, change)).exports
    found = [f"exported_{n}" in names for n in range(200)]
    assert not all(found)
    assert len(names) >= 200


def test_a_damaged_gnu_hash_table_leads_nowhere() -> None:
    data = zig_library("x86_64", "-Wl,--hash-style=gnu", source=SOURCE)

    def no_bloom(image: ElfImage, new: bytearray, at: int) -> None:
        (words,) = struct.unpack_from("<I", new, at + 8)
        new[at + 16 : at + 16 + 8 * words] = bytes(8 * words)

    names = read_elf(patched(data, DT_GNU_HASH, no_bloom)).exports
    assert isinstance(names, HashedNames)
    # musl asks the filter first (``gnu_lookup_filtered``).
    assert "exported_1" not in names


def test_a_library_with_very_many_names_holds_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    data = library((64, "<"), relocations(64, 10, range(0)), 300_000)
    tracemalloc.start()
    try:
        exports = read_elf(data).exports
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(exports, HashedNames)
    assert len(exports) == 149_999
    # Four bytes and one for each symbol, and what the hash table has.
    assert now < 4 * MIB
    assert peak < 12 * MIB
