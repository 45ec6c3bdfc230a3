"""Symbols, hash tables, versions and relocations: what we promise is what musl's loaders do."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest
from muslbackend.musl import MuslVersion
from samples import Library, Maker, Sample, build, extension, function, verdict_on

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Compare
