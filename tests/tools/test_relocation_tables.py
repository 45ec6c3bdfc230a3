"""Every type of relocation, known or not, on every machine that the loader can be run for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.musl import relocations
from muslbackend.musl.releases import MuslVersion
from support.loaders.loaders import list_libraries
from support.loaders.places import PLACES, RELEASES
from support.loaders.samples import Library, Patched, lay_out
from support.wheels.patching import with_relocations

if TYPE_CHECKING:
    from pathlib import Path

    from support.loaders.samples import Place

CORE: Final = "demo/_core.so"
#: Types of relocations up to some beyond the last that any machine has.
KINDS: Final = [*range(256)]
FAR_KINDS: Final = [*range(256, 264), *range(1020, 1040)]
SLOTS: Final = """\
static int value;
struct { int *pointer; char room[24]; } PyInit_demo[300] = { [0 ... 299] = {&value} };
"""


COPY: Final = {
    "x86_64": 5,
    "i686": 5,
    "aarch64": 1024,
    "armv7l": 20,
    "ppc64le": 19,
    "s390x": 9,
    "riscv64": 4,
}
R_ARM_TLS_DESC: Final = 13
EVERYWHERE: Final = [*(("x86_64", release) for release in RELEASES), *PLACES]


@pytest.mark.parametrize("place", EVERYWHERE, indirect=True, ids="-".join)
def test_the_table_of_relocations_is_what_the_real_loader_knows(
    place: Place, cache: Path, tmp_path: Path
) -> None:
    # Listed, a file is relocated to the end, whatever is unknown, and not run. R_*_COPY of no
    # symbol is the one that crashes.
    everything = KINDS + (FAR_KINDS if place.arch.bits == 64 else [])
    kinds = [kind for kind in everything if kind != COPY[place.arch.name]]
    slots = Patched(Library(SLOTS), lambda data: with_relocations(data, kinds))
    folder = lay_out({CORE: slots}, tmp_path, cache, place.arch)
    said = list_libraries(place.loader, folder / CORE)[1]
    refused = {int(kind) for kind in re.findall("unsupported relocation type ([0-9]+)", said)}
    release = MuslVersion.parse(place.release)
    known = {k for k in kinds if (since := relocations.since(k, place.arch)) and since <= release}
    if place.arch.name == "armv7l":  # known before 1.2.5, but misread
        known.add(R_ARM_TLS_DESC)
    assert refused == set(kinds) - known - {0}
