"""Rules about a finished wheel as an archive: whether it holds what it says of itself.

Each takes :class:`Contents` and yields findings, one code for each. The format is the binary
distribution format specification (PEP 427), that of RECORD PEP 376's.
"""

from __future__ import annotations

from itertools import islice, product

from muslbackend.findings import Finding, Severity, some
from muslbackend.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Final, TypeAlias

Rule: TypeAlias = "Callable[[Contents], Iterator[Finding]]"

#: What a metadata folder cannot be without.
_PARTS: Final = ("METADATA", "WHEEL", "RECORD")
#: RECORD of a metadata folder, and its signatures (PEP 427).
_RECORDS: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")
#: Digests that the specification allows, as :mod:`hashlib` calls them.
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
#: Tags that are looked at; more than a few are nobody's.
_MOST_TAGS: Final = 1000
_ANEW: Final = "build it again; what changes files of a wheel has to write its RECORD anew"


class Contents(NamedTuple):
    """What a wheel holds, and what it says of that."""

    name: str
    """Of the file."""
    sizes: Mapping[str, int]
    """In bytes, of each file by its path, in the order of the archive."""
    texts: Mapping[str, bytes]
    """What is read of them: ``WHEEL`` and ``RECORD`` of its metadata folder."""
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


def one_name_for_case(contents: Contents) -> Iterator[Finding]:
    """File systems of macOS and Windows, and some of Linux, take such names for one."""
    first: dict[str, str] = {}
    for path in contents.sizes:
        other = first.setdefault(folded(path), path)
        if other != path:
            yield Finding(
                "MB137",
                Severity.WARNING,
                path,
                f"is {other} to file systems that take small and capital letters for the same: "
                "there one of the two is lost",
                hint="give one of them another name",
            )


def folded(path: str) -> str:
    """Return a path as file systems have it that take small and capital letters for the same."""
    if path.isascii():
        return path.lower()
    from unicodedata import normalize  # few names take it

    return normalize("NFC", path).casefold()


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
                yield path, digest, size
    except Exception as error:  # of csv, which is not always there to name it
        msg = f"it has rows that are not path, digest and size ({error})"
        raise ValueError(msg) from error


def _is_another(contents: Contents, path: str, listed: str) -> bool:
    """Say whether a file has another digest than RECORD lists; without one it has not."""
    algorithm, _, digest = listed.partition("=")
    if contents.digest is None or algorithm not in _ALGORITHMS:
        return False
    return contents.digest(path, algorithm) != digest.rstrip("=")


def metadata(contents: Contents) -> Iterator[Finding]:
    """An installer finds the metadata by the name of the wheel, and refuses one without them."""
    folders = contents.folders
    if len(folders) != 1:
        what = (
            f"has several metadata folders: {some(folders)}"
            if folders
            else ("has no metadata folder")
        )
    else:
        lacking = [name for name in _PARTS if f"{folders[0]}/{name}" not in contents.sizes]
        what = f"has no {' and no '.join(lacking)} in {folders[0]}" if lacking else ""
        if not _is_called(folders[0], contents.name):
            what = f"has the metadata of another wheel, {folders[0]}"
        elif not what and not _knows_its_version(contents.texts.get(f"{folders[0]}/WHEEL", b"")):
            what = f"has a {folders[0]}/WHEEL that is not of version 1"
    if what:
        hint = "build it again: one NAME-VERSION.dist-info with METADATA, WHEEL and RECORD"
        yield Finding("MB139", Severity.ERROR, contents.name, what, hint=hint)


def _is_called(folder: str, wheel: str) -> bool:
    """Say whether a metadata folder is that of the wheel, however the two are spelled."""
    known, wanted = folder.removesuffix(".dist-info"), "-".join(wheel.split("-")[:2])
    if known == wanted:
        return True
    from packaging.utils import canonicalize_name  # seldom: another spelling

    if canonicalize_name(known) == canonicalize_name(wanted):
        return True
    from packaging.version import InvalidVersion, Version  # more seldom: 1.0 and 1.0.0

    name, _, version = known.rpartition("-")
    distribution, _, promised = wanted.rpartition("-")
    same = canonicalize_name(name) == canonicalize_name(distribution)
    try:
        return same and Version(version) == Version(promised)
    except InvalidVersion:
        return False


def _knows_its_version(wheel_file: bytes) -> bool:
    """Say whether a ``WHEEL`` file is text of the version that installers know."""
    try:
        lines = wheel_file.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return False
    fields = (line.lower().partition(":") for line in lines)
    versions = (value.strip().partition(".") for key, _, value in fields if key == "wheel-version")
    return any(major == "1" and minor.isdecimal() for major, _, minor in versions)


def tags(contents: Contents) -> Iterator[Finding]:
    """Installers choose a wheel by the tags of its name; tools that look inside find others."""
    if len(contents.folders) != 1:
        return
    text = contents.texts.get(f"{contents.folders[0]}/WHEEL", b"").decode("utf-8", "replace")
    lines = (line.partition(":") for line in text.splitlines())
    found = (tag for key, _, value in lines if key == "Tag" for tag in _expanded(value.strip()))
    said = set(islice(found, _MOST_TAGS))
    named = set(_expanded("-".join(contents.name.removesuffix(".whl").split("-")[-3:])))
    if said != named:
        other = f"other tags ({some(sorted(said))}) than the name of the wheel"
        yield Finding(
            "MB140",
            Severity.WARNING,
            f"{contents.folders[0]}/WHEEL",
            f"has {other if said else 'no tags'}",
            hint="rename wheels with a tool that writes both, such as wheel tags",
        )


def _expanded(tag: str) -> Iterator[str]:
    """Yield the tags that one with several names in its parts stands for."""
    parts = [part.split(".") for part in tag.lower().split("-")]
    count = 1
    for part in parts:
        count *= len(part)
    yield from ("-".join(one) for one in product(*parts)) if count <= _MOST_TAGS else (tag,)


#: Those that no tool mends by writing the wheel anew.
ABOUT_FILES: Final = (one_name_for_case, record, metadata)
RULES: Final = (*ABOUT_FILES, tags)
#: What makes no tag untrue.
CODES: Final = frozenset({"MB137", "MB138", "MB139", "MB140"})


def judge_contents(contents: Contents, rules: tuple[Rule, ...] = RULES) -> tuple[Finding, ...]:
    """Return every finding of every rule about the archive."""
    return tuple(finding for rule in rules for finding in rule(contents))
