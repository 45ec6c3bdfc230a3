"""The text of apk's database of installed packages (apk-tools, src/database.c)."""

from __future__ import annotations

import base64
import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from muslbackend.cli.sysroot.unpack import folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from muslbackend.cli.sysroot.index import Record
    from muslbackend.cli.sysroot.tree import Node

#: The fields of the index, in the order of apk.
_ORDER: Final = "CPVASITULomtckDpi"


def database(packages: Iterable[Record], files: Mapping[str, Node]) -> str:
    """Return the database of packages and their files, which are given by their paths."""
    of_package: dict[str, dict[str, Node]] = defaultdict(dict)
    for path, node in files.items():
        of_package[node.package][path] = node
    return "".join(
        f"{line}\n" for record in packages for line in _lines(record, of_package[record.name])
    )


def _lines(record: Record, files: Mapping[str, Node]) -> Iterator[str]:
    yield from (f"{key}:{record.fields[key]}" for key in _ORDER if record.fields.get(key))
    in_folder: dict[str, list[str]] = defaultdict(list)
    for path in sorted(files):
        in_folder[posixpath.dirname(path)].append(path)
    for folder in folders(files) if files else ():
        yield f"F:{folder}"
        for path in in_folder[folder]:
            node = files[path]
            yield f"R:{posixpath.basename(path)}"
            if node.kind == "link":
                yield "a:0:0:777"
            yield f"Z:Q1{base64.b64encode(bytes.fromhex(node.identity)).decode()}"
    yield ""
