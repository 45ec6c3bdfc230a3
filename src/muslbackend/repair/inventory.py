"""Account for bundled libraries in the wheel: an SBOM (PEP 770), license texts (PEP 639)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from muslbackend import __version__
from muslbackend.errors import MalformedError
from muslbackend.loader.graph import Via
from muslbackend.policy.findings import Finding, Severity
from muslbackend.repair.licenses import collect
from muslbackend.repair.package_db import find_owners
from muslbackend.repair.sbom import LARGEST, Bundled, Origin, Product, document, earlier, sbom_path
from muslbackend.wheel.member import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from muslbackend.loader.graph import Graph
    from muslbackend.repair.licenses import LicenseText
    from muslbackend.repair.plan import Graft
    from muslbackend.repair.sbom import Earlier, Owner
    from muslbackend.wheel.name import WheelName


class Places(NamedTuple):
    """Folders that indicate the origin of a library."""

    build_dir: Path | None = None
    """CMake's build folder."""
    sysroot: Path | None = None
    """An unpacked root of another system, with a package database of its own."""

    def owners(self, sources: Iterable[str]) -> dict[str, Owner]:
        """Return the packages of libraries, according to their system's database."""
        root, all_of_them = str(self.sysroot), list(sources)
        inside = {p.removeprefix(root): p for p in all_of_them if p.startswith(f"{root}/")}
        known = dict(find_owners(p for p in all_of_them if p not in inside.values()))
        if self.sysroot is not None:
            found = find_owners(inside, self.sysroot)
            known |= {inside[path]: owner for path, owner in found.items()}
        return known


def bundled(
    grafts: Sequence[Graft],
    members: Sequence[Member],
    graph: Graph,
    names: Mapping[str, str],
    places: Places,
) -> list[Bundled]:
    """Return descriptions of the bundled libraries, in the order of ``grafts``.

    ``members`` and ``graph`` describe the patched files; ``names`` has the digest of each source
    without the folders in its rpath. The plain digest of a source with a build folder in its rpath
    is omitted: it differs between builds of the same tree.
    """
    by_path = {member.path: member for member in members}
    owners = places.owners(graft.source for graft in grafts)
    loads = _loads(graph)
    found = []
    for graft in grafts:
        shipped = by_path[graft.dest].read()
        owner = owners.get(graft.source)
        found.append(
            Bundled(
                graft.dest,
                os.fsencode(Path(graft.source).name).decode("utf-8", "replace"),
                graft.sha256 if graft.sha256 == names[graft.source] else "",
                hashlib.sha256(shipped).hexdigest(),
                len(shipped),
                _origin(graft.source, owner, places.build_dir),
                owner,
                loads.get(graft.dest, ()),
            )
        )
    return found


def _loads(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the files of the wheel that musl's loader finds for each file, sorted."""
    found: dict[str, set[str]] = {}
    for edge in graph.edges:
        if edge.via is Via.LOADER and edge.provider is not None:
            found.setdefault(edge.needer, set()).add(edge.provider)
    return {needer: tuple(sorted(providers)) for needer, providers in found.items()}


def _origin(source: str, owner: Owner | None, build_dir: Path | None) -> Origin:
    if build_dir is not None and Path(source).is_relative_to(build_dir):
        return Origin.BUILD
    return owner.database if owner is not None else Origin.FILE


def account_for(
    libraries: Sequence[Bundled],
    members: Sequence[Member],
    graph: Graph,
    name: WheelName,
    texts: Sequence[LicenseText],
) -> tuple[list[Member], tuple[Finding, ...]]:
    """Return the members with the SBOM and the license texts, and notes on missing texts.

    Libraries from an earlier repair stay in the SBOM. Raises :class:`MalformedError` for an SBOM of
    the same name that muslbackend did not write.
    """
    place = sbom_path(name.dist_info)
    new = {library.dest for library in libraries}
    before = [part for part in _before(members, place) if part.dest not in new]
    loads = _loads(graph)
    needs = {part.dest: loads.get(part.dest, ()) for part in before}
    sbom = document(Product.of(name.distribution), libraries, __version__, before, needs)
    licenses = collect(libraries, texts, name.dist_info)
    added: Mapping[str, Path | bytes] = {place: sbom, **dict(licenses.members)}
    kept = [member for member in members if member.path not in added]
    more = [Member(path, content) for path, content in sorted(added.items())]
    return [*kept, *more], tuple(_without_text(licenses.without))


def _before(members: Sequence[Member], place: str) -> list[Earlier]:
    """Return the libraries in the SBOM of an earlier repair, with their present digests."""
    by_path = {member.path: member for member in members}
    if place not in by_path:
        return []
    try:
        with by_path[place].open() as stream:
            listed = earlier(stream.read(LARGEST + 1))
    except ValueError as error:
        msg = f"{place} is not an SBOM that muslbackend wrote: {error}"
        raise MalformedError(msg, hint="remove it from the wheel, or rename it") from error
    found = []
    for part in listed:
        member = by_path.get(part.dest)
        if member is not None:
            data = member.read()
            found.append(part.shipped(hashlib.sha256(data).hexdigest(), len(data)))
    return found


def _without_text(libraries: Sequence[Bundled]) -> Iterator[Finding]:
    # Libraries of the project's own build are covered by the project's license files.
    for library in (one for one in libraries if one.origin is not Origin.BUILD):
        yield Finding(
            "MB133",
            Severity.NOTE,
            library.dest,
            f"is a copy of {library.source_name}; no license text for it was found",
            hint="add one with bundled-licenses; on Alpine, look in the -doc package",
        )
