"""Marks of tests that ask something of the machine which runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from support.projects.building import ON_MUSL

#: Crosses to x86_64, or asks what holds on glibc: there builds for x86_64 are native, by the
#: compiler of the machine, and what cannot be promised gets a plain tag in place of an error.
CROSSES: Final = pytest.mark.skipif(ON_MUSL, reason="on a musl Python this build is native")
#: Asks what happens where nothing starts musl's programs.
WITHOUT_MUSL: Final = pytest.mark.skipif(
    Path("/lib/ld-musl-x86_64.so.1").exists(), reason="this machine has musl's loader"
)
