"""ZIP archives: members, deflate, directories. Nothing here knows wheels."""

from __future__ import annotations

from typing import Final

#: zlib's own default, which :mod:`zipfile` uses too.
DEFAULT_LEVEL: Final = 6
