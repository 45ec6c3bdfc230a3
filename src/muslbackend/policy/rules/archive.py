"""Rules about a finished wheel as an archive: whether all installers install the same files.

A wheel is valid if pip, uv and installer install it alike; tests run all three. The format is the
binary distribution format specification (PEP 427), for RECORD also PEP 376.
"""

from __future__ import annotations

from itertools import islice, pairwise, product
from typing import TYPE_CHECKING, Final, TypeAlias

from muslbackend.policy.findings import Severity
from muslbackend.policy.rule import Problem, Scope, Trait, rule
from muslbackend.system.listing import listed
from muslbackend.wheel.contents import Contents, records
from muslbackend.wheel.metadata import read_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.wheel.metadata import Fields

#: The directories of a Linux environment, as in sysconfig's scheme ``venv``.
_SITE, _BIN, _INCLUDE = "site-packages", "bin", "include"
_HEADERS: Final = f"{_INCLUDE}/pythonX.Y"
#: The directories below ``.data`` that installers support.
_SCHEMES: Final = ("data", "headers", "platlib", "purelib", "scripts")
_PYTHONS: Final = ("python", "pypy", "graalpy")
_LIBRARIES: Final = ("lib", "lib64", "lib32")
_SITES: Final = ("site-packages", "dist-packages")
#: The number of members that get a finding of their own.
_MAX_FINDINGS: Final = 5
#: The digests that the specification allows, by their names in :mod:`hashlib`.
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
_UPDATE_RECORD: Final = "rebuild the wheel; tools that change files of a wheel must update RECORD"
#: The files that a ``.dist-info`` directory must contain.
_PARTS: Final = ("METADATA", "WHEEL", "RECORD")
#: The number of tags that are compared; real wheels have few.
_MAX_TAGS: Final = 1000
#: The number of characters of METADATA in which name and version are looked for.
_MAX_METADATA: Final = 1 << 16
#: The fields of ``WHEEL`` that installers act on.
_VERSION, _PURELIB = "Wheel-Version", "Root-Is-Purelib"
_REBUILD: Final = (
    "rebuild the wheel with one NAME-VERSION.dist-info that contains METADATA, WHEEL and RECORD"
)

_Faults: TypeAlias = "Iterator[tuple[Severity, str]]"


@rule("MB137", Severity.WARNING, Scope.ARCHIVE)
def one_name_for_case(contents: Contents) -> Iterator[Problem]:
    """File systems of macOS and Windows, and some of Linux, ignore the case of names."""
    first: dict[str, tuple[str, str]] = {}
    for path, where in _places(contents).items():
        other, there = first.setdefault(folded(where), (path, where))
        if there != where:
            yield Problem(
                path,
                f"differs from {other} only in letter case or Unicode form: file systems that "
                "ignore the difference keep only one of the two",
                "rename one of them",
            )


def folded(path: str) -> str:
    """Return the form of a path that file systems compare if they ignore letter case."""
    if path.isascii():
        return path.lower()
    from unicodedata import normalize  # an extension module that few names require

    return normalize("NFC", normalize("NFD", path).casefold())


@rule("MB142", Severity.ERROR, Scope.ARCHIVE)
def one_member_for_each_place(contents: Contents) -> Iterator[Problem]:
    """Two members must not be installed to the same path: installers treat them differently.

    The first or the last one stays, or nothing is installed.
    """
    met = list(_collisions(contents))
    for path, collision in met[:_MAX_FINDINGS]:
        hint = "remove one of the two from the wheel"
        yield Problem(path, f"is installed {collision}", hint)
    if len(met) > _MAX_FINDINGS:
        more = len(met) - _MAX_FINDINGS
        message = f"has {more} more files that are installed to the path of another file"
        yield Problem(contents.name, message, "rebuild the wheel")


def _collisions(contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the members that collide with others when installed, and a description of the place."""
    first: dict[str, str] = {}
    places = _places(contents)
    if all(path is where for path, where in places.items()):
        return  # paths within an archive are unique
    for path, where in places.items():
        other = first.setdefault(where, path)
        if other != path:
            yield path, f"to the same path as {other}: {where}"
    for name in _scripts_made(contents):
        where = f"{_BIN}/{name}"
        if where in first:
            yield first[where], f"to the path of an entry point's script: {where}"
    # In this order, the files below a path directly follow the path.
    for one, other in pairwise(sorted(where.replace("/", "\0") for where in first)):
        if other.startswith(f"{one}\0"):
            upper, lower = (first[where.replace("\0", "/")] for where in (one, other))
            yield lower, f"below {upper}, which is a file"


def _scripts_made(contents: Contents) -> Iterator[str]:
    """Yield the names of the scripts that installers generate (entry points specification).

    These are ``console_scripts`` and ``gui_scripts``. Installers ignore an unreadable file.
    """
    text = contents.texts.get(f"{contents.folders[0]}/entry_points.txt")
    if text is None:
        return
    from configparser import ConfigParser, Error  # few wheels have entry points

    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text.decode("utf-8"))
    except (Error, UnicodeDecodeError):
        return
    for section in ("console_scripts", "gui_scripts"):
        yield from parser[section] if parser.has_section(section) else ()


@rule("MB143", Severity.ERROR, Scope.ARCHIVE)
def known_data_folders(contents: Contents) -> Iterator[Problem]:
    """Pip installs every directory NAME.data by scheme; uv and installer only the wheel's own."""
    own = data_folder(contents.folders[0]) if len(contents.folders) == 1 else "NAME-VERSION.data"
    known = tuple(f"{own}/{scheme}/" for scheme in _SCHEMES)
    named = (path for path in contents.sizes if ".data" in path)
    found = [path for path in named if path.partition("/")[0].endswith(".data")]
    strange = sorted({top for path in found if (top := path.partition("/")[0]) != own})
    unknown = [path for path in found if path.startswith(f"{own}/") and not path.startswith(known)]
    if strange:
        yield Problem(
            contents.name,
            f"contains {listed(strange)} besides {own}: pip treats it as a .data directory, uv and "
            "installer copy it to site-packages",
            f"move files that belong to a scheme to {own}, and rename the rest",
        )
    if unknown:
        yield Problem(
            own,
            "contains files that are not in a directory that installers support: "
            f"{listed(unknown)}",
            f"move them to one of {', '.join(_SCHEMES)}; installers refuse the wheel",
        )
    deep = [path for path in found if path.startswith(f"{own}/scripts/") and path.count("/") > 2]
    if deep:
        yield Problem(
            own,
            f"contains directories below scripts, which uv refuses: {listed(deep)}",
            f"put scripts directly into {own}/scripts, and other files elsewhere",
        )


def place(path: str, folder: str) -> str:
    """Return the path to which a member is installed, relative to the root of an environment.

    ``folder`` is the ``.dist-info`` directory. The path leaves out the version of Python: a member
    that is installed to the site-packages of one version can collide with others there.
    """
    top, _, below = path.partition("/")
    if not below or top != data_folder(folder):
        return f"{_SITE}/{path}"
    scheme, _, rest = below.partition("/")
    if scheme in ("platlib", "purelib"):
        return f"{_SITE}/{rest}"
    if scheme == "scripts":
        return f"{_BIN}/{rest}"
    if scheme == "headers":
        return f"{_HEADERS}/{_name(folder.partition('-')[0])}/{rest}"
    return _in_prefix(rest.split("/")) if scheme == "data" else path


def _in_prefix(parts: list[str]) -> str:
    """Return the path of a file of the scheme ``data``, in the form of :func:`place`."""
    if parts[0] == "local" and len(parts) > 1:
        parts = parts[1:]  # /usr/local on Debian, where /usr is the prefix
    python = len(parts) > 3 and parts[1].startswith(_PYTHONS)
    if python and parts[0] in _LIBRARIES and parts[2] in _SITES:
        return "/".join([_SITE, *parts[3:]])
    if parts[0] == _INCLUDE:
        # Only virtual environments have "site" in include/site/pythonX.Y/NAME.
        parts = [_INCLUDE, *parts[2 if parts[1:2] == ["site"] else 1 :]]
        if len(parts) > 3 and parts[1].startswith(_PYTHONS):
            return "/".join([_HEADERS, _name(parts[2]), *parts[3:]])
    return "/".join(parts)


def _name(text: str) -> str:
    return text.lower().replace("-", "_").replace(".", "_")


def data_folder(folder: str) -> str:
    """Return the name of the ``.data`` directory that belongs to a ``.dist-info`` directory."""
    return folder.removesuffix(".dist-info") + ".data"


def _places(contents: Contents) -> Mapping[str, str]:
    """Return the installed path of each member, by its path in the archive.

    Without a ``.data`` directory, both paths are the same.
    """
    folder = contents.folders[0] if len(contents.folders) == 1 else ""
    own = f"{data_folder(folder)}/"
    if not any(path.startswith(own) for path in contents.sizes):
        return {path: path for path in contents.sizes}
    return {
        path: place(path, folder) if path.startswith(own) else f"{_SITE}/{path}"
        for path in contents.sizes
    }


@rule("MB138", Severity.ERROR, Scope.ARCHIVE)
def record(contents: Contents) -> Iterator[Problem]:
    """Installers must refuse a file that RECORD does not list, or lists with another digest."""
    path = f"{contents.folders[0]}/RECORD" if len(contents.folders) == 1 else ""
    text = contents.texts.get(path)
    if text is None:
        return
    try:
        found = _differences(contents, path, text)
        wrong = [f"{kind} {listed(names)}" for kind, names in found if names]
    except ValueError as error:
        wrong = [f"cannot be read: {error}"]
    if wrong:
        yield Problem(path, "; ".join(wrong), _UPDATE_RECORD)


def _differences(contents: Contents, record: str, text: bytes) -> Iterator[tuple[str, list[str]]]:
    """Yield each kind of difference between RECORD and the wheel, and the files concerned."""
    rows: dict[str, tuple[str, str]] = {}
    twice = []
    for path, digest, size in _rows(text):
        if rows.setdefault(path, (digest, size)) != (digest, size):
            twice.append(path)
    unlisted = records(record.rpartition("/")[0])
    files = [path for path in contents.sizes if path not in unlisted]
    present = [path for path in files if path in rows]
    sizes = {path for path in present if rows[path][1] not in ("", str(contents.sizes[path]))}
    absent = [path for path in rows if path not in contents.sizes]
    yield "lists files that are not in the wheel:", absent
    yield "does not list", [path for path in files if path not in rows]
    yield "has conflicting entries for", twice
    yield "has the wrong size for", [path for path in present if path in sizes]
    same = (path for path in present if path not in sizes)
    yield "has the wrong digest for", [p for p in same if _differs(contents, p, rows[p][0])]


def _rows(text: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield path, digest and size of each row. Raises ``ValueError`` for malformed rows."""
    lines: Iterable[str] = text.decode("utf-8").splitlines()
    rows: Iterable[list[str]] = (line.split(",") for line in lines if line)
    if b'"' in text:
        import csv  # few names contain a comma

        rows = csv.reader(lines)
    try:
        for row in rows:
            if row:
                path, digest, size = (*row, "", "")[:3] if len(row) < 3 else row
                # pip, uv and auditwheel ignore a leading "./".
                yield path.removeprefix("./"), digest, size
    except Exception as error:  # csv.Error, if csv was imported
        msg = f"a row is not path, digest and size ({error})"
        raise ValueError(msg) from error


def _differs(contents: Contents, path: str, entry: str) -> bool:
    """Return whether the digest of a file differs from its entry; an empty entry does not."""
    algorithm, _, digest = entry.partition("=")
    if contents.digest is None or algorithm not in _ALGORITHMS:
        return False
    return contents.digest(path, algorithm) != digest.rstrip("=")


@rule("MB139", Severity.ERROR, Scope.ARCHIVE)
def metadata(contents: Contents) -> Iterator[Problem]:
    """Installers find the metadata by the file name of the wheel, and refuse a wheel without it."""
    found = list(_about_folders(contents))
    if not found:
        found = [*_about_wheel_file(contents), *_about_names(contents)]
    for severity, message in found:
        yield Problem(contents.name, message, _REBUILD, severity=severity)


def _about_folders(contents: Contents) -> _Faults:
    """Yield faults of the number, the name and the parts of the ``.dist-info`` directories."""
    folders = contents.folders
    if not folders:
        yield Severity.ERROR, "has no .dist-info directory"
        return
    if len(folders) > 1:
        yield Severity.ERROR, f"has several .dist-info directories: {listed(folders)}"
        return
    (folder,) = folders
    lacking = [name for name in _PARTS if f"{folder}/{name}" not in contents.sizes]
    known, wanted = folder.removesuffix(".dist-info"), "-".join(contents.name.split("-")[:2])
    if known != wanted:
        yield from _about_spelling(folder, known, wanted)
    if lacking:
        yield Severity.ERROR, f"is missing {' and '.join(lacking)} in {folder}"


def _about_spelling(folder: str, known: str, wanted: str) -> _Faults:
    """Yield the fault of a ``.dist-info`` directory that is not spelled like the file name."""
    # pip reads everything after the first "-" as the version.
    name, _, version = known.partition("-")
    distribution, _, promised = wanted.partition("-")
    if _canonical(name) != _canonical(distribution):
        if _canonical(known) == _canonical(wanted):
            split = f"pip reads {name} as its name and {version} as its version"
            yield Severity.ERROR, f"has a .dist-info directory {folder}: {split}"
        else:
            yield Severity.ERROR, f"contains the metadata of another wheel: {folder}"
    elif not _is_version(version, promised, whole=False):
        yield Severity.ERROR, f"contains the metadata of another wheel: {folder}"
    elif not _is_version(version, promised):
        yield Severity.WARNING, f"has a different local version in {folder} than in its file name"


def _about_names(contents: Contents) -> _Faults:
    """Yield differences between METADATA and the file name, compared as by pip and uv."""
    path = f"{contents.folders[0]}/METADATA"
    fields = _fields(contents, path, _MAX_METADATA)
    if fields is None:
        yield Severity.ERROR, f"has a {path} that is not UTF-8, which pip refuses"
        return
    wanted = dict(zip(("Name", "Version"), contents.name.split("-"), strict=False))
    for key, expected in wanted.items():
        values = {field.value for field in fields.named(key)}
        folded = any(field.is_folded for field in fields.named(key))
        if len(values) != 1 or folded or "" in values:
            fault = "several values" if len(values) > 1 else "no valid value"
            yield Severity.ERROR, f"has {fault} for {key} in {path}"
        elif values != {expected}:
            yield from _about_value(path, key, values.pop(), expected)


def _about_value(path: str, key: str, value: str, expected: str) -> _Faults:
    """Yield the fault of a name or version that differs from the file name."""
    fault = f"has {key} {value} in {path}, but {expected} in its file name"
    if key == "Name":
        if _canonical(value) != _canonical(expected):
            yield Severity.ERROR, fault
        return
    if not _is_version(value, expected, whole=False):
        yield Severity.ERROR, fault
    elif not _is_version(value, expected):
        yield Severity.WARNING, f"{fault}: pip installs it by path only, uv refuses it"


def _canonical(name: str) -> str:
    """Return a name in the form in which names are compared (PEP 503)."""
    name = name.lower().replace("_", "-").replace(".", "-")
    while "--" in name:
        name = name.replace("--", "-")
    return name


def _is_version(text: str, expected: str, *, whole: bool = True) -> bool:
    """Return whether two texts are one version, such as 1.0 and 1.0.0.

    Unless ``whole``, ignore the local part.
    """
    from packaging.version import InvalidVersion, Version  # seldom required

    try:
        ours, theirs = Version(text), Version(expected)
    except InvalidVersion:
        return False
    return ours == theirs if whole else Version(ours.public) == Version(theirs.public)


def _fields(contents: Contents, path: str, most: int | None = None) -> Fields | None:
    """Return the fields of a text; ``None`` if it is not UTF-8."""
    try:
        return read_fields(contents.texts.get(path, b""), most)
    except UnicodeDecodeError:
        return None


def _about_wheel_file(contents: Contents) -> _Faults:
    """Yield the reasons for which installers refuse a WHEEL file, or read it differently."""
    path = f"{contents.folders[0]}/WHEEL"
    fields = _fields(contents, path)
    version = None if fields is None else _only(fields, _VERSION)
    major, _, minor = (version or "").partition(".")
    if fields is None or version is None or major != "1" or not _is_number(minor):
        yield Severity.ERROR, f"has no supported {_VERSION} in {path}"
        return
    if fields.stop:
        yield Severity.ERROR, f"has a line in {path} that is not a field: {fields.stop[:60]!r}"
    if minor.strip("0"):
        yield Severity.WARNING, f"has {_VERSION} {version} in {path}; pip supports 1.0 and warns"
    root = _only(fields, _PURELIB)
    if root is None and fields.named(_PURELIB):
        yield Severity.ERROR, f"has a {_PURELIB} in {path} that installers read differently"
    elif root not in ("true", "false"):
        fault = f"has no {_PURELIB}" if root is None else f"has {_PURELIB} {root!r}"
        yield Severity.WARNING, f"{fault} in {path}; it must be true or false"


def _only(fields: Fields, name: str) -> str | None:
    """Return the value of a field if all installers read it alike: on one line, in this case."""
    found = fields.named(name)
    values = {field.value for field in found}
    # uv accepts only the case of the specification; installer keeps the break of a folded line.
    alike = all(field.name == name and not field.is_folded for field in found)
    return values.pop() if alike and len(values) == 1 else None


def _is_number(text: str) -> bool:
    return text.isascii() and bool(text) and all(part.isdigit() for part in text.split("."))


@rule("MB140", Severity.WARNING, Scope.ARCHIVE, traits=Trait.REWRITTEN)
def tags(contents: Contents) -> Iterator[Problem]:
    """WHEEL lists each tag that the file name stands for; installers read the file name only."""
    if len(contents.folders) != 1:
        return
    path = f"{contents.folders[0]}/WHEEL"
    text = contents.texts.get(path, b"").decode("utf-8", "replace")
    # Also after an empty line, where tools appended tags to the WHEEL of scikit-build 0.17:
    # installers do not read them at all.
    fields = (line.partition(":") for line in text.splitlines())
    lines = [value.strip() for key, _, value in fields if key == "Tag"]
    inside = set(islice((tag for line in lines for tag in _expanded(line)), _MAX_TAGS))
    named = set(_expanded("-".join(contents.name.removesuffix(".whl").split("-")[-3:])))
    message = ""
    if inside != named:
        other = f"lists other tags ({listed(sorted(inside))}) than the file name"
        message = other if inside else "does not list any tags"
    elif not inside <= {line.lower() for line in lines}:
        packed = next(line for line in lines if line.lower() not in inside)
        message = f"lists several tags on one line ({packed}); each tag belongs on its own line"
    if message:
        hint = "rename wheels with a tool that updates both, such as wheel tags"
        yield Problem(path, message, hint)


def _expanded(tag: str) -> Iterator[str]:
    """Yield the tags that a compressed tag set stands for."""
    parts = [part.split(".") for part in tag.lower().split("-")]
    count = 1
    for part in parts:
        count *= len(part)
    yield from ("-".join(one) for one in product(*parts)) if count <= _MAX_TAGS else (tag,)
