"""Fetch files of a mirror: over HTTP with a cache that resumes, or from a folder (``file:``).

Nothing fetched is trusted, nor is anything in the cache; the caller verifies each file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit

from muslbackend.errors import MalformedError, SettingsError, ToolError
from muslbackend.system.failures import reported_io_errors
from muslbackend.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse

_CHUNK: Final = 1 << 16
_SECONDS: Final = 30
_PARTIAL: Final = 206
_NOT_FOUND: Final = 404
_NO_SUCH_RANGE: Final = 416
_AGAIN: Final = "run the command again, or use another mirror: --mirror URL"


class _NoSuchRangeError(ToolError):
    """A partial file is longer than that of the server."""


class Source(NamedTuple):
    """A folder of a mirror: its address, without a slash at the end."""

    address: str

    def of(self, *names: str) -> str:
        """Return the address of a file below it."""
        return "/".join((self.address, *(quote(name, safe="@") for name in names)))


def check_address(address: str) -> str:
    """Return an address without its final slash. Raises :class:`SettingsError` for others."""
    parts = urlsplit(address)
    is_file = parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path
    if not address.isprintable() or not (
        is_file or (parts.scheme in ("http", "https") and parts.netloc)
    ):
        msg = f"{address}: is not an address with https:, http: or file:"
        raise SettingsError(msg, hint="write file:/path/to/folder for a folder")
    return address.rstrip("/")


def fetch(address: str, limit: int) -> bytes:
    """Return a file of at most ``limit`` bytes.

    Raises :class:`ToolError` if it cannot be fetched, :class:`MalformedError` if it is larger.
    """
    with _opened(address) as stream:
        return b"".join(_chunks(stream, address, limit))


def fetch_cached(
    address: str, size: int, cached: Path | None, advance: Callable[[int], object]
) -> bytes:
    """Return a file of ``size`` bytes, from the cache if it is there.

    An interrupted transfer is resumed the next time. ``advance`` is called with numbers of bytes.
    """
    if cached is None or urlsplit(address).scheme == "file":
        data = fetch(address, size)
        advance(len(data))
        return data
    with reported_io_errors():
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial = cached.with_name(f"{cached.name}.part")
        with partial.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # another process may fetch the same file
            if not cached.is_file():
                _resume(stream, address, size, advance)
                stream.flush()
                partial.replace(cached)
            else:
                partial.unlink(missing_ok=True)
                advance(size)
        with os.fdopen(open_regular(cached), "rb") as whole:
            return whole.read(size + 1)


def _resume(stream: BinaryIO, address: str, size: int, advance: Callable[[int], object]) -> None:
    done = os.fstat(stream.fileno()).st_size
    if done > size:
        stream.truncate(done := 0)
    if done == size:
        advance(size)
        return
    with contextlib.ExitStack() as stack:
        try:
            answer = stack.enter_context(_opened(address, done))
        except _NoSuchRangeError:
            stream.truncate(0)  # the next run begins anew
            raise
        if getattr(answer, "status", 0) != _PARTIAL:
            stream.truncate(done := 0)
        advance(done)
        for chunk in _chunks(answer, address, size - done):
            stream.write(chunk)
            advance(len(chunk))
            done += len(chunk)
    if done < size:
        raise _failed(address, "the transfer ended early")


def _chunks(stream: BinaryIO | HTTPResponse, address: str, limit: int) -> Iterator[bytes]:
    """Yield the rest of a stream. Raises :class:`MalformedError` beyond ``limit`` bytes."""
    while True:
        try:
            chunk = stream.read(min(_CHUNK, limit + 1))
        except (OSError, HTTPException) as error:
            raise _failed(address, str(error) or type(error).__name__) from error
        if not chunk:
            return
        limit -= len(chunk)
        if limit < 0:
            msg = f"{address}: is larger than it may be"
            raise MalformedError(msg, hint="use another mirror")
        yield chunk


@contextlib.contextmanager
def _opened(address: str, start: int = 0) -> Iterator[BinaryIO | HTTPResponse]:
    """Open a file at an offset; a server may ignore that, and answers with another status."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        try:
            file = open_regular(Path(unquote(parts.path)))
        except OSError as error:
            raise _failed(address, error.strerror or str(error)) from error
        with os.fdopen(file, "rb") as stream:
            yield stream
        return
    headers = {"User-Agent": "muslbackend", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = _opener().open(request.Request(address, headers=headers), timeout=_SECONDS)  # noqa: S310 - its schemes are those of _opener
    except HTTPError as error:
        if error.code == _NO_SUCH_RANGE:
            raise _NoSuchRangeError(
                f"{address}: is smaller than it should be", hint=_AGAIN
            ) from error
        hint = "check --alpine, --repository and --mirror" if error.code == _NOT_FOUND else ""
        raise _failed(address, f"the server answers {error.code}", hint) from error
    except (OSError, ValueError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _failed(address, str(reason) or type(error).__name__) from error
    with answer:
        yield answer


def _opener() -> request.OpenerDirector:
    """Return an opener for HTTP only: a redirect to ``file:`` or ``ftp:`` fails."""
    opener = request.OpenerDirector()
    for handler in (
        *(request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler),
        *(request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler),
        request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _failed(address: str, reason: str, hint: str = "") -> ToolError:
    msg = f"{address}: cannot be fetched: {reason}"
    return ToolError(msg, hint=hint or _AGAIN)
