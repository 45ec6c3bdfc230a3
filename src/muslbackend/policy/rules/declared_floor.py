"""The floor that a wheel declares: a release within the X.Y of its tag, which has no place for it.

PEP 656 tags name X.Y only. A wheel that requires musl 1.2.5 says so in its ``WHEEL`` file, in a
header that installers ignore: ``Musl-Floor: 1.2.5`` (binary distribution format, PEP 427).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.musl import releases
from muslbackend.musl.tags import PlatformTag, claimed_floor
from muslbackend.policy.findings import Finding, Severity
from muslbackend.system.phrases import some
from muslbackend.wheel.declared_floor import _NAME, HEADER, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.musl.releases import MuslVersion
    from muslbackend.wheel.contents import Contents

CODES: Final = frozenset({"MB148"})
#: Of what a declaration says, in characters: a release has fewer.
_SHOWN: Final = 60


class Declared(NamedTuple):
    """The oldest musl that a wheel says it loads on, beside its tags."""

    floor: MuslVersion | None = None
    """``None`` if the wheel declares none, or none that can be relied on."""
    findings: tuple[Finding, ...] = ()
    """The reasons why a declaration cannot be relied on."""


def declared(contents: Contents, platforms: Iterable[str]) -> Declared:
    """Return the floor that a wheel declares, if its tags leave room for it.

    ``platforms`` are those of its tags. A header that not every tool reads alike is a finding,
    and so is a release that contradicts the tags.
    """
    folders = contents.folders
    where = f"{folders[0]}/WHEEL" if len(folders) == 1 else ""
    wheel_file = contents.texts.get(where, b"")
    mentions = lines_of(wheel_file)
    if not mentions:
        return Declared()
    value = _value(wheel_file) if len(mentions) == 1 else None
    if value is None:
        shown = some([line[:_SHOWN] for line in mentions])
        return _refused(where, f"{HEADER} is not one header line: {shown}")
    try:
        floor = releases.known_release(value)
    except ValueError as error:
        return _refused(where, f"{HEADER}: {value}: {error}")
    wrong = _contradiction(floor, value, claimed_floor(platforms))
    return _refused(where, f"{HEADER}: {value}: {wrong}") if wrong else Declared(floor)


def _contradiction(floor: MuslVersion, value: str, claimed: MuslVersion | None) -> str:
    if str(floor) != value:
        return f"is not a release in the form {floor}"
    if claimed is None:
        return "no tag of the wheel promises a musl"
    if (floor.major, floor.minor) != (claimed.major, claimed.minor):
        return f"its tag promises {series(claimed)}"
    return ""


def _value(wheel_file: bytes) -> str | None:
    """Return the value of the header; ``None`` if it has no line of its own among the headers.

    Headers end at an empty line, and a line that begins with white space continues the one before
    (RFC 5322, section 2.2.3; Python's email package reads them so).
    """
    lines = iter(wheel_file.splitlines())
    for line in lines:
        key, _, value = line.partition(b":")
        if not line:
            break
        if key.lower() == _NAME:
            continued = next(lines, b"")[:1].isspace()
            return None if continued else value.decode("utf-8", "replace").strip()[:_SHOWN]
    return None


def _refused(where: str, message: str) -> Declared:
    hint = (
        f"write one line, {HEADER}: X.Y.Z, with a release of the X.Y of the tag; "
        "muslbackend repair --floor X.Y.Z does"
    )
    return Declared(None, (Finding("MB148", Severity.ERROR, where, message, hint),))


def unknown_tags(wheel: str, platforms: Iterable[str]) -> Iterator[Finding]:
    """Nothing can be proved of a musl that was never read."""
    for platform in platforms:
        floor = claimed_floor([platform])
        if floor is None or is_known(floor):
            continue
        first, *_, last = (release.version for release in releases.releases())
        yield Finding(
            "MB148",
            Severity.ERROR,
            wheel,
            f"{platform} promises musl {floor}, which is not known (known: {first} to {last}), "
            "so the tag cannot be proved",
            hint="tag it with a known release, such as musllinux_1_2; if there is such a musl by "
            "now, update muslbackend",
        )


def is_known(floor: MuslVersion) -> bool:
    """Say whether a floor is a release that was read."""
    return any(release.version == floor for release in releases.releases())


def understated(
    wheel: str, platforms: Iterable[str], needed: MuslVersion | None, alpine: str | None
) -> tuple[Finding, ...]:
    """Return the warning that the tags of a wheel promise more than its files keep, if so.

    ``needed`` is the release from which on all files load, ``alpine`` the first Alpine with it.
    """
    platforms = tuple(platforms)
    claimed = claimed_floor(platforms)
    if claimed is None or needed is None or needed <= max(claimed, _first_port(platforms)):
        return ()
    which = f" (Alpine {alpine})" if alpine else ""
    message = (
        f"{series(claimed)} promises musl {claimed}, this wheel needs {needed}{which}: "
        "pip installs it on older ones too"
    )
    return (Finding("MB148", Severity.WARNING, wheel, message),)


def _first_port(platforms: Iterable[str]) -> MuslVersion:
    """Return the first release that runs on any machine of the tags: none older lacks anything."""
    tags = [tag for tag in map(PlatformTag.parse, platforms) if tag is not None]
    known = [releases.ARCHITECTURES[tag.arch] for tag in tags if tag.arch in releases.ARCHITECTURES]
    return min(map(releases.oldest, known), default=releases.MuslVersion(0, 0, 0))


def series(floor: MuslVersion) -> str:
    """Return the part of a platform tag that names a musl."""
    return f"musllinux_{floor.major}_{floor.minor}"
