"""Rules about the metadata folder of a finished wheel: METADATA, WHEEL and the names they give.

Each takes :class:`integrity.Contents` and yields findings, one code for each. A wheel is sound that
pip, uv and installer install alike; the tests ask them. The format is the binary distribution
format specification (PEP 427).
"""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.policy.findings import Finding, Severity
from muslbackend.system.phrases import some
from muslbackend.wheel.fields import read_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.wheel.contents import Contents
    from muslbackend.wheel.fields import Fields

#: What a metadata folder cannot be without.
_PARTS: Final = ("METADATA", "WHEEL", "RECORD")
#: Tags that are looked at; more than a few are nobody's.
_MOST_TAGS: Final = 1000
#: Characters of METADATA before which name and version stand.
_MOST_METADATA: Final = 1 << 16
#: Fields of ``WHEEL`` that installers act on.
_VERSION, _PURELIB = "Wheel-Version", "Root-Is-Purelib"
_AGAIN: Final = "build it again: one NAME-VERSION.dist-info with METADATA, WHEEL and RECORD"

Said: TypeAlias = "Iterator[tuple[Severity, str]]"


def metadata(contents: Contents) -> Iterator[Finding]:
    """An installer finds the metadata by the name of the wheel, and refuses one without them."""
    found = list(_about_folders(contents))
    if not found:
        found = [*_about_wheel_file(contents), *_about_names(contents)]
    for severity, what in found:
        yield Finding("MB139", severity, contents.name, what, hint=_AGAIN)


def _about_folders(contents: Contents) -> Said:
    """Yield what is wrong with the metadata folders themselves."""
    folders = contents.folders
    if not folders:
        yield Severity.ERROR, "has no metadata folder"
        return
    if len(folders) > 1:
        yield Severity.ERROR, f"has several metadata folders: {some(folders)}"
        return
    (folder,) = folders
    lacking = [name for name in _PARTS if f"{folder}/{name}" not in contents.sizes]
    known, wanted = folder.removesuffix(".dist-info"), "-".join(contents.name.split("-")[:2])
    if known != wanted:
        yield from _about_spelling(folder, known, wanted)
    if lacking:
        yield Severity.ERROR, f"has no {' and no '.join(lacking)} in {folder}"


def _about_spelling(folder: str, known: str, wanted: str) -> Said:
    """Yield what is wrong with a metadata folder that is not spelled like the wheel."""
    # pip takes all behind the first "-" for the version.
    name, _, version = known.partition("-")
    distribution, _, promised = wanted.partition("-")
    if _canonical(name) != _canonical(distribution):
        if _canonical(known) == _canonical(wanted):
            split = f"pip takes {name} for its name and {version} for its version"
            yield Severity.ERROR, f"has a metadata folder {folder}: {split}"
        else:
            yield Severity.ERROR, f"has the metadata of another wheel, {folder}"
    elif not _is_version(version, promised, whole=False):
        yield Severity.ERROR, f"has the metadata of another wheel, {folder}"
    elif not _is_version(version, promised):
        yield Severity.WARNING, f"has another local version in {folder} than in its name"


def _about_names(contents: Contents) -> Said:
    """Yield where METADATA has another name or version than the file, as pip and uv compare."""
    path = f"{contents.folders[0]}/METADATA"
    fields = _fields(contents, path, _MOST_METADATA)
    if fields is None:
        yield Severity.ERROR, f"has a {path} that is not UTF-8, which pip refuses"
        return
    wanted = dict(zip(("Name", "Version"), contents.name.split("-"), strict=False))
    for key, expected in wanted.items():
        values = {field.value for field in fields.named(key)}
        folded = any(field.is_folded for field in fields.named(key))
        if len(values) != 1 or folded or "" in values:
            what = "says several things of its" if len(values) > 1 else "does not say its"
            yield Severity.ERROR, f"has a {path} that {what} {key.lower()}"
        elif values != {expected}:
            yield from _about_value(path, key, values.pop(), expected)


def _about_value(path: str, key: str, value: str, expected: str) -> Said:
    """Yield whether a name or a version in METADATA is another one than that of the file."""
    said = f"has {key.lower()} {value} in {path}, and {expected} in its name"
    if key == "Name":
        if _canonical(value) != _canonical(expected):
            yield Severity.ERROR, said
        return
    if not _is_version(value, expected, whole=False):
        yield Severity.ERROR, said
    elif not _is_version(value, expected):
        yield Severity.WARNING, f"{said}: pip takes it by its path only, uv refuses it"


def _canonical(name: str) -> str:
    """Return a name as it is compared (PEP 503); packaging takes long to import for it."""
    name = name.lower().replace("_", "-").replace(".", "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name


def _is_version(text: str, expected: str, *, whole: bool = True) -> bool:
    """Say whether two texts are one version, as 1.0 and 1.0.0 are; else without its local part."""
    from packaging.version import InvalidVersion, Version  # few wheels spell it in two ways

    try:
        ours, theirs = Version(text), Version(expected)
    except InvalidVersion:
        return False
    return ours == theirs if whole else Version(ours.public) == Version(theirs.public)


def _fields(contents: Contents, path: str, most: int | None = None) -> Fields | None:
    """Return the fields of a text, ``None`` if it is not UTF-8."""
    try:
        return read_fields(contents.texts.get(path, b""), most)
    except UnicodeDecodeError:
        return None


def _about_wheel_file(contents: Contents) -> Said:
    """Yield why installers refuse a WHEEL file, or read it differently."""
    path = f"{contents.folders[0]}/WHEEL"
    fields = _fields(contents, path)
    version = None if fields is None else _only(fields, _VERSION)
    major, _, minor = (version or "").partition(".")
    if fields is None or version is None or major != "1" or not _is_number(minor):
        yield Severity.ERROR, f"has a {path} that is not of version 1"
        return
    if fields.stop:
        yield Severity.ERROR, f"has a {path} with a line that is no field: {fields.stop[:60]!r}"
    if minor.strip("0"):
        yield Severity.WARNING, f"has a {path} of version {version}; pip knows 1.0 and warns"
    root = _only(fields, _PURELIB)
    if root is None and fields.named(_PURELIB):
        yield Severity.ERROR, f"has a {path} of which installers read {_PURELIB} differently"
    elif root not in ("true", "false"):
        given = "without" if root is None else f"with {root!r} for"
        yield Severity.WARNING, f"has a {path} {given} {_PURELIB}, which is true or false"


def _only(fields: Fields, name: str) -> str | None:
    """Return the value of a field that all installers read alike: one line, spelled like this."""
    found = fields.named(name)
    values = {field.value for field in found}
    # uv takes the spelling of the specification only, installer keeps the break of a folded line.
    alike = all(field.name == name and not field.is_folded for field in found)
    return values.pop() if alike and len(values) == 1 else None


def _is_number(text: str) -> bool:
    return text.isascii() and bool(text) and all(part.isdigit() for part in text.split("."))


def tags(contents: Contents) -> Iterator[Finding]:
    """Installers choose a wheel by the tags of its name; tools that look inside find others."""
    if len(contents.folders) != 1:
        return
    path = f"{contents.folders[0]}/WHEEL"
    text = contents.texts.get(path, b"").decode("utf-8", "replace")
    # Behind an empty line too, where tools have appended them to what scikit-build 0.17 wrote:
    # no installer looks for them at all.
    fields = (line.partition(":") for line in text.splitlines())
    lines = [value.strip() for key, _, value in fields if key == "Tag"]
    said = set(islice((tag for line in lines for tag in _expanded(line)), _MOST_TAGS))
    named = set(_expanded("-".join(contents.name.removesuffix(".whl").split("-")[-3:])))
    what = ""
    if said != named:
        other = f"other tags ({some(sorted(said))}) than the name of the wheel"
        what = other if said else "no tags"
    elif not said <= {line.lower() for line in lines}:
        packed = next(line for line in lines if line.lower() not in said)
        what = f"several tags in one line ({packed}), where each has a line of its own"
    if what:
        hint = "rename wheels with a tool that writes both, such as wheel tags"
        yield Finding("MB140", Severity.WARNING, path, f"has {what}", hint=hint)


def _expanded(tag: str) -> Iterator[str]:
    """Yield the tags that one with several names in its parts stands for."""
    parts = [part.split(".") for part in tag.lower().split("-")]
    count = 1
    for part in parts:
        count *= len(part)
    yield from ("-".join(one) for one in product(*parts)) if count <= _MOST_TAGS else (tag,)
