"""Wheels as they were before auditwheel bundled libraries into them, as far as that can be undone.

The libraries of `NAME.libs` go to a folder of their own under the names they had without a hash;
whatever needs them needs them by these names again, and no rpath leads to them. The wheel promises
nothing: it is tagged `linux_ARCH`. What auditwheel wrote of them (`sboms/auditwheel.cdx.json`)
goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.tags import Tag

from muslbackend.elf.header import MAGIC
from muslbackend.elf.reader import read_elf
from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member, Scratch
from muslbackend.wheel.metadata import retag
from muslbackend.wheel.reader import unpack
from support.tools.debian import run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from muslbackend.wheel.name import WheelName

BUNDLED: Final = re.compile(r"[^/]+\.libs/([^/]+)")
HASHED: Final = re.compile(r"(.+)-[0-9a-f]{8}(\.so.*)")
#: An rpath entry that leads to bundled libraries.
LEADS_THERE: Final = re.compile(r"\$ORIGIN(/.*)?/[^/]+\.libs/?")
SBOM: Final = "/sboms/auditwheel.cdx.json"


@dataclass(frozen=True)
class Unrepaired:
    """A wheel without its libraries, and the folder that has them."""

    wheel: Path
    libraries: Path


def unhashed(name: str) -> str:
    """Return the file name of a library as it was before a hash was put into it."""
    found = HASHED.fullmatch(name)
    return f"{found[1]}{found[2]}" if found else name


def unrepair(wheel: Path, folder: Path) -> Unrepaired:
    """Undo auditwheel's repair of `wheel`; everything is made in `folder`."""
    with Scratch() as scratch:
        found = unpack(wheel, scratch)
        return _unrepaired(found.name, found.members, folder)


def _unrepaired(name: WheelName, members: Iterable[Member], folder: Path) -> Unrepaired:
    libraries = folder / "libraries"
    libraries.mkdir(parents=True)
    bundled = {m.path: found[1] for m in members if (found := BUNDLED.fullmatch(m.path))}
    names = _names(bundled.values())
    kept = []
    for member in members:
        if member.path in bundled:
            library = libraries / names[bundled[member.path]]
            library.write_bytes(member.read())
            _restore(library, names, library=True)
        elif not member.path.endswith(SBOM):
            if member.read().startswith(MAGIC):
                file = folder / "restored" / member.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(member.read())
                _restore(file, names, library=False)
                member = Member(member.path, file, member.executable)
            kept.append(member)
    plain = name._replace(tags=_plain(name))
    about = f"{name.distribution}.dist-info/WHEEL"
    kept = [
        Member(about, retag(m.read(), plain.tags, "another backend")) if m.path == about else m
        for m in kept
    ]
    return Unrepaired(write_wheel(folder / "wheel", plain, kept).path, libraries)


def _names(bundled: Collection[str]) -> dict[str, str]:
    """Return the names without a hash; one that two files would have stays as it is."""
    names = {name: unhashed(name) for name in bundled}
    taken = list(names.values())
    return {old: new if taken.count(new) == 1 else old for old, new in names.items()}


def _restore(file: Path, names: Mapping[str, str], *, library: bool) -> None:
    elf = read_elf(file.read_bytes())
    change = ["--set-soname", file.name] if library and elf.soname else []
    for old in elf.needed:
        if names.get(old, old) != old:
            change += ["--replace-needed", old, names[old]]
    rpath = [] if library else [e for e in elf.rpath if not LEADS_THERE.fullmatch(e)]
    if not rpath and elf.rpath:
        change += ["--remove-rpath"]
    elif len(rpath) != len(elf.rpath):
        change += ["--force-rpath", "--set-rpath", ":".join(rpath)]
    if change:
        run(["patchelf", *change, file], "it takes patchelf")


def _plain(name: WheelName) -> frozenset[Tag]:
    tags: Iterable[Tag] = name.tags
    return frozenset(
        Tag(t.interpreter, t.abi, re.sub(r"^musllinux_\d+_\d+_", "linux_", t.platform))
        for t in tags
    )
