"""The licence texts of bundled libraries, for ``.dist-info/licenses/bundled/`` (PEP 639).

They come from the package databases and from the setting ``bundled-licenses``. METADATA is left
as it is: which libraries are bundled shows only when the wheel is built, and by then
``prepare_metadata_for_build_wheel`` may have announced the metadata (PEP 517), and an sdist its
``License-File`` lines (PEP 643). What is listed there must be in the wheel; not the reverse.
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


class LicenceRule(NamedTuple):
    """One entry of ``bundled-licenses``: ``PATH`` or ``LIBRARY=PATH``."""

    path: str
    """A file, or a pattern of files, relative to the project."""
    library: str = ""
    """A glob of library names; empty for all that are bundled."""


class LicenceText(NamedTuple):
    """A file that a rule has led to."""

    file: Path
    library: str = ""


class Licences(NamedTuple):
    """What goes into the wheel, and what is missing there."""

    members: tuple[tuple[str, Path], ...]
    """(path in the wheel, file on disk), sorted."""
    without: tuple[Bundled, ...]
    """The libraries that no text was found for, sorted by path."""


def parse_rules(place: str, entries: Iterable[str]) -> tuple[LicenceRule, ...]:
    """Return the rules of a setting; ``place`` is what messages call it.

    Raises :class:`SettingsError` for an entry that lacks its path or its library. A path with
    an equals sign in it is written ``*=PATH``.
    """
    rules = []
    for entry in entries:
        library, equals, path = entry.partition("=") if "=" in entry else ("", "", entry)
        if not path.strip() or (equals and not library.strip()):
            raise SettingsError(
                f"{place}: {entry!r} is not a path of a licence text",
                hint='give "PATH", or "LIBRARY=PATH" such as "libfoo*=third-party/foo/COPYING"',
            )
        rules.append(LicenceRule(path.strip(), library.strip()))
    return tuple(rules)


def find_texts(place: str, rules: Iterable[LicenceRule], project: Path) -> tuple[LicenceText, ...]:
    """Return the files that the rules name, each once for each rule, in their order.

    Raises :class:`SettingsError` for a rule that leads to no file: a text that is left out
    without a word is worse than a build that stops.
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
        texts += [LicenceText(file, rule.library) for file in files]
    return tuple(texts)


def _matches(path: str, project: Path) -> list[Path]:
    if (project / path).is_file():
        return [project / path]
    # Path.glob knows no absolute patterns.
    names = glob.glob(path, root_dir=project, recursive=True)  # noqa: PTH207
    return sorted(file for file in (project / name for name in names) if file.is_file())


def collect(libraries: Sequence[Bundled], texts: Sequence[LicenceText], dist_info: str) -> Licences:
    """Return where each text goes, and the libraries that have none.

    A library's own texts go into a folder of its name. Those for all libraries are put once
    beside these folders, and serve every library that has no other.
    """
    base = f"{dist_info}licenses/bundled"
    common = [text.file for text in texts if not text.library] if libraries else []
    members: dict[str, Path] = {}
    without = []
    for library in sorted(libraries, key=lambda one: one.dest):
        own = [t.file for t in texts if t.library and fnmatchcase(library.source_name, t.library)]
        own += library.owner.licence_files if library.owner else ()
        for file in own:
            _put(members, f"{base}/{library.source_name}", file)
        if not own and not common:
            without.append(library)
    for file in common:
        _put(members, base, file)
    return Licences(tuple(sorted(members.items())), tuple(without))


def _put(members: dict[str, Path], folder: str, file: Path) -> None:
    """Add a file, under another name where the folder has a different file of its name."""
    number, name = 1, file.name
    while members.setdefault(posixpath.join(folder, name), file) != file:
        number += 1
        name = f"{number}-{file.name}"
