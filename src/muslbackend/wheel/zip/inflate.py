"""Members of an archive inflated by libdeflate, where its package is installed: each as a whole.

It takes half the time that zlib takes, but does not say where a stream ended, and other bytes may
follow that. So it gets the stream as gzip has it, with the CRC-32 and the size behind the packed
bytes (RFC 1952): libdeflate compares those with what stands where the stream ends.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from muslbackend.wheel.zip.directory import Listed

    DeflateError: type[Exception]
    gzip_decompress: Callable[[bytes | memoryview, int], bytearray] | None
else:
    DeflateError = gzip_decompress = None
    try:
        import deflate
    except ImportError:
        pass
    else:
        # Of others that somebody has for something else it is not known what they take.
        if getattr(deflate, "__version__", "").startswith("0.9."):
            from deflate import DeflateError, gzip_decompress

#: What gzip has in front: deflated, without a name, made nobody says when and where.
_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
#: And behind: CRC-32 and size, which has no more bits.
_FOOT: Final = struct.Struct("<2L")
_TOO_LARGE: Final = 1 << 32
#: To copy fewer packed bytes takes less than to write beside them.
_WORTH_WRITING: Final = 1 << 15
#: What is smaller fits in where Python has room left.
_WORTH_ASKING: Final = 1 << 18
#: How much is searched at a time.
_BLOCK: Final = 1 << 14


def inflated(archive: memoryview, at: int, listed: Listed) -> bytearray | None:
    """Return the bytes of a deflated member, if they are as listed; else ``None``.

    ``None`` too where libdeflate is not installed: zlib tells what is wrong. Whether anything
    follows the stream is not known before :func:`may_end_early` was asked. The packed bytes begin
    ``at`` a place in the archive, behind a local header that nobody reads any more and before
    something else of that kind: where the archive can be written to, both are written over.
    """
    if gzip_decompress is None or not 0 < listed.size < _TOO_LARGE:
        return None
    end, foot = at + listed.packed_size, _FOOT.pack(listed.crc, listed.size)
    stream: bytes | memoryview
    if archive.readonly or listed.packed_size < _WORTH_WRITING:
        stream = b"".join((_HEAD, archive[at:end], foot))
    else:
        # To copy some megabytes takes longer than half of all else: each page is a new one.
        start, stop = at - len(_HEAD), end + len(foot)
        archive[start:at], archive[end:stop] = _HEAD, foot
        stream = archive[start:stop]
    if listed.size >= _WORTH_ASKING:
        # Without room for this, the package prints an error of its own. (A bytearray would be
        # filled with zeros, page by page.)
        bytes(listed.size)
    try:
        return gzip_decompress(stream, listed.size)
    except DeflateError:
        return None


def may_end_early(packed: memoryview, listed: Listed) -> bool:
    """Say whether what gzip has behind a stream is in there, too: it may have ended there.

    Never where libdeflate is not installed.
    """
    if gzip_decompress is None:
        return False
    foot = _FOOT.pack(listed.crc, listed.size)
    more = len(foot) - 1  # one may begin in one block and end in the next, or behind the last
    blocks = range(0, len(packed), _BLOCK)
    return foot in bytes(packed[-more:]) + foot[:more] or any(
        foot in bytes(packed[at : at + _BLOCK + more]) for at in blocks
    )
