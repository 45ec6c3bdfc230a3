"""Sound wheels of a few files, as an ordinary tool writes them."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(
    path: Path, files: Mapping[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED
) -> Path:
    """Write a wheel of these files and of metadata that go with its name; return its path.

    Of the metadata those that are among the files stay as they are.
    """
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        for name, data in whole(path.name, files).items():
            archive.writestr(name, data)
    return path


def whole(wheel: str, files: Mapping[str, bytes | str]) -> dict[str, bytes]:
    """Return the files of a wheel of that name, metadata and RECORD too, as they ought to be."""
    name, version, *_, python, abi, platform = wheel.removesuffix(".whl").split("-")
    folder = f"{name}-{version}.dist-info"
    tags = [
        f"Tag: {p}-{a}-{m}\n"
        for p in python.split(".")
        for a in abi.split(".")
        for m in platform.split(".")
    ]
    about = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\n{''.join(tags)}"
    found: dict[str, bytes | str] = dict(files)
    known = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    found.setdefault(f"{folder}/METADATA", known)
    found.setdefault(f"{folder}/WHEEL", about)
    contents = {n: d.encode() if isinstance(d, str) else d for n, d in found.items()}
    contents.setdefault(f"{folder}/RECORD", record(contents, folder))
    return contents


def record(files: Mapping[str, bytes], folder: str) -> bytes:
    """Return the RECORD of these files."""
    rows = [row(name, data) for name, data in files.items()]
    return "".join([*rows, f"{folder}/RECORD,,\n"]).encode()


def row(name: str, data: bytes, algorithm: str = "sha256") -> str:
    """Return what RECORD says of a file."""
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=")
    quoted = f'"{name}"' if "," in name else name
    return f"{quoted},{algorithm}={digest.decode()},{len(data)}\n"
