"""zlib, or zlib-ng if it is installed: the same format, compressed in a third of the time.

The compressed bytes differ: a reproducible wheel requires the same of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zlib
else:
    try:
        from zlib_ng import zlib_ng as zlib
    except ImportError:
        import zlib

__all__ = ["zlib"]
