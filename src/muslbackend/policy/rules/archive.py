"""What a finished wheel holds, and whether its RECORD tells the same.

The format is the binary distribution format specification (PEP 427), that of RECORD PEP 376's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.policy.findings import Finding, Severity
from muslbackend.system.phrases import some
from muslbackend.wheel.contents import Contents, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Digests that the specification allows, as :mod:`hashlib` calls them.
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
_ANEW: Final = "build it again; what changes files of a wheel has to write its RECORD anew"


def record(contents: Contents) -> Iterator[Finding]:
    """Installers are to refuse a file that RECORD does not list, or lists as another one."""
    path = f"{contents.folders[0]}/RECORD" if len(contents.folders) == 1 else ""
    text = contents.texts.get(path)
    if text is None:
        return
    try:
        wrong = [f"{says} {some(names)}" for says, names in _lies(contents, path, text) if names]
    except ValueError as error:
        wrong = [f"cannot be read: {error}"]
    if wrong:
        yield Finding("MB138", Severity.ERROR, path, "; ".join(wrong), hint=_ANEW)


def _lies(contents: Contents, record: str, text: bytes) -> Iterator[tuple[str, list[str]]]:
    """Yield what RECORD does, in words, and of which files."""
    rows: dict[str, tuple[str, str]] = {}
    twice = []
    for path, digest, size in _rows(text):
        if rows.setdefault(path, (digest, size)) != (digest, size):
            twice.append(path)
    unlisted = records(record.rpartition("/")[0])
    files = [path for path in contents.sizes if path not in unlisted]
    listed = [path for path in files if path in rows]
    sizes = {path for path in listed if rows[path][1] not in ("", str(contents.sizes[path]))}
    yield "lists, and the wheel has not,", [path for path in rows if path not in contents.sizes]
    yield "does not list", [path for path in files if path not in rows]
    yield "says two things of", twice
    yield "has another size of", [path for path in listed if path in sizes]
    same = (path for path in listed if path not in sizes)
    yield "has another digest of", [p for p in same if _is_another(contents, p, rows[p][0])]


def _rows(text: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield path, digest and size of each row; raise ``ValueError`` for what are no rows."""
    lines: Iterable[str] = text.decode("utf-8").splitlines()
    rows: Iterable[list[str]] = (line.split(",") for line in lines if line)
    if b'"' in text:
        import csv  # few names have a comma in them

        rows = csv.reader(lines)
    try:
        for row in rows:
            if row:
                path, digest, size = (*row, "", "")[:3] if len(row) < 3 else row
                # pip, uv and auditwheel take the same path with "./" in front.
                yield path.removeprefix("./"), digest, size
    except Exception as error:  # of csv, which is not always there to name it
        msg = f"it has rows that are not path, digest and size ({error})"
        raise ValueError(msg) from error


def _is_another(contents: Contents, path: str, listed: str) -> bool:
    """Say whether a file has another digest than RECORD lists; without one it has not."""
    algorithm, _, digest = listed.partition("=")
    if contents.digest is None or algorithm not in _ALGORITHMS:
        return False
    return contents.digest(path, algorithm) != digest.rstrip("=")
