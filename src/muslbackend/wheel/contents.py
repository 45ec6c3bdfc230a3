"""The files of a finished wheel, as its archive lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: RECORD of a metadata folder, and its signatures (PEP 427).
_RECORDS: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")


class Contents(NamedTuple):
    """The files of a wheel, and its metadata about them."""

    name: str
    """The file name of the wheel."""
    sizes: Mapping[str, int]
    """The size of each file in bytes, by path, in the order of the archive."""
    texts: Mapping[str, bytes]
    """The contents of ``METADATA``, ``WHEEL`` and ``RECORD``, by path."""
    digest: Callable[[str, str], str] | None = None
    """A function that returns the digest of a file by an algorithm of :mod:`hashlib`, as in RECORD;
    ``None`` if only sizes are compared."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The metadata folders, without a slash, sorted; a valid wheel has one."""
        return metadata_folders(self.sizes)


def metadata_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the ``.dist-info`` folders at the root of a wheel, sorted."""
    tops = {path.partition("/")[0] for path in paths if ".dist-info/" in path}
    return tuple(sorted(top for top in tops if top.endswith(".dist-info")))


def records(folder: str) -> frozenset[str]:
    """Return the paths of RECORD and its signatures in a metadata folder.

    RECORD does not list their digests; a changed wheel gets a new RECORD without signatures.
    """
    return frozenset(f"{folder}/{name}" for name in _RECORDS)
