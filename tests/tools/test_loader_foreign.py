"""Files that were not made for this musl: what loaders do, and where our rules ask for more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.musl.releases import MuslVersion
from support.loaders import loaders
from support.loaders.loaders import dlopen
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Patched,
    Sample,
    extension,
    lay_out,
    promised,
    verdict_on,
)

if TYPE_CHECKING:
    from pathlib import Path

    from muslbackend.policy.verdict import Verdict
    from support.loaders.samples import Compare

CORE: Final = "demo/_core.so"
FORTIFY: Final = ("-D_FORTIFY_SOURCE=2",)
COPIES: Final = """\
#include <string.h>
char room[8];
void *PyInit_demo(const char *text) { return strcpy(room, text); }
"""
MEASURES: Final = """\
#include <string.h>
unsigned long PyInit_demo(const char *text) { return strlen(text); }
"""
#: With an address in it, so that there is a relocation.
TEXT: Final = "int value;\nint *pointer = &value;\n" + EXTENSION
THREADS: Final = "__thread int t;\nint *PyInit_demo(void) { return &t; }\n"


def glibc(source: str, *options: str) -> dict[str, Library | bytes]:
    return {CORE: Library(source, options=options, maker=Maker.GLIBC)}


def of_type(number: int) -> Patched:
    """Return an extension module whose header gives it another type (``e_type``)."""
    return Patched(Library(TEXT), lambda data: data[:16] + bytes([number, 0]) + data[18:])


REFUSED: Final = (
    Sample("glibc's own checks are called", None, glibc(COPIES, *FORTIFY)),
    Sample("glibc's loader is called", None, glibc(THREADS)),
    Sample("it is for another machine", None, {CORE: Library(TEXT, maker=Maker.ARM)}),
    Sample(
        "a library is for another machine",
        None,
        {
            CORE: Library(EXTENSION, ("libx.so",), "$ORIGIN"),
            "demo/libx.so": Library(TEXT, maker=Maker.ARM),
        },
    ),
    Sample("it is not whole", None, {CORE: b"\x7fELF\x02\x01\x01"}),
    Sample("its type is that of an object file", None, {CORE: of_type(1)}),
    Sample("its type is that of a core file", None, {CORE: of_type(4)}),
)


def codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


@pytest.mark.parametrize("sample", REFUSED, ids=str)
def test_we_promise_what_the_loader_does(sample: Sample, compare: Compare) -> None:
    ours, loader = compare(sample)
    assert loader.state != "loads"
    assert not ours


def test_glibcs_own_checks_are_reported_as_symbols_and_as_glibc(
    cache: Path, tmp_path: Path
) -> None:
    verdict = verdict_on(lay_out(glibc(COPIES, *FORTIFY), tmp_path, cache))
    assert codes(verdict) == {"MB102", "MB105"}
    missing = {f.symbol for f in verdict.findings if f.code == "MB102"}
    assert "__strcpy_chk" in missing
    assert all(name.endswith("_chk") for name in missing)


def test_a_plain_file_for_glibc_loads_and_is_refused_by_us_all_the_same(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    # Structures that differ are not seen by any loader: a stricter rule of ours, on purpose.
    folder = lay_out(glibc(MEASURES), tmp_path, cache)
    assert dlopen(real_loader[1], folder / CORE, cache=cache).state == "loads"
    verdict = verdict_on(folder)
    assert codes(verdict) == {"MB105"}
    assert verdict.floor is None


def test_a_file_for_another_machine_is_reported_as_that(cache: Path, tmp_path: Path) -> None:
    folder = lay_out({CORE: Library(TEXT, maker=Maker.ARM)}, tmp_path, cache)
    assert "MB106" in codes(verdict_on(folder))


def test_posix_fallocate64_is_promised_only_from_where_it_stays(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    # Exported up to 1.2.3; from 1.2.4 on mapped, but it did not fit before 1.2.6.
    release, loader = real_loader
    folder = lay_out({CORE: extension("posix_fallocate64")}, tmp_path, cache)
    state = dlopen(loader, folder / CORE, cache=cache).state
    assert state == ("refuses" if "1.2.4" <= release < "1.2.6" else "loads")
    assert verdict_on(folder).floor == MuslVersion(1, 2, 6)
    assert promised(folder, release) == (release >= "1.2.6")


def test_a_bundled_musl_is_not_the_musl_that_runs(
    real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    release, loader = real_loader
    core = extension("preadv2", needs=["libc-abc123.so"], rpath="$ORIGIN")
    libc = loaders.loader("1.2.5", cache).read_bytes()
    folder = lay_out({CORE: core, "demo/libc-abc123.so": libc}, tmp_path, cache)
    state = dlopen(loader, folder / CORE, cache=cache).state
    assert state == ("loads" if release >= "1.2.5" else "refuses")
    assert promised(folder, release) == (state == "loads")
