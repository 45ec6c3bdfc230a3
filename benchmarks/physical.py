"""The least that work on the same bytes can cost on this machine, as a process like the others.

python physical.py pack FOLDER FILE     read, SHA-256, deflate (level 6) in blocks on all cores,
                                        by zlib-ng where it can be imported, else by zlib
python physical.py copy FOLDER FOLDER   read and write
python physical.py inflate WHEEL...     read and inflate every member, which checks its CRC-32
"""

import hashlib
import os
import shutil
import sys
import zipfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import zlib
else:
    try:
        from zlib_ng import zlib_ng as zlib
    except ImportError:
        import zlib

BLOCK: Final = 1 << 20
LEVEL: Final = 6


def pack(source: Path, target: Path) -> None:
    """Write the deflated blocks of all files one after the other."""
    workers = len(os.sched_getaffinity(0))
    ahead: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(workers) as pool, target.open("wb") as output:
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            digest = hashlib.sha256()
            with file.open("rb") as stream:
                while block := stream.read(BLOCK):
                    ahead.append(pool.submit(zlib.compress, block, LEVEL))
                    digest.update(block)
                    if len(ahead) > 2 * workers:
                        output.write(ahead.popleft().result())
            digest.digest()
        for last in ahead:
            output.write(last.result())


def copy(source: Path, target: Path) -> None:
    """Copy all files."""
    shutil.copytree(source, target)


def inflate(*wheels: Path) -> None:
    """Read every member of every wheel; keep nothing."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    while member.read(BLOCK):
                        pass


if __name__ == "__main__":
    WORK: dict[str, Callable[..., None]] = {"pack": pack, "copy": copy, "inflate": inflate}
    WORK[sys.argv[1]](*map(Path, sys.argv[2:]))
