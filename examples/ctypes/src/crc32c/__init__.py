"""The checksum of iSCSI, ext4 and many a protocol (Castagnoli's polynomial)."""

import ctypes
from pathlib import Path

__all__ = ["crc32c"]

_library = ctypes.CDLL(str(Path(__file__).with_name("libcrc32c.so")))
_library.crc32c.argtypes = (ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
_library.crc32c.restype = ctypes.c_uint32


def crc32c(data: bytes, start: int = 0) -> int:
    """Return the checksum of some bytes, or of more of them after those of ``start``."""
    checksum: int = _library.crc32c(start, data, len(data))
    return checksum
