"""Files in a deflated archive that are changed in places, with what of the packed bytes stays."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Final

from muslbackend.elf.rewrite import Rewritten
from muslbackend.wheel.member import Kept, Member, Scratch, Spliced
from muslbackend.wheel.reader import unpack
from muslbackend.wheel.zip.splicing import Blocks, stretches
from support.wheels.rawzip import raw, write_raw

if TYPE_CHECKING:
    from pathlib import Path

    from muslbackend.wheel.zip.inflate import Mark

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
NAME: Final = "demo/data.so"
MAGIC: Final = b"\x7fELF"


def code(size: int, seed: int) -> bytes:
    """Return bytes that are packed much as machine code is: some said before, some new."""
    chance = random.Random(seed)  # noqa: S311 - the same in each run
    words = [chance.randbytes(chance.randrange(2, 12)) for _ in range(600)]
    found, length = [MAGIC], len(MAGIC)
    while length < size:
        some = [chance.choice(words) for _ in range(200)]
        some += [chance.randbytes(40), bytes(chance.randrange(300))]
        found += some
        length += sum(map(len, some))
    return b"".join(found)[:size]


def packed(data: bytes, level: int = 6, memory: int = 8, strategy: int = 0) -> bytes:
    """Return a raw deflate stream as zlib makes it."""
    machine = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, memory, strategy)
    return machine.compress(data) + machine.flush()


def marked(stream: bytes, every: int) -> list[Mark]:
    """Return marks at so many packed bytes each."""
    machine, size, found = zlib.decompressobj(-zlib.MAX_WBITS), 0, []
    for at in range(0, len(stream) - every, every):
        size += len(machine.decompress(stream[at : at + every]))
        found.append((at + every, size, machine.copy()))
    return found


def changes(size: int, seed: int) -> Rewritten:
    """Return a few changes of a file, near its ends and in the middle, and something put in."""
    chance = random.Random(seed)  # noqa: S311 - the same in each run
    places = sorted({0, chance.randrange(200, 4000), chance.randrange(size // 3, size // 2)})
    rows = tuple((place, chance.randbytes(chance.randrange(1, 60))) for place in places)
    return Rewritten(rows, size - chance.randrange(100, size // 8), chance.randbytes(500))


def rewritten(data: bytes, change: Rewritten) -> bytes:
    """Return the new file."""
    return b"".join(map(bytes, change.blocks(data)))


def spliced(folder: Path, data: bytes, change: Rewritten, path: str = NAME) -> Member:
    """Return a member of a finished wheel, changed as a repair changes it; all is in ``folder``."""
    folder.mkdir(parents=True)
    about = raw("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n")
    archive = write_raw(folder / FILE, [raw(path, data), about])
    with Scratch() as scratch:
        kept = unpack(archive, scratch)[1][0].content
    assert isinstance(kept, Kept)
    file = folder / "new"
    file.write_bytes(rewritten(data, change))
    found = stretches(change.runs(len(data)), Blocks(kept.packed(), data, kept.marks))
    return Member(path, Spliced(file, kept, tuple(found)))
