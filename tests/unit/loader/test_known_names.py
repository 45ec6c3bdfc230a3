"""Names that are taken apart without a pattern, for what is imported: as exact as one."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from muslbackend.elf.info import extension_suffix
from muslbackend.loader.needs import is_pythons
from muslbackend.loader.rpath import is_rootless, scheme, site_path
from muslbackend.loader.search import _is_libpython

PIECES = ["cpython-3", "abi3", "abi3t", "12", "-", "_", ".", "so", "x86", "/", "+", " ", "é", "²"]
PATHS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
EXTENSION = r"\.((?:cpython-3\d+|abi3t?)[\w-]*)\.so"


@given(st.tuples(PATHS, PATHS).map(lambda two: f"{two[0]}.{two[1]}.so") | PATHS)
@example("a/m.cpython-312-x86_64-linux-musl.so")
@example("m.abi3t-x86_64-linux-gnu.so")
@example("m.abi3x.so")
@example("m.abi3-a b.so")
def test_what_only_an_extension_is_called(path: str) -> None:
    match = re.search(rf"{EXTENSION}\Z", path)
    assert extension_suffix(path) == (match[1] if match else None)


@given(st.text("_PyAZaé[@", max_size=5))
def test_symbols_of_the_c_api(symbol: str) -> None:
    assert is_pythons(symbol) == bool(re.match(r"_?Py[A-Z_]", symbol))


@given(st.lists(st.sampled_from(["libpython", *PIECES, "3", ".so", "."]), max_size=7).map("".join))
@example("libpython3.12.so.1.0")
@example("libpython3+x.so")
def test_libraries_of_cpython(name: str) -> None:
    assert _is_libpython(name) == bool(re.match(r"libpython\d[\w.]*\.so", name))


@given(st.lists(st.sampled_from(["a", ".data", "/", "platlib", "purelib", "x"]), max_size=7))
def test_schemes_of_data_folders(pieces: list[str]) -> None:
    path = re.sub("/+", "/", "".join(pieces)).strip("/")
    in_data = bool(re.match(r"[^/]+\.data/", path))
    assert (scheme(path) is not None) == in_data
    rootless = bool(re.match(r"[^/]+\.data/(?!platlib/|purelib/)", path))
    assert is_rootless(path) == rootless
    assert site_path(path) == re.sub(r"^[^/]+\.data/(?:platlib|purelib)/", "", path, count=1)
