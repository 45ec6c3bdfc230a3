"""The Python API: check and repair finished wheels.

::

    from muslbackend.api import check_wheel, repair_wheel

    result = check_wheel("dist/demo-1.0-cp312-cp312-musllinux_1_2_x86_64.whl")
    if not result.ok:
        for finding in result.verdict.findings:
            print(finding.code, finding.subject, finding.message)

The names in ``__all__`` and their fields follow semantic versioning: new fields and new keyword
arguments may be added in a minor version. Every other module of the package is private.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from muslbackend.errors import MuslBackendError, SettingsError
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion, known_release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from muslbackend.policy import findings, verdict

__all__ = [
    "BundledLibrary",
    "CheckResult",
    "Finding",
    "FindingsError",
    "MuslBackendError",
    "MuslVersion",
    "RepairResult",
    "Verdict",
    "check_wheel",
    "repair_wheel",
]

_HINT: Final = "see the documentation of muslbackend.api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem, or a fact worth knowing, about one file of a wheel."""

    code: str
    """``MB101`` and so on; a code keeps its meaning in all versions."""
    severity: Literal["error", "warning", "note"]
    subject: str
    """A path in the wheel, or the absolute path of an external library."""
    message: str
    """A sentence without its subject. The wording may change in any version."""
    hint: str = ""
    """The remedy, if one is known."""
    symbols: tuple[str, ...] = ()
    """The symbols, libraries or types that the finding is about, sorted."""
    details: tuple[str, ...] = ()
    """Further lines, such as the folders that were searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of all rules for one wheel."""

    floor: MuslVersion | None
    """The oldest musl release that loads every file; ``None`` if no release does, or if the wheel
    contains no musl binaries."""
    alpine: str | None
    """The oldest Alpine release from which on all releases provide the floor, such as ``3.18``."""
    because: tuple[tuple[str, str], ...]
    """The reasons for the floor: pairs of a symbol (or ``DT_RELR``) and a file. Empty if the oldest
    known release suffices."""
    findings: tuple[Finding, ...]
    """Errors first, then by file and code."""

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of :func:`check_wheel`."""

    wheel: str
    """The file name."""
    ok: bool
    """Whether the answer to the question is yes: by default, whether the tag is true."""
    arch: str | None
    """The machine that the wheel was judged for, such as ``x86_64``; ``None`` without binaries."""
    claimed: tuple[str, ...]
    """The platform tags in the file name, sorted."""
    earned: str | None
    """The platform tag that the wheel deserves for musl 1.2.0, ``None`` if none."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledLibrary:
    """A library that a repair copies into a wheel."""

    source: Path
    """The absolute path of the original."""
    path: str
    """The path of the copy in the wheel."""
    sha256: str
    """The digest of the original, in hexadecimal."""
    required_by: tuple[str, ...]
    """The paths of the files in the wheel that require it, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairResult:
    """The result of :func:`repair_wheel`."""

    path: Path | None
    """The wheel that was written; ``None`` if there was no output folder."""
    wheel: str
    """The file name of the repaired wheel."""
    verdict: Verdict
    """About the repaired wheel."""
    bundled: tuple[BundledLibrary, ...]
    """Sorted by path in the wheel."""


class FindingsError(MuslBackendError):
    """A wheel cannot get a true tag; ``findings`` are the reasons."""

    def __init__(self, message: str, *, hint: str, findings: tuple[Finding, ...]) -> None:
        super().__init__(message, hint=hint)
        self.findings = findings


def check_wheel(  # noqa: PLR0913 - keywords
    path: str | os.PathLike[str],
    *,
    floor: MuslVersion | str | None = None,
    against: MuslVersion | str | None = None,
    arch: str | None = None,
    library_dirs: Iterable[str | os.PathLike[str]] = (),
    exclude: Iterable[str] = (),
    assume_symbols: Iterable[str] = (),
    ignore: Iterable[str] = (),
    max_unpacked: int | None = None,
) -> CheckResult:
    """Return the verdict on a finished wheel, as ``muslbackend check`` does; run none of its code.

    By default the question is whether the wheel loads on the musl release that its tag claims, and
    on all later ones. ``floor`` asks about another oldest release, ``against`` about one release
    alone; both take a :class:`MuslVersion` or a text such as ``1.2.3``. ``arch`` selects the
    machine (by default the tag's). ``library_dirs`` are folders whose libraries will be in the
    system's search path. ``exclude``, ``assume_symbols`` and ``ignore`` are globs of library names,
    symbols and paths in the wheel, as the settings of the same names. ``max_unpacked`` limits the
    bytes that the wheel may unpack to (8 GB by default).

    A damaged wheel is a finding (MB100). Raises :class:`MuslBackendError` if an argument is not
    valid or the file cannot be read.
    """
    from muslbackend.policy.check import Question
    from muslbackend.policy.check import check_wheel as check

    if arch is not None and arch not in ARCHITECTURES:
        msg = f"arch = {arch!r} is not a machine that musl runs on"
        raise SettingsError(msg, hint=f"use one of {', '.join(ARCHITECTURES)}")
    question = Question(
        floor=_release("floor", floor),
        against=_release("against", against),
        arch=ARCHITECTURES[arch] if arch is not None else None,
        library_dirs=tuple(str(Path(folder).absolute()) for folder in library_dirs),
        exclude=tuple(exclude),
        assume_symbols=tuple(assume_symbols),
        ignore=tuple(ignore),
        max_unpacked=max_unpacked,
    )
    found = check(Path(path), question)
    return CheckResult(
        wheel=found.wheel,
        ok=found.ok,
        arch=found.arch,
        claimed=found.claimed,
        earned=found.earned,
        verdict=_verdict(found.verdict),
    )


def repair_wheel(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None,
    *,
    floor: MuslVersion | str | None = None,
    library_dirs: Iterable[str | os.PathLike[str]] = (),
    settings: Mapping[str, object] | None = None,
) -> RepairResult:
    """Bundle libraries into a finished wheel, prove the result and write it, as ``repair`` does.

    The wheel is written into the folder ``output``, which is created if necessary; ``None``
    computes the plan and writes nothing. ``floor`` is the oldest musl release to promise (by
    default the one that the tag or the wheel declares, else 1.2.0). Libraries come from
    ``library_dirs``, and on a musl machine from the system. ``settings`` has further settings by
    the names and values of ``[tool.muslbackend]``, such as ``{"exclude": ["libGL.so*"], "strip":
    True}``.

    Raises :class:`FindingsError` if the wheel cannot get a true tag (nothing is written then), and
    :class:`MuslBackendError` for every other problem that a user can fix: a setting that is not
    valid, a damaged wheel, an output that cannot be written.
    """
    from muslbackend.build.settings import parse_settings
    from muslbackend.build.target import read_facts
    from muslbackend.policy.verdict import PolicyError
    from muslbackend.repair.repair import repair_wheel as repair

    release = _release("floor", floor)
    table = dict(settings or {})
    if folders := [os.fspath(folder) for folder in library_dirs]:
        table["library-dirs"] = folders
    if release is not None:
        table["floor"] = str(release)
    folder = Path(output) if output is not None else None
    try:
        made = repair(Path(path), parse_settings(table, {}, {}).repair, read_facts(), folder)
    except PolicyError as error:
        found = _findings(error.verdict.findings)
        raise FindingsError(error.message, hint=error.hint, findings=found) from error
    return RepairResult(
        path=folder / made.wheel if folder is not None else None,
        wheel=made.wheel,
        verdict=_verdict(made.verdict),
        bundled=tuple(
            BundledLibrary(
                source=Path(graft.source),
                path=graft.dest,
                sha256=graft.sha256,
                required_by=graft.needed_by,
            )
            for graft in made.plan.grafts
        ),
    )


def _release(name: str, value: MuslVersion | str | None) -> MuslVersion | None:
    """Return a release of musl; raise :class:`SettingsError` for an unknown one."""
    if value is None:
        return None
    try:
        return known_release(str(value))
    except ValueError as error:
        raise SettingsError(f"{name} = {str(value)!r}: {error}", hint=_HINT) from error


def _verdict(found: verdict.Verdict) -> Verdict:
    return Verdict(
        floor=found.floor,
        alpine=found.alpine,
        because=tuple((reason.what, reason.file) for reason in found.because),
        findings=_findings(found.findings),
    )


def _findings(found: Iterable[findings.Finding]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            code=one.code,
            severity=one.severity.value,
            subject=one.subject,
            message=one.message,
            hint=one.hint,
            symbols=tuple(one.names),
            details=one.details,
        )
        for one in found
    )
