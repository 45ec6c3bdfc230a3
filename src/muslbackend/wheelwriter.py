"""Writes one wheel: deterministic, complete before it has a name.

The order is the caller's, times and modes are fixed, RECORD comes from what was hashed on the
way. The format is that of PEP 427, the layout of RECORD that of PEP 376.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import os
import shutil
import stat
import time
import zipfile
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MalformedError, MuslBackendError, SettingsError
from muslbackend.package import WHEEL_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from muslbackend.wheel import Member, WheelName

#: Zip cannot say anything earlier, nor later (APPNOTE.TXT 4.4.6).
_FIRST_TIME: Final = 315532800  # 1980-01-01
_LAST_TIME: Final = 4354819199  # 2107-12-31
#: What scikit-build-core takes where wheels are to be reproducible (``wheel.reproducible``).
_DEFAULT_TIME: Final = 1667997441


def packed_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Return the size of each member of a wheel in bytes, and what it takes in the archive."""
    with zipfile.ZipFile(path) as archive:
        return {i.filename: (i.file_size, i.compress_size) for i in archive.infolist()}


def write_wheel(
    folder: Path, name: WheelName, members: Sequence[Member], limit: int | None = None
) -> Path:
    """Write the wheel and return its path.

    RECORD is made here and put beside WHEEL, as the last member. The file gets its name when
    it is complete; on any exception ``folder`` is as it was. Raises :class:`MuslBackendError` for
    a wheel of more than ``limit`` bytes.
    """

    def fill(partial: Path) -> None:
        with partial.open("xb") as stream:
            _write_zip(stream, members)
        size = partial.stat().st_size
        if limit is not None and size > limit:
            msg = f"{name} would have {size} bytes, and max-size is {limit}; nothing was written"
            raise MuslBackendError(msg, hint=_largest(partial))

    return _publish(folder, str(name), fill)


def copy_wheel(original: Path, folder: Path) -> Path:
    """Copy a finished wheel into ``folder``, with the same care; return its path."""
    return _publish(folder, original.name, lambda partial: shutil.copyfile(original, partial))


def _publish(folder: Path, name: str, fill: Callable[[Path], object]) -> Path:
    final = folder / name
    partial = folder / f".{name}.{os.getpid()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fill(partial)
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


def _largest(path: Path) -> str:
    """Return a remedy that names what takes most of a wheel."""
    packed = {name: size for name, (_, size) in packed_sizes(path).items()}
    most = sorted(packed, key=lambda name: (-packed[name], name))[:3]
    shown = ", ".join(f"{name} ({packed[name]} bytes)" for name in most)
    return f"the most is taken by {shown}; strip = true may help"


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
    wheel_files = [m.path for m in members if WHEEL_FILE.fullmatch(m.path)]
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
    """Return the time of every member: SOURCE_DATE_EPOCH if set, else always the same.

    Raises :class:`SettingsError` when it is no number.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", str(_DEFAULT_TIME))
    try:
        seconds = int(text)
    except ValueError:
        msg = f"SOURCE_DATE_EPOCH = {text!r} is not a number of seconds"
        raise SettingsError(msg, hint="give a whole number, or unset it") from None
    moment = time.gmtime(min(max(seconds, _FIRST_TIME), _LAST_TIME))
    return (moment[0], moment[1], moment[2], moment[3], moment[4], moment[5])
