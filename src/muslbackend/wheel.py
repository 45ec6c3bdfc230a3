"""Wheels on disk: read for judgement, written once, named last.

The writer is deterministic: the order is the caller's, times and modes are fixed, RECORD comes
from what was hashed on the way. The format is the binary distribution format specification
(PEP 427); the layout of RECORD is that of PEP 376.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import os
import re
import stat
import struct
import time
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from muslbackend.elf import MAGIC
from muslbackend.errors import MalformedError, MuslBackendError, SettingsError
from muslbackend.package import tells

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.tags import Tag

#: What zipfile raises for a damaged archive. Not every Python has lzma; zipfile does without.
_UNREADABLE: Final[tuple[type[Exception], ...]] = (
    zipfile.BadZipFile,
    zlib.error,
    getattr(getattr(zipfile, "lzma", None), "LZMAError", zlib.error),
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # NotImplementedError among them
    ValueError,  # UnicodeDecodeError among them
)

#: Zip cannot say anything earlier, nor later (APPNOTE.TXT 4.4.6).
_FIRST_TIME: Final = 315532800  # 1980-01-01
_LAST_TIME: Final = 4354819199  # 2107-12-31


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a wheel that is being made."""

    path: str
    """In the wheel, with ``/``."""
    content: Path | bytes
    """A file on this disk, or the bytes themselves."""
    executable: bool = False

    def read(self) -> bytes:
        """Return the bytes."""
        if isinstance(self.content, bytes):
            return self.content
        try:
            return self.content.read_bytes()
        except OSError as error:
            msg = f"{self.path}: {self.content} cannot be read: {error.strerror or error}"
            raise MuslBackendError(msg, hint="build again") from error


@dataclass(frozen=True, slots=True)
class Wheel:
    """A finished wheel, read for judgement."""

    path: Path
    tags: frozenset[Tag]
    """From the file name."""
    names: tuple[str, ...]
    """Of all members, in the order of the archive."""
    elf: Mapping[str, bytes]
    """The bytes of the members that begin like ELF files."""
    texts: Mapping[str, bytes]
    """The bytes of the members that :mod:`package` reads."""


@dataclass(frozen=True, slots=True)
class WheelName:
    """The parts of a wheel's file name, as they stand in it."""

    distribution: str
    """``NAME-VERSION``, escaped as the specification says."""
    build: str
    tags: frozenset[Tag]
    variant: str = ""
    """Label of a wheel variant, an experiment of scikit-build-core; empty for most."""

    def __str__(self) -> str:
        parts = [self.distribution, *filter(None, [self.build])]
        for attribute in ("interpreter", "abi", "platform"):
            parts.append(".".join(sorted({getattr(tag, attribute) for tag in self.tags})))
        return "-".join([*parts, *filter(None, [self.variant])]) + ".whl"


def read_wheel(path: Path) -> Wheel:
    """Return the names of all members, and the bytes of those that count.

    Raises :class:`MalformedError` for a file name that is not a wheel's, for a damaged archive
    and for a missing file.
    """
    if not path.is_file():
        raise MalformedError("there is no such file", hint="give the path of a wheel")
    try:
        tags = parse_wheel_filename(path.name)[3]
        with zipfile.ZipFile(path) as archive:
            elf, texts = {}, {}
            for info in archive.infolist():
                with archive.open(info) as member:
                    head = member.read(len(MAGIC))
                    if head == MAGIC:
                        elf[info.filename] = head + member.read()
                    elif tells(info.filename):
                        texts[info.filename] = head + member.read()
            return Wheel(path, tags, tuple(archive.namelist()), elf, texts)
    except InvalidWheelFilename as error:
        msg = str(error)
        raise MalformedError(
            msg, hint="a wheel is called NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
        ) from error
    except _UNREADABLE as error:
        msg = f"is not a readable zip archive: {error}"
        raise MalformedError(msg, hint="build or download it again") from error


def retag(wheel_file: bytes, tags: Collection[Tag], generator: str) -> bytes:
    """Return a ``WHEEL`` file with other tags and another generator, all else as it was."""
    kept = [
        line
        for line in wheel_file.decode("utf-8").splitlines()
        if line and not line.startswith(("Tag:", "Generator:"))
    ]
    at = next((i for i, line in enumerate(kept) if line.startswith("Build:")), len(kept))
    new = [f"Tag: {tag}" for tag in sorted(map(str, tags))]
    version, *rest = [*kept[:at], *new, *kept[at:]]
    return "\n".join([version, f"Generator: {generator}", *rest, "", ""]).encode()


def write_wheel(folder: Path, name: WheelName, members: Sequence[Member]) -> Path:
    """Write the wheel and return its path.

    RECORD is made here and put beside WHEEL, as the last member. The file gets its name when
    it is complete; on any exception ``folder`` is as it was.
    """
    final = folder / str(name)
    partial = folder / f".{final.name}.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as stream:
            _write_zip(stream, members)
        partial.replace(final)
    except OSError as error:
        msg = f"{folder}: the wheel cannot be written: {error.strerror or error}"
        raise MuslBackendError(
            msg, hint="free some space, or name another output folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return final


def _write_zip(stream: io.BufferedWriter, members: Sequence[Member]) -> None:
    date = _date_time()
    rows: list[tuple[str, str, str]] = []
    record = _record_path(members)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            data = member.read()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
            rows.append((member.path, f"sha256={digest.decode()}", str(len(data))))
            archive.writestr(_zip_info(member.path, date, executable=member.executable), data)
        rows.append((record, "", ""))
        archive.writestr(_zip_info(record, date, executable=False), _record(rows))


def _record_path(members: Iterable[Member]) -> str:
    wheel_files = [m.path for m in members if re.fullmatch(r"[^/]+\.dist-info/WHEEL", m.path)]
    if len(wheel_files) != 1:
        msg = f"{len(wheel_files)} WHEEL files in one wheel"
        raise MalformedError(msg, hint="exactly one .dist-info folder belongs into a wheel")
    return wheel_files[0].removesuffix("WHEEL") + "RECORD"


def _record(rows: Iterable[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


def _zip_info(
    path: str, date: tuple[int, int, int, int, int, int], *, executable: bool
) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, date)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix: else the mode below is not looked at
    info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    return info


def _date_time() -> tuple[int, int, int, int, int, int]:
    """Return the time of every member: SOURCE_DATE_EPOCH if set, else the first of 1980.

    Raises :class:`SettingsError` when it is no number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", str(_FIRST_TIME))
    try:
        seconds = int(text)
    except ValueError:
        msg = f"SOURCE_DATE_EPOCH = {text!r} is not a number of seconds"
        raise SettingsError(msg, hint="give a whole number, or unset it") from None
    moment = time.gmtime(min(max(seconds, _FIRST_TIME), _LAST_TIME))
    return (moment[0], moment[1], moment[2], moment[3], moment[4], moment[5])
