"""Make a sysroot: indexes, choice, packages, folder. The folder appears when it is complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.cli.sysroot.fetch import Source, check_address, fetch, fetch_cached
from muslbackend.cli.sysroot.index import Dependency, is_name, parse
from muslbackend.cli.sysroot.installed import database
from muslbackend.cli.sysroot.keys import ADDRESS, LARGEST_KEY, Keyring, require_cryptography
from muslbackend.cli.sysroot.package import LARGEST_INDEX, open_index, open_package
from muslbackend.cli.sysroot.solve import solve
from muslbackend.cli.sysroot.unpack import OS_RELEASE, Unpacker
from muslbackend.errors import MalformedError, MuslBackendError, OutputError, SettingsError
from muslbackend.system.cache import user_cache
from muslbackend.system.failures import reported_io_errors
from muslbackend.system.files import open_regular
from muslbackend.system.folders import remove
from muslbackend.system.progress import Progress
from muslbackend.system.signals import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from muslbackend.cli.sysroot.index import Record
    from muslbackend.cli.sysroot.package import Package
    from muslbackend.cli.sysroot.solve import Solution
    from muslbackend.system.progress import Line

#: The record of a sysroot; a folder that has it may be replaced.
RECORD: Final = ".muslbackend-sysroot.json"
#: Alpine's names of architectures, where wheel tags have another.
ALPINE_ARCH: Final = {"i686": "x86", "armv7l": "armv7", "armv6l": "armhf"}
#: Bytes of all packages together, fetched and unpacked.
_LARGEST_FETCHED: Final = 4 << 30
_LARGEST_UNPACKED: Final = 16 << 30


class Request(NamedTuple):
    """The options of the command."""

    folder: Path
    packages: tuple[str, ...]
    arch: str
    alpine: str
    mirror: str
    repositories: tuple[str, ...]
    keys: tuple[Path, ...]
    keys_folder: Path | None
    skip: frozenset[str]

    @property
    def alpine_arch(self) -> str:
        """Alpine's name of the architecture."""
        return ALPINE_ARCH.get(self.arch, self.arch)


class Result(NamedTuple):
    """A written sysroot."""

    folder: Path
    packages: tuple[Record, ...]
    notes: tuple[str, ...]


class _Repository(NamedTuple):
    source: Source
    written: str
    """The date of its index."""
    sha256: str
    """Of its index."""


def make(request: Request, line: Line) -> Result:
    """Make the folder of a request. On an error, it is left as it was."""
    require_cryptography()
    wanted = _wanted(request)
    with reported_io_errors():
        folder = request.folder.resolve()
    _check_folder(folder)
    progress = Progress()
    line.show(progress, "", f"Alpine {request.alpine} {request.alpine_arch}")
    keys = Keyring(request.alpine_arch, request.keys, lambda name: _key(name, request.keys_folder))
    progress.enter("reading indexes of")
    repositories, records = _read_indexes(request, keys)
    solution = solve(records, wanted, request.skip)
    _check_sizes(solution)
    progress.enter("fetching", sum(record.size for record in solution.packages), "bytes")
    with _replacing(folder) as new:
        unpacker = Unpacker(new)
        digests = {}
        for record in solution.packages:
            if not record.installed_size:
                continue  # a package without files, which need not be on the mirror
            source = repositories[record.repository].source
            package = _fetch_package(source, record, request.alpine_arch, keys, progress)
            unpacker.add(package)
            digests[str(record)] = package.sha256
        _write_records(unpacker, request, solution, repositories, digests)
        unpacker.tree.check_links()
    return Result(folder, solution.packages, _notes(request, solution, repositories, unpacker))


def _wanted(request: Request) -> list[Dependency]:
    """Return the requested packages. Raises :class:`SettingsError` for a malformed name."""
    wanted = []
    for text in request.packages:
        dependency = Dependency.parse(text)
        if dependency is None or dependency.excludes or not is_name(dependency.name):
            msg = f"{text!r} is not the name of a package"
            raise SettingsError(msg, hint="write NAME, NAME=VERSION-rN or NAME~VERSION")
        if dependency.name in request.skip:
            msg = f"{text} is both requested and left out with --skip"
            raise SettingsError(msg, hint="omit one of the two")
        wanted.append(dependency)
    return wanted


def _check_folder(folder: Path) -> None:
    """Raise :class:`SettingsError` unless the folder may be written or replaced."""
    with reported_io_errors():
        if not folder.exists():
            return
        ours = folder.is_dir() and ((folder / RECORD).is_file() or not any(folder.iterdir()))
    if not ours or folder.is_mount() or folder == Path.cwd():
        msg = f"{folder}: exists, and is not a folder that this command made"
        raise SettingsError(msg, hint="name a new or an empty folder")


def _key(name: str, keys_folder: Path | None) -> bytes | None:
    """Return the file of a key of Alpine; the caller compares its digest."""
    if keys_folder is None:
        return fetch(ADDRESS.format(name), LARGEST_KEY)
    try:
        file = open_regular(keys_folder / name)
    except OSError:
        return None
    with os.fdopen(file, "rb") as stream:
        return stream.read(LARGEST_KEY)


def _read_indexes(request: Request, keys: Keyring) -> tuple[list[_Repository], list[Record]]:
    repositories, records = [], []
    for number, name in enumerate(request.repositories):
        source = _source(request, name)
        address = source.of("APKINDEX.tar.gz")
        data = fetch(address, LARGEST_INDEX)
        index = open_index(data, keys, address)
        records += parse(index.text, number, address)
        date = datetime.fromtimestamp(index.written, UTC).date().isoformat()
        repositories.append(_Repository(source, date, hashlib.sha256(data).hexdigest()))
    return repositories, records


def _source(request: Request, name: str) -> Source:
    if ":" in name:
        return Source(Source(check_address(name)).of(request.alpine_arch))
    if not is_name(name):
        msg = f"{name!r} is not the name of a repository"
        raise SettingsError(msg, hint="write main, community or the URL of another repository")
    branch = request.alpine if request.alpine == "edge" else f"v{request.alpine}"
    return Source(Source(check_address(request.mirror)).of(branch, name, request.alpine_arch))


def _check_sizes(solution: Solution) -> None:
    fetched = sum(record.size for record in solution.packages)
    unpacked = sum(record.installed_size for record in solution.packages)
    if fetched > _LARGEST_FETCHED or unpacked > _LARGEST_UNPACKED:
        msg = f"the packages have {unpacked / 1e9:,.1f} GB, more than a sysroot may have"
        raise MuslBackendError(msg, hint="request fewer packages, or use --skip")


def _fetch_package(
    source: Source, record: Record, arch: str, keys: Keyring, progress: Progress
) -> Package:
    """Return a verified package. One in the cache that is damaged is fetched again."""
    cache = user_cache()
    name = f"{record.file}.{record.identity.hex()}"
    cached = cache / "alpine" / arch / name if cache else None
    address = source.of(record.file)
    used_cache = cached is not None and any(
        path.exists() for path in (cached, cached.with_name(f"{name}.part"))
    )
    for again in (True, False):
        try:
            data = fetch_cached(address, record.size, cached, progress.add)
            return open_package(data, record, arch, keys)
        except MalformedError:
            if cached is not None:
                cached.unlink(missing_ok=True)
                cached.with_name(f"{name}.part").unlink(missing_ok=True)
            if not (again and used_cache):
                raise
    raise AssertionError


def _write_records(
    unpacker: Unpacker,
    request: Request,
    solution: Solution,
    repositories: Sequence[_Repository],
    digests: dict[str, str],
) -> None:
    """Write apk's database, the release, and the record of this command."""
    files = unpacker.files()
    version = "" if request.alpine == "edge" else f"VERSION_ID={request.alpine}\n"
    record = {
        "alpine": request.alpine,
        "arch": request.alpine_arch,
        "packages": list(request.packages),
        "skip": sorted(request.skip),
        "indexes": {r.source.address: r.sha256 for r in repositories},
        "sha256": digests,
    }
    texts = {
        "lib/apk/db/installed": database(solution.packages, files),
        "etc/apk/arch": f"{request.alpine_arch}\n",
        "etc/apk/world": "".join(f"{name}\n" for name in request.packages),
        OS_RELEASE: f'ID=alpine\nNAME="Alpine Linux"\n{version}',
        RECORD: json.dumps(record, indent=2) + "\n",
    }
    with reported_io_errors():
        for path, text in texts.items():
            unpacker.write(path, text.encode())


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder that takes the place of ``folder`` on success, and is removed else."""
    new = None
    try:
        try:
            with held():
                folder.parent.mkdir(parents=True, exist_ok=True)
                new = Path(tempfile.mkdtemp(prefix=f".{folder.name[:100]}-", dir=folder.parent))
            (root := new / "root").mkdir(mode=0o755)
            yield root
            with held():
                _put(root, folder, new / "before")
        except OSError as error:
            msg = f"{folder}: cannot be written: {error.strerror or error}"
            hint = "free some space, or name a folder that you may write to"
            raise OutputError(msg, hint=hint) from error
    finally:
        with held():
            if new is not None:
                remove(new)


def _put(root: Path, folder: Path, before: Path) -> None:
    """Rename ``root`` to ``folder``; one that exists is moved to ``before``."""
    _check_folder(folder)  # it may have changed meanwhile
    if folder.exists():
        folder.rename(before)
    try:
        root.rename(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise


def _notes(
    request: Request,
    solution: Solution,
    repositories: Sequence[_Repository],
    unpacker: Unpacker,
) -> tuple[str, ...]:
    indexes = ", ".join(f"{r.source.address} of {r.written}" for r in repositories)
    notes = [f"indexes: {indexes}"]
    if solution.left_out:
        notes.append(f"left out: {', '.join(sorted(solution.left_out))}")
    if unused := request.skip - solution.left_out:
        notes.append(f"not required, --skip has no effect: {', '.join(sorted(unused))}")
    if unpacker.skipped:
        notes.append(f"devices left out: {', '.join(unpacker.skipped[:10])}")
    return tuple(notes)
