"""The files of a finished wheel, as its archive lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: RECORD of a metadata folder, and its signatures (PEP 427).
_RECORDS: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")


class Contents(NamedTuple):
    """What a wheel holds, and what it says of that."""

    name: str
    """Of the file."""
    sizes: Mapping[str, int]
    """In bytes, of each file by its path, in the order of the archive."""
    texts: Mapping[str, bytes]
    """What is read of them: ``METADATA``, ``WHEEL`` and ``RECORD`` of its metadata folder."""
    digest: Callable[[str, str], str] | None = None
    """Returns the digest of a file by an algorithm of :mod:`hashlib`, as RECORD writes it; ``None``
    where only sizes are compared."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The metadata folders, without a slash, sorted; a sound wheel has one."""
        return metadata_folders(self.sizes)


def metadata_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the ``.dist-info`` folders at the root of a wheel, sorted."""
    tops = {path.partition("/")[0] for path in paths if ".dist-info/" in path}
    return tuple(sorted(top for top in tops if top.endswith(".dist-info")))


def records(folder: str) -> frozenset[str]:
    """Return the names that RECORD of a metadata folder and its signatures have.

    They are what it does not list with digests, and what a changed wheel gets anew, or not at all.
    """
    return frozenset(f"{folder}/{name}" for name in _RECORDS)
