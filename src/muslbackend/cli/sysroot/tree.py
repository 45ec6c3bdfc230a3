"""A folder tree below a root, as it is written: no path or link of it leaves the root.

Paths are resolved in a model of the tree, so the system never follows a symbolic link of a package.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import MalformedError

if TYPE_CHECKING:
    from pathlib import Path

#: As in Linux (path_resolution(7)).
_MOST_LINKS: Final = 40
#: As in Linux (limits.h): bytes of a name, and of a path.
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 3000


class Node(NamedTuple):
    """A file, a folder or a symbolic link of the tree."""

    kind: str
    """``file``, ``folder`` or ``link``."""
    package: str = ""
    """The package of a file or link; empty for a folder."""
    identity: str = ""
    """The SHA-1 of the contents or of the link, in hexadecimal."""
    target: str = ""
    """The link as it is on disk."""


class Tree:
    """The files below a new folder. Paths are relative, with ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.nodes: dict[str, Node] = {"": Node("folder")}

    def real(self, path: str, *, last: bool = True) -> str:
        """Return a path without links; with ``last=False`` its last part may be a link.

        Parts that do not exist are kept. Raises :class:`ValueError` if a link leads out of the
        root, or links form a loop.
        """
        waiting = path.split("/")[::-1]
        real: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                if not real:
                    msg = "leads out of the folder"
                    raise ValueError(msg)
                real.pop()
                continue
            if part in ("", "."):
                continue
            real.append(part)
            node = self.nodes.get("/".join(real))
            if node is not None and node.kind == "link" and (last or waiting):
                links += 1
                if links > _MOST_LINKS:
                    msg = "is a loop of links"
                    raise ValueError(msg)
                real.pop()
                waiting += node.target.split("/")[::-1]
        return "/".join(real)

    def place(self, name: str, package: str) -> str:
        """Return the real path for an entry of a package, after its folders are made.

        Raises :class:`MalformedError` if the name or a link on the way leads elsewhere.
        """
        if not is_safe(name):
            raise _unsafe(package, name, "its name is not a path below the root")
        above, _, base = name.rpartition("/")
        try:
            folder = self.real(above)
        except ValueError as error:
            raise _unsafe(package, name, f"a link on its path {error}") from None
        if folder != above.strip("/") and self._kind(folder) != "folder":
            raise _unsafe(package, name, "a link on its path does not lead to a folder")
        self.make_folder(folder, package)
        return posixpath.join(folder, base)

    def make_folder(self, path: str, package: str) -> None:
        """Make a folder and those above it; ``path`` is real."""
        parts = path.split("/") if path else []
        for end in range(1, len(parts) + 1):
            part = "/".join(parts[:end])
            kind = self._kind(part)
            if kind is None:
                (self.root / part).mkdir(mode=0o755)
                self.nodes[part] = Node("folder")
            elif kind != "folder":
                raise _unsafe(package, path, f"{part} is not a folder")

    def link_target(self, real: str, target: str, package: str) -> str:
        """Return a target for a link at a real path: relative, and below the root."""
        if not target or not target.isprintable() or len(target.encode()) > _LONGEST_PATH:
            raise _unsafe(package, real, "is a link with a malformed target")
        folder = posixpath.dirname(real)
        if target.startswith("/"):
            target = posixpath.relpath(posixpath.normpath(f"/{target.lstrip('/')}"), f"/{folder}")
        depth = len(folder.split("/")) if folder else 0
        for part in target.split("/"):
            depth += -1 if part == ".." else part not in ("", ".")
            if depth < 0:
                raise _unsafe(package, real, f"is a link that leads out of the folder: {target}")
        return target

    def check_links(self) -> None:
        """Raise :class:`MalformedError` if a link leads out of the root by way of other links."""
        for path, node in self.nodes.items():
            if node.kind != "link":
                continue
            try:
                self.real(path)
            except ValueError as error:
                if "out of" in str(error):
                    raise _unsafe(node.package, path, f"is a link that {error}") from None

    def _kind(self, path: str) -> str | None:
        node = self.nodes.get(path)
        return node.kind if node else None


def is_safe(name: str) -> bool:
    """Return whether a path is relative, printable and without ``.`` and ``..``."""
    parts = name.split("/")
    return (
        name.isprintable()
        and len(name.encode()) <= _LONGEST_PATH
        and all(
            part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_NAME for part in parts
        )
    )


def _unsafe(package: str, name: str, fact: str) -> MalformedError:
    msg = f"{package}: {name}: {fact}"
    return MalformedError(msg, hint="leave the package out with --skip, or use another mirror")
