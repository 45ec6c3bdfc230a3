"""Names that are looked up in tables instead of being held do what a set of them would do."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslbackend.elf.hashtable import Exports, GnuHash, SysvHash
from support.wheels.hashtables import gnu_code, gnu_table, in_buckets, sysv_code, sysv_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muslbackend.elf.hashtable import HashTable

NAMES: Final = (
    "malloc",
    "free",
    "PyInit__core",
    "n\u00e4me",
    "na\udcffe",
    "x",
    "_ZN1aC2Ev",
    "stdin",
)
STYLES: Final = ("gnu", "gnu32", "sysv", "sysv64")


def encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def exports_of(
    names: Sequence[str],
    table: HashTable,
    *,
    hidden: Sequence[int] = (),
    undefined: Sequence[int] = (),
    before: bytes = b"\0",
) -> Exports:
    """Return a file's names, symbol 1 first; of the others the numbers are given."""
    keys = [encoded(name) for name in names]
    places = array("I", [0, *accumulate((len(key) + 1 for key in keys), initial=len(before))][:-1])
    numbers = range(len(names) + 1)
    return Exports(
        before + b"".join(key + b"\0" for key in keys),
        places,
        bytes(n > 0 and n not in {*hidden, *undefined} for n in numbers),
        bytes(n in hidden for n in numbers),
        table,
    )


def made(names: Sequence[str], style: str, buckets: int = 3) -> Exports:
    """Return the names behind a table as linkers write it."""
    keys = [encoded(name) for name in names]
    if style.startswith("sysv"):
        return exports_of(names, sysv_table(keys, buckets, "Q" if style == "sysv64" else "I"))
    keys = in_buckets(keys, buckets)
    ordered = [key.decode("utf-8", "surrogateescape") for key in keys]
    return exports_of(
        ordered, gnu_table(keys, buckets, word="I" if style == "gnu32" else "Q", words=2)
    )


@given(
    names=st.sets(st.binary(max_size=12).filter(lambda name: b"\0" not in name), max_size=60),
    others=st.sets(st.binary(max_size=12)),
    style=st.sampled_from(STYLES),
    buckets=st.integers(min_value=1, max_value=9),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_it_holds_the_names_that_it_was_made_of_and_no_others(
    names: set[bytes], others: set[bytes], style: str, buckets: int
) -> None:
    texts, absent = (
        {name.decode("utf-8", "surrogateescape") for name in some} for some in (names, others)
    )
    exports = made(sorted(texts), style, buckets)
    assert {name for name in texts | absent if name in exports} == texts
    assert set(exports) == texts
    assert len(exports) == len(texts)


@given(
    names=st.sets(
        st.one_of(
            st.binary(max_size=12).filter(lambda name: b"\0" not in name),
            st.text("abZ_9", max_size=700).map(str.encode),
            st.integers(600, 700).map(lambda size: size * b"z"),
        ),
        min_size=2,
        max_size=20,
    ),
    style=st.sampled_from(STYLES),
    buckets=st.integers(min_value=1, max_value=9),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_table_leads_to_its_own_names_and_to_no_others(
    names: set[bytes], style: str, buckets: int
) -> None:
    texts = [name.decode("utf-8", "surrogateescape") for name in sorted(names)]
    exports = made(texts, style, buckets)
    own, numbers = list(exports), range(1, len(texts) + 1)
    assert exports.lost(numbers, own) == []
    # By the last bit alone a hash value may be another one's.
    moved = [*own[1:], own[0]]
    pairs = list(zip(own, moved, numbers, strict=True))
    alone = [number for _, other, number in pairs if exports.lost([number], [other])]
    assert exports.lost(numbers, moved) == alone
    if style.startswith("gnu"):
        codes = {name: gnu_code(encoded(name)) | 1 for name in own}
        assert {n for one, other, n in pairs if codes[one] != codes[other]} <= set(alone)


def test_the_head_of_an_empty_bucket_leads_to_no_symbol() -> None:
    # Symbol 0, which a table may claim to begin with.
    table = gnu_table([b"one"], 1, first=0)
    assert list(table.buckets) == [0]
    assert exports_of(["one"], table).lost([0], ["one"]) == [0]


def test_the_hash_values_are_those_that_are_published() -> None:
    # As articles on both tables have them (flapenguin.me).
    assert (gnu_code(b"printf"), gnu_code(b"exit"), gnu_code(b"")) == (0x156B2BB8, 0x7C967E3F, 5381)
    assert (sysv_code(b"printf"), sysv_code(b"exit"), sysv_code(b"")) == (0x77905A6, 0x6CF04, 0)


@pytest.mark.parametrize("style", STYLES)
def test_it_does_what_sets_do(style: str) -> None:
    exports, names = made(NAMES, style), frozenset(NAMES)
    asked = frozenset({"malloc", "absent", "x"})
    assert exports == names
    assert names == exports
    assert exports != asked
    assert hash(exports) == hash(names)
    for found, expected in (
        (asked - exports, {"absent"}),
        (asked & exports, {"malloc", "x"}),
        (exports & asked, {"malloc", "x"}),
        (exports - asked, names - asked),
        (exports | asked, names | asked),
        (asked | exports, names | asked),
    ):
        assert found == expected
        assert isinstance(found, frozenset)
    left = set(asked)
    left -= exports
    assert left == {"absent"}
    assert {"malloc", "stdin"} <= exports
    assert exports >= {"malloc", "stdin"}
    assert not exports >= asked
    assert not asked <= exports
    assert exports.isdisjoint({"absent"})


@pytest.mark.parametrize("style", STYLES)
def test_only_names_are_in_it(style: str) -> None:
    exports = made(NAMES, style)
    others: tuple[object, ...] = (b"malloc", 7, None)
    assert not any(other in exports for other in others)
    assert "" not in exports
    assert "malloc\0free" not in exports
    assert bool(exports)
    assert not made((), style)


def test_copies_with_other_string_tables_are_equal() -> None:
    table = sysv_table([encoded(name) for name in NAMES])
    one, other = exports_of(NAMES, table), exports_of(NAMES, table, before=b"\0libx.so\0")
    assert one == other
    fewer = exports_of(NAMES, table, undefined=[3])
    assert one != fewer
    assert fewer != one
    assert made(NAMES, "gnu") == one


@pytest.mark.parametrize("style", ["gnu", "sysv"])
def test_the_first_symbol_of_a_name_that_is_not_hidden_decides(style: str) -> None:
    names = ["foo", "foo", "foo"]
    keys = [encoded(name) for name in names]
    table = gnu_table(keys) if style == "gnu" else sysv_table(keys)
    assert "foo" in exports_of(names, table, hidden=[1, 2])
    assert "foo" not in exports_of(names, table, hidden=[1, 2, 3])
    # ``find_sym2`` goes on to the next file then.
    assert "foo" not in exports_of(names, table, undefined=[1])
    assert "foo" not in exports_of(names, table, hidden=[1], undefined=[2])
    assert "foo" in exports_of(names, table, undefined=[3])


def test_names_that_begin_alike() -> None:
    long = "PyInit_" + 255 * "n"
    names = ("PyInit_a", "xPyInit_b", "PyInit", "Py", "PyInit_", long, long + "n", "P\u00e4")
    found = ["PyInit_a", "PyInit_", long]
    assert list(made(names, "sysv").beginning("PyInit_")) == found
    assert list(made(("PyInit_a",), "gnu").beginning("PyInit_")) == ["PyInit_a"]
    assert list(made((), "gnu").beginning("PyInit_")) == []


KEYS: Final = in_buckets([encoded(name) for name in NAMES], 3)
ORDERED: Final = [key.decode("utf-8", "surrogateescape") for key in KEYS]
GNU: Final = gnu_table(KEYS)
SYSV: Final = sysv_table([encoded(name) for name in NAMES])
NONE: Final = array("I")
OUTSIDE: Final = array("I", [0xFFFFFFFF] * 3)
ALL_BITS: Final = array("Q", [2**64 - 1])


@pytest.mark.parametrize(
    "table",
    [
        GNU._replace(bloom=array("Q")),
        GNU._replace(bloom=array("Q", [0])),
        GNU._replace(buckets=NONE),
        GNU._replace(buckets=array("I", [0, 0, 0])),
        GNU._replace(buckets=OUTSIDE),
        GNU._replace(first=100),
        GNU._replace(chains=NONE),
        # The hash value of no name here: even, so that no chain ends.
        GNU._replace(chains=array("I", [0x1000] * len(KEYS))),
        GNU._replace(chains=array("I", [0x1000] * 2**20), bloom=ALL_BITS),
        SYSV._replace(buckets=NONE),
        SYSV._replace(buckets=array("I", [0, 0, 0])),
        SYSV._replace(buckets=OUTSIDE),
        SYSV._replace(chains=NONE),
    ],
    ids=str,
)
def test_a_table_that_leads_nowhere_finds_nothing(table: HashTable) -> None:
    exports = exports_of(ORDERED, table)
    assert [name for name in (*NAMES, "absent", "") if name in exports] == []
    # What the symbol table has is there all the same.
    assert set(exports) == set(NAMES)


@pytest.mark.parametrize(
    "chains",
    [
        list(range(len(NAMES) + 1)),  # each leads to itself
        [0, 2, 1, *[1] * (len(NAMES) - 2)],  # two lead to each other
        [0, *[0xFFFFFFFF] * len(NAMES)],
    ],
    ids=["itself", "each other", "outside"],
)
def test_chains_that_have_no_end_are_left(chains: list[int]) -> None:
    table = SYSV._replace(chains=array("I", chains), buckets=array("I", [1, 1, 1]))
    exports = exports_of(NAMES, table)
    assert "absent" not in exports
    assert NAMES[0] in exports
    # Where a name is out of reach it is not found.
    assert NAMES[-1] not in exports


def test_a_chain_that_no_linker_makes_is_followed_only_so_far() -> None:
    names = [f"n{n}" for n in range(5000)]
    keys = [encoded(name) for name in names]
    for table in (gnu_table(keys, 1, words=64), sysv_table(keys, 1)):
        exports = exports_of(names, table)
        assert "n4000" in exports
        assert "n4999" not in exports


def test_a_table_of_more_symbols_than_there_are_finds_those_that_are_there() -> None:
    keys = [b"one", b"two", b"three"]
    for table in (gnu_table(keys, 1), sysv_table(keys, 1)):
        exports = exports_of(["one"], table)
        assert [key for key in ("one", "two", "three") if key in exports] == ["one"]


def test_symbols_without_a_hash_value_come_first() -> None:
    keys = in_buckets([encoded(name) for name in NAMES], 3)
    names = ["wanted", *(key.decode("utf-8", "surrogateescape") for key in keys)]
    exports = exports_of(names, gnu_table(keys, first=2), undefined=[1])
    assert set(NAMES) == {name for name in (*NAMES, "wanted") if name in exports}


WORDS: Final = st.lists(st.integers(0, 12) | st.integers(0, 2**32 - 1), max_size=12)


@given(buckets=WORDS, chains=WORDS, bloom=WORDS, shift=st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_tables_of_any_numbers_find_nothing_that_is_not_there(
    buckets: list[int], chains: list[int], bloom: list[int], shift: int
) -> None:
    numbers = array("I", buckets), array("I", chains)
    for table in (
        GnuHash(array("I", bloom), shift, numbers[0], bloom[0] if bloom else 0, numbers[1]),
        SysvHash(*numbers),
    ):
        exports = exports_of(NAMES, table)
        assert {n for n in (*NAMES, "absent", "", "nul\0") if n in exports} <= set(NAMES)
