"""The license texts of bundled libraries, for ``.dist-info/licenses/bundled/`` (PEP 639).

They come from package databases and from the setting ``bundled-licenses``. METADATA is not changed:
the bundled libraries are known only when the wheel is built, and
``prepare_metadata_for_build_wheel`` may already have returned the metadata (PEP 517), as may an
sdist (PEP 643). Every ``License-File`` must be in the wheel, but not every license text must be
listed.
"""

from __future__ import annotations

import glob
import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from muslbackend.repair.sbom import Bundled


class LicenseRule(NamedTuple):
    """One entry of ``bundled-licenses``: ``PATH`` or ``LIBRARY=PATH``."""

    path: str
    """A file, or a pattern of files, relative to the project."""
    library: str = ""
    """A glob of library names; empty for all bundled libraries."""


class LicenseText(NamedTuple):
    """A file that a rule matched."""

    file: Path
    library: str = ""


class Licenses(NamedTuple):
    """The texts for the wheel, and the libraries without one."""

    members: tuple[tuple[str, Path], ...]
    """Pairs of a path in the wheel and a file on disk, sorted."""
    without: tuple[Bundled, ...]
    """The libraries without a text, sorted by path."""


def parse_rules(place: str, entries: Iterable[str]) -> tuple[LicenseRule, ...]:
    """Return the rules of a setting; ``place`` is its name in messages.

    Raises :class:`SettingsError` for an entry without a path or a library. A path that contains an
    equals sign is written ``*=PATH``.
    """
    rules = []
    for entry in entries:
        library, equals, path = entry.partition("=") if "=" in entry else ("", "", entry)
        if not path.strip() or (equals and not library.strip()):
            raise SettingsError(
                f"{place}: {entry!r} is not the path of a license text",
                hint='give "PATH", or "LIBRARY=PATH" such as "libfoo*=third-party/foo/COPYING"',
            )
        rules.append(LicenseRule(path.strip(), library.strip()))
    return tuple(rules)


def find_texts(place: str, rules: Iterable[LicenseRule], project: Path) -> tuple[LicenseText, ...]:
    """Return the files that the rules match, each once per rule, in order.

    Raises :class:`SettingsError` for a rule that matches no file.
    """
    texts = []
    for rule in rules:
        files = _matches(rule.path, project)
        if not files:
            fact = "is a folder" if (project / rule.path).is_dir() else "no such file"
            raise SettingsError(
                f"{place}: {rule.path}: {fact}",
                hint="name a file, or a pattern such as third-party/*/COPYING, "
                "relative to the folder of pyproject.toml",
            )
        texts += [LicenseText(file, rule.library) for file in files]
    return tuple(texts)


def _matches(path: str, project: Path) -> list[Path]:
    if (project / path).is_file():
        return [project / path]
    # Path.glob does not support absolute patterns.
    names = glob.glob(path, root_dir=project, recursive=True)  # noqa: PTH207
    return sorted(file for file in (project / name for name in names) if file.is_file())


def collect(libraries: Sequence[Bundled], texts: Sequence[LicenseText], dist_info: str) -> Licenses:
    """Return the path of each text, and the libraries without one.

    The texts of a library go into a folder of its name. Texts for all libraries are beside these
    folders, and cover every library without a text of its own.
    """
    base = f"{dist_info}licenses/bundled"
    common = [text.file for text in texts if not text.library] if libraries else []
    members: dict[str, Path] = {}
    without = []
    for library in sorted(libraries, key=lambda one: one.dest):
        own = [t.file for t in texts if t.library and fnmatchcase(library.source_name, t.library)]
        own += library.owner.license_files if library.owner else ()
        for file in own:
            _put(members, f"{base}/{library.source_name}", file)
        if not own and not common:
            without.append(library)
    for file in common:
        _put(members, base, file)
    return Licenses(tuple(sorted(members.items())), tuple(without))


def _put(members: dict[str, Path], folder: str, file: Path) -> None:
    """Add a file, under another name if the folder contains a different file of its name."""
    number, name = 1, file.name
    while members.setdefault(posixpath.join(folder, name), file) != file:
        number += 1
        name = f"{number}-{file.name}"
