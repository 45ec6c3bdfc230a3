"""Libraries in C that machines have and wheels leave to them, compiled for musl out of sdists."""

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.loaders.machines import MACHINES, Machine
from support.tools.debian import Pin, cached, compile_c, say, sdist

#: To be raised with every change of what is made here.
RECIPE: Final = 1
X86_64: Final = MACHINES["x86_64"]


@dataclass(frozen=True)
class Source:
    """A library in C that an sdist carries beside its own code."""

    name: str
    """Of the library's file."""
    pin: Pin
    files: str
    """Pattern of paths in the sdist; its one group is the name of the file."""
    options: tuple[str, ...]


#: zlib 1.2.11; as source, for wheels leave this library to the system.
ZLIB: Final = Source(
    "libz.so.1",
    Pin("pyminizip==0.2.6", "0a954dd2a65fd72c8b827b83fb806fb4f301075a6ec43e207d3345ab15843a7a"),
    r".*/zlib-[\d.]+/(\w+\.[ch])",
    ("-DHAVE_UNISTD_H", "-D_LARGEFILE64_SOURCE=1"),
)
#: expat 2.1, enough for the pyexpat of 3.11 and 3.12; 3.13 has expat built in.
EXPAT: Final = Source(
    "libexpat.so.1",
    Pin("defusedexpat==0.4", "43622e7fc95a55049a1b755d421cd1ef05e854609db0313cd826a3b873a6debd"),
    r".*/expat/(\w+\.[ch])",
    ("-DHAVE_MEMMOVE", "-DXML_NS", "-DXML_DTD", "-DXML_CONTEXT_BYTES=1024", "-DBYTEORDER=1234"),
)


def unpack_source(source: Source, cache: Path, folder: Path) -> None:
    """Write the files of a library's source into a folder."""
    with tarfile.open(sdist(source.pin, cache)) as archive:
        for member in archive:
            found, data = re.fullmatch(source.files, member.name), archive.extractfile(member)
            if found and data:
                (folder / found[1]).write_bytes(data.read())


def library(source: Source, cache: Path, machine: Machine = X86_64) -> Path:
    """Return a folder with the library, compiled for `machine`."""

    def fill(folder: Path) -> None:
        work = folder.with_name("work")
        work.mkdir()
        unpack_source(source, cache, work)
        say(f"compiling {source.name}")
        # xmltok_impl.c and xmltok_ns.c are parts that xmltok.c includes.
        units = sorted(unit.name for unit in work.glob("*.c") if "xmltok_" not in unit.name)
        shared = ["-shared", "-fPIC", f"-Wl,-soname,{source.name}"]
        inputs = [*shared, *source.options, *units]
        compile_c(work / source.name, inputs, cache, machine.triple)
        (work / source.name).rename(folder / source.name)

    name = f"{source.name}-{source.pin.sha256[:8]}-{RECIPE}"
    folder = cache / (name if machine == X86_64 else f"{name}-{machine.name}")
    return cached(folder, fill)
