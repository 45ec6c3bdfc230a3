"""Hazards of some machines only: two widths of time, and pages of several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from support.loaders.loaders import EMULATOR, NOWHERE, dlopen, install_loader
from support.loaders.places import PLACES
from support.loaders.samples import EXTENSION, Library, lay_out, promised, verdict_on

if TYPE_CHECKING:
    from pathlib import Path

    from support.loaders.samples import Place

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so"

#: Without <time.h> the old name is called, with 32 bits.
NARROW: Final = """\
int clock_gettime(int, void *);
int fill(void *time) { return clock_gettime(0, time); }
"""
WIDE: Final = "#include <time.h>\nint fill(void *time) { return clock_gettime(0, time); }\n"
#: Crashes unless the library tells the time as it is.
COMPARES: Final = """\
#include <time.h>
int fill(void *);
__attribute__((constructor)) static void look(void)
{
    struct timespec theirs = {-1, -1}, ours;
    fill(&theirs);
    clock_gettime(0, &ours);
    if (theirs.tv_sec < ours.tv_sec - 60 || theirs.tv_sec > ours.tv_sec) __builtin_trap();
}
"""


@pytest.mark.parametrize(("source", "said"), [(NARROW, {"MB123"}), (WIDE, set())])
@pytest.mark.parametrize(
    "place", [p for p in PLACES if p[0] in ("i686", "armv7l")], indirect=True, ids="-".join
)
def test_a_time_of_32_bits_is_not_one_of_64(
    source: str, said: set[str], place: Place, cache: Path, tmp_path: Path
) -> None:
    core = Library(COMPARES + EXTENSION, ("libx.so",), "$ORIGIN")
    folder = lay_out({CORE: core, BESIDE: Library(source)}, tmp_path, cache, place.arch)
    state = dlopen(place.loader, folder / CORE, cache=cache).state
    assert state == ("crashes" if said else "loads")
    found = verdict_on(folder, place.release, place.arch).findings
    assert {(f.code, f.subject) for f in found} == {(code, BESIDE) for code in said}


POINTER: Final = """\
static int value = 3;
static int *volatile pointer = &value;
__attribute__((constructor)) static void look(void) { if (*pointer != 3) __builtin_trap(); }
"""


@pytest.mark.parametrize("page", [4096, 16384, 65536])
@pytest.mark.parametrize("laid_out_for", [4096, 16384, 65536])
@pytest.mark.parametrize(
    "place", [p for p in PLACES if p[0] in ("aarch64", "ppc64le")], indirect=True, ids="-".join
)
def test_a_file_for_small_pages_crashes_where_they_are_larger(
    laid_out_for: int, page: int, place: Place, cache: Path, tmp_path: Path
) -> None:
    core = Library(POINTER + EXTENSION, options=(f"-Wl,-z,max-page-size={laid_out_for}",))
    folder = lay_out({CORE: core}, tmp_path / "site-packages", cache, place.arch)
    state = dlopen(with_pages(place, page, tmp_path), folder / CORE, cache=cache).state
    assert state == ("loads" if page <= laid_out_for else "crashes")
    found = verdict_on(folder, place.release, place.arch).findings
    assert {f.code for f in found} == ({"MB124"} if laid_out_for < 65536 else set())
    assert promised(folder, place.release, place.arch)


def with_pages(place: Place, size: int, folder: Path) -> Path:
    """Return the loader in an emulator whose kernel has pages of `size` bytes."""
    (folder / "prefix").mkdir()
    install_loader(place.loader, folder / "prefix", NOWHERE, place.loader.name)
    script = folder / "prefix" / EMULATOR
    real = place.loader.parent.parent / EMULATOR
    script.write_text(f'#!/bin/sh\nexec {real} -p {size} "$@"\n')
    script.chmod(0o755)
    return folder / "prefix" / "lib" / place.loader.name
