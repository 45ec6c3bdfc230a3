"""Find the distribution's package of a library, and its license texts.

The sources are Alpine's and Debian's package databases on disk. Neither is an API: a missing,
damaged or unreadable database means an unknown owner, never an error.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
from collections import defaultdict
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.repair.sbom import Origin, Owner, package_url
from muslbackend.system.folders import files_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: With a merged /usr, apk-tools has its database in the second.
APK_DATABASES: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
#: The package names of Alpine and Debian; none can leave its folder.
_PACKAGE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
#: Debian's copyright files refer to the texts of common licenses (Debian Policy 12.5).
_COMMON: Final = re.compile(r"/(usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9])")
_PATCH_RELEASE: Final = re.compile(r"(\d+\.\d+)\.\d+")


class _Distribution(NamedTuple):
    ident: str = ""
    version: str = ""
    name: str = ""

    @property
    def qualifier(self) -> str:
        """The name in package URLs: ``alpine-3.20``, ``debian-12``."""
        return f"{self.ident}-{self.version}" if self.ident and self.version else ""


class _Wanted:
    """The files to search, by their real paths.

    Databases have the folders of the package: ``/lib`` may now be a symlink to ``/usr/lib``. The
    folder is therefore resolved, but not the file name, because a symlink and its target may belong
    to different packages.
    """

    def __init__(self, paths: Iterable[str], root: Path) -> None:
        self.root = root
        self.real = {path: self._resolve(path) for path in paths}
        self.names = frozenset(map(posixpath.basename, self.real.values()))
        self._files = frozenset(self.real.values())
        self._folders: dict[str, str] = {}

    def match(self, folder: str, name: str) -> str | None:
        """Return the real path of a database's entry, ``None`` if it is not searched."""
        if name not in self.names or "\0" in folder:
            return None
        if folder not in self._folders:
            self._folders[folder] = self._resolve(folder)
        path = posixpath.join(self._folders[folder], name)
        return path if path in self._files else None

    def _resolve(self, path: str) -> str:
        return os.path.realpath(self.root / path.lstrip("/"))


def find_owners(paths: Iterable[str], root: Path = Path("/")) -> Mapping[str, Owner]:
    """Return the package of each path in a package database.

    ``paths`` are absolute paths below ``root``. A file of two packages (as with Debian's
    diversions) has no owner.
    """
    wanted = _Wanted(paths, root)
    distribution = _distribution(root)
    owners: defaultdict[str, set[Owner]] = defaultdict(set)
    for read in (_apk_owners, _dpkg_owners):
        for path, owner in read(wanted, distribution):
            owners[path].add(owner)
    known = {path: next(iter(found)) for path, found in owners.items() if len(found) == 1}
    return {path: known[real] for path, real in wanted.real.items() if real in known}


def _apk_owners(wanted: _Wanted, distribution: _Distribution) -> Iterator[tuple[str, Owner]]:
    """Read apk-tools' text database.

    Packages are paragraphs of lines ``LETTER:VALUE``, those of the repository index first;
    ``F:`` is a folder without its leading slash, ``R:`` a file in the latest folder
    (apk-tools, src/database.c ``apk_db_write_fdb``; apk-package(5)).
    """
    texts = (_read(wanted.root / path) for path in APK_DATABASES)
    for paragraph in next(filter(None, texts), "").split("\n\n"):
        fields: dict[str, str] = {}
        files, folder = [], ""
        for line in paragraph.split("\n"):
            letter, value = line[:1], line[2:]
            if letter == "F":
                folder = value
            elif letter == "R" and (path := wanted.match(folder, value)):
                files.append(path)
            else:
                fields[letter] = value
        if files and (owner := _apk_owner(fields, distribution, wanted.root)):
            yield from ((path, owner) for path in files)


def _apk_owner(fields: dict[str, str], distribution: _Distribution, root: Path) -> Owner | None:
    name, version = fields.get("P", ""), fields.get("V", "")
    origin = fields.get("o") or name
    if not (version and _PACKAGE.fullmatch(name) and _PACKAGE.fullmatch(origin)):
        return None
    namespace = distribution.ident or "alpine"
    purl = package_url(
        *("apk", namespace, name, version),
        arch=fields.get("A", ""),
        distro=distribution.qualifier,
    )
    texts = root / "usr/share/licenses"
    files = [f for folder in sorted({name, origin}) for f in _files_below(texts / folder)]
    terms, supplier = fields.get("L", ""), distribution.name
    return Owner(name, version, Origin.APK, purl, origin, terms, supplier, tuple(files))


def _dpkg_owners(wanted: _Wanted, distribution: _Distribution) -> Iterator[tuple[str, Owner]]:
    """Read dpkg's database: ``info/PACKAGE[:ARCH].list`` and ``status`` (deb-control format).

    A list has one absolute path per line.
    """
    admin = wanted.root / "var/lib/dpkg"
    claims = []
    asked = [os.fsencode(f"/{name}") for name in wanted.names]
    for file in sorted(admin.glob("info/*.list"), key=attrgetter("name")):
        data = _bytes(file)
        if not any(name in data for name in asked):
            continue  # most packages, which are not worth taking apart
        text = data.decode("utf-8", errors="replace")
        for folder, _, name in (line.rpartition("/") for line in text.split("\n")):
            if path := wanted.match(folder, name):
                claims.append((path, file.name.removesuffix(".list")))
    packages = _dpkg_packages(_read(admin / "status")) if claims else {}
    for path, key in claims:
        if owner := _dpkg_owner(packages.get(key, {}), distribution, wanted.root):
            yield path, owner


def _dpkg_packages(status: str) -> dict[str, dict[str, str]]:
    """Return the fields of each package by ``PACKAGE`` and by ``PACKAGE:ARCH``."""
    packages: dict[str, dict[str, str]] = {}
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+): *(.*)$", paragraph))
        name = fields.get("Package", "")
        packages[name] = packages[f"{name}:{fields.get('Architecture', '')}"] = fields
    return packages


def _dpkg_owner(fields: dict[str, str], distribution: _Distribution, root: Path) -> Owner | None:
    name, version = fields.get("Package", ""), fields.get("Version", "")
    if not (version and _PACKAGE.fullmatch(name)):
        return None
    namespace = distribution.ident or "debian"
    purl = package_url(
        *("deb", namespace, name, version),
        arch=fields.get("Architecture", ""),
        distro=distribution.qualifier,
    )
    source = (fields.get("Source") or name).split()[0]
    copyright_file = root / "usr/share/doc" / name / "copyright"
    common = {root / path for path in _COMMON.findall(_read(copyright_file))}
    files = tuple(f for f in (copyright_file, *sorted(common)) if _is_readable(f))
    return Owner(name, version, Origin.DEB, purl, source, "", distribution.name, files)


def _distribution(root: Path) -> _Distribution:
    """Read os-release(5); a patch release such as 3.20.3 counts as 3.20."""
    text = _read(root / "etc/os-release") or _read(root / "usr/lib/os-release")
    values = {}
    for name, value in re.findall(r"(?m)^([A-Z_]+)=(.*)$", text):
        try:
            values[name] = "".join(shlex.split(value))
        except ValueError:  # an open quote
            continue
    version = values.get("VERSION_ID", "")
    if patch := _PATCH_RELEASE.fullmatch(version):
        version = patch[1]
    return _Distribution(values.get("ID", "").lower(), version, values.get("NAME", ""))


def _files_below(folder: Path) -> list[Path]:
    return sorted(file for file in map(Path, files_below(folder)) if _is_readable(file))


def _is_readable(file: Path) -> bool:
    try:
        return file.is_file() and os.access(file, os.R_OK)
    except OSError:
        return False


def _read(file: Path) -> str:
    """Return the text of a file, empty if it cannot be read."""
    return _bytes(file).decode("utf-8", errors="replace")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
