"""Read patched files with pyelftools, and compare them with the plan and with our own reader.

Our own reader judges, plans, patches and proves, so a fault in it could go unnoticed through all
four. pyelftools shares no code with it. It trusts the counts and sizes in a file, so the number of
its reads is limited: a hostile file of a wheel to repair is not compared.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import ARMAttributesSection
from elftools.elf.segments import NoteSegment

from muslbackend.elf.edit import Edit

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from muslbackend.elf.info import ElfInfo
    from muslbackend.wheel.member import Member


#: Reads of one file; a library of 60 sections takes two thousand.
MOST_READS: Final = 50_000


#: The fact that a file can be read.
_FORMAT: Final = "format"


class TooManyReadsError(Exception):
    """A file makes pyelftools read too often, for example by a count of four billion entries."""


class Version(NamedTuple):
    """One state of a file: its contents, and the facts that our own reader reads in them."""

    member: Member
    elf: ElfInfo


class Reading(NamedTuple):
    """The facts that pyelftools reads."""

    needed: tuple[str, ...]
    soname: str | None
    rpath: tuple[str, ...] | None
    """The entries of DT_RPATH; ``None`` without one."""
    runpath: tuple[str, ...] | None
    relr: bool
    segments: tuple[tuple[int, int], ...]
    """The address and the size in memory of each PT_LOAD, in the order of the file."""
    version_needs: frozenset[tuple[str, str]]
    """(library, version) pairs; empty for a file without section headers."""
    build_id: str
    arm_arch: int | None


def disagreements(edit: Edit, before: Version, after: Version) -> Iterator[str]:
    """Yield a sentence for each difference between a patched file and the plan.

    Facts on which the readers disagreed before the change are not compared: section headers of a
    stale file may lead pyelftools to other strings than the loader. A file is not compared if
    pyelftools could not read it before the change either, or takes more than :data:`MOST_READS`.
    """
    read = _read(after.member)
    if isinstance(read, TooManyReadsError):
        return
    found = dict(_differences(read, edit, before.elf, after.elf))
    if found:
        unchanged = Edit(edit.path)
        known = dict(_differences(_read(before.member), unchanged, before.elf, before.elf))
        yield from (words for fact, words in found.items() if not known.keys() & {fact, _FORMAT})


def _read(member: Member) -> Reading | Exception:
    with member.open() as stream:
        try:
            return reading(stream)
        except OSError:  # of the disk
            raise
        except Exception as error:
            return error


def _differences(
    read: Reading | Exception, edit: Edit, before: ElfInfo, after: ElfInfo
) -> Iterator[tuple[str, str]]:
    """Yield facts that differ, each with a sentence that names the expected value last."""
    if isinstance(read, Exception):
        yield _FORMAT, f"pyelftools cannot read it: {read}"
        return
    new = dict(edit.needed)
    path = before.rpath if edit.rpath is None else edit.rpath
    expected: tuple[tuple[str, object, object], ...] = (
        ("DT_NEEDED", read.needed, _needed(edit, before)),
        ("DT_NEEDED", read.needed, after.needed),
        ("DT_SONAME", read.soname, before.soname if edit.soname is None else edit.soname),
        ("the search path", read.runpath or read.rpath or (), path),
        ("DT_RELR", read.relr, before.relr and not edit.expand),
        (
            "version needs",
            read.version_needs or after.version_needs,
            {(new.get(library, library), version) for library, version in before.version_needs},
        ),
        ("the build ID", read.build_id, before.build_id),
        ("Tag_CPU_arch", read.arm_arch, before.arm_arch),
    )
    for name, found, wanted in expected:
        if found != wanted:
            yield name, f"{name} is {found!r}, not {wanted!r}"
    if edit.rpath is not None:
        yield from (("the new search path", words) for words in _path_faults(read))
    for (address, size), (following, _) in pairwise(sorted(read.segments)):
        if address + size > following:
            words = f"the segment at {address:#x} reaches into the one at {following:#x}"
            yield "segments", words


def _needed(edit: Edit, before: ElfInfo) -> tuple[str, ...]:
    new = dict(edit.needed)
    return tuple(new.get(name, name) for name in before.needed if name not in edit.dropped)


def _path_faults(read: Reading) -> Iterator[str]:
    if read.rpath is not None and read.runpath is not None:
        yield "it has DT_RPATH and DT_RUNPATH"
    for entry in (*(read.rpath or ()), *(read.runpath or ())):
        if not entry.startswith(("$ORIGIN", "${ORIGIN}")):
            yield f"the search path leaves the wheel: {entry}"


def reading(stream: io.BufferedIOBase) -> Reading:
    """Return the facts of an ELF file.

    Raises an error of pyelftools if it is not understood, :class:`TooManyReadsError`, and
    ``OSError``.
    """
    limited = _Limited(stream)
    try:
        return _reading(ELFFile(limited))
    except Exception as error:
        # pyelftools takes the error of a read for one of the format.
        raise limited.failure or error from None


def _reading(elf: Any) -> Reading:  # noqa: ANN401
    tags: dict[str, list[Any]] = {}
    segments, build_id = [], ""
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD":
            segments.append((segment["p_vaddr"], segment["p_memsz"]))
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                tags.setdefault(tag.entry.d_tag, []).append(tag)
        elif isinstance(segment, NoteSegment):
            build_id = build_id or _build_id(segment)
    sections = list(elf.iter_sections())
    return Reading(
        needed=tuple(tag.needed for tag in tags.get("DT_NEEDED", ())),
        soname=next((tag.soname for tag in tags.get("DT_SONAME", ())), None),
        rpath=_entries([tag.rpath for tag in tags.get("DT_RPATH", ())]),
        runpath=_entries([tag.runpath for tag in tags.get("DT_RUNPATH", ())]),
        relr="DT_RELR" in tags,
        segments=tuple(segments),
        version_needs=frozenset(
            (version.name, auxiliary.name)
            for section in sections
            if isinstance(section, GNUVerNeedSection)
            for version, auxiliaries in section.iter_versions()
            for auxiliary in auxiliaries
        ),
        build_id=build_id,
        arm_arch=max((arch for section in sections for arch in _arm_archs(section)), default=None),
    )


class _Limited:
    """A file that can be read a limited number of times; every loop of pyelftools reads."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream, self._left = stream, MOST_READS
        self.tell = stream.tell
        self.failure: Exception | None = None
        """The error of a read, if one failed."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._stream.seek(offset, whence)
        except OSError as error:
            self.failure = error
            raise

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            self.failure = TooManyReadsError(f"it takes more than {MOST_READS:,} reads")
            raise self.failure
        try:
            return self._stream.read(size)
        except OSError as error:
            self.failure = error
            raise


def _entries(texts: list[str]) -> tuple[str, ...] | None:
    # musl takes the last of several tags, and skips empty entries.
    return tuple(filter(None, texts[-1].replace("\n", ":").split(":"))) if texts else None


def _build_id(segment: Any) -> str:  # noqa: ANN401
    for note in segment.iter_notes():
        if note["n_type"] == "NT_GNU_BUILD_ID" and note["n_name"] == "GNU":
            return str(note["n_desc"])
    return ""


def _arm_archs(section: Any) -> Iterator[int]:  # noqa: ANN401
    if isinstance(section, ARMAttributesSection):
        for subsection in section.iter_subsections():
            for part in subsection.iter_subsubsections():
                for attribute in part.iter_attributes("TAG_CPU_ARCH"):
                    yield attribute.value
