"""zlib, or zlib-ng where it is installed: the same format, deflated in a third of the time.

The bytes are not the same: who wants the same wheel again takes the same of the two.
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
