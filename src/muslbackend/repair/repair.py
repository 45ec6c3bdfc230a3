"""Repair finished wheels from any backend: unpack and finish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.elf.info import ElfInfo
from muslbackend.errors import MalformedError
from muslbackend.loader.graph import fits_path
from muslbackend.loader.scan import Scan
from muslbackend.loader.unloaded import is_data_anywhere
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.musl.tags import PlatformTag
from muslbackend.policy.findings import Severity
from muslbackend.policy.registry import (
    LASTING_ARCHIVE_RULES,
    REWRITTEN_ARCHIVE_RULES,
    judge_contents,
)
from muslbackend.policy.rules.platform import declared
from muslbackend.policy.verdict import PolicyError, Verdict, in_order
from muslbackend.repair.finish import finish
from muslbackend.repair.outcome import Outcome
from muslbackend.repair.plan import Plan
from muslbackend.repair.request import Material, order_for, repair_target
from muslbackend.repair.write import write
from muslbackend.system.failures import reported_io_errors
from muslbackend.system.progress import Progress
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.metadata import generator, in_platlib
from muslbackend.wheel.reader import unpack
from muslbackend.wheel.writer import Packing

if TYPE_CHECKING:
    from muslbackend.musl.tags import Facts
    from muslbackend.policy.findings import Finding
    from muslbackend.repair.options import Options
    from muslbackend.wheel.contents import Contents
    from muslbackend.wheel.member import Member
    from muslbackend.wheel.name import WheelName


def repair_wheel(
    path: Path,
    options: Options,
    facts: Facts,
    output: Path | None,
    progress: Progress | None = None,
) -> Outcome:
    """Bundle, prove and write a finished wheel from any backend; return the outcome.

    Libraries come from the folders of the options, relative to the current folder, and on a musl
    machine from the system. A wheel that requires no change is copied. Without ``output`` nothing
    is written. Raises :class:`PolicyError` if the promise cannot be kept.
    """
    progress = progress or Progress()
    with reported_io_errors(), Scratch() as scratch:
        unpacked = unpack(path, scratch, progress, options.max_unpacked)
        notes = _sound(unpacked.contents)
        # WHEEL is rewritten if it does not have the tags of the name.
        rewritten = judge_contents(unpacked.contents, REWRITTEN_ARCHIVE_RULES)
        original = None if rewritten else unpacked.original
        name, members = _for_its_machine(unpacked.name, unpacked.members, options.ignore)
        said = declared(unpacked.contents, {tag.platform for tag in unpacked.name.tags})
        notes += tuple(f._replace(severity=Severity.WARNING) for f in said.findings)
        platforms = (tag.platform for tag in name.tags)
        target = repair_target(platforms, options, facts, said.floor)
        about = f"{name.dist_info}WHEEL"
        wheel_file = next((m.read() for m in members if m.path == about), b"")
        material = Material(name, members, generator(wheel_file))
        if target is None:
            packing = Packing(options.compression_level, options.max_size, progress)
            sizes = write(material, output, packing, original)
            return Outcome(name, Verdict(None, (), notes), Plan(), None, sizes)
        # Its musllinux tags are ignored.
        plain = name.tagged(str(target.plain_tag), "linux_", "musllinux_")
        order = order_for(target, options, Path.cwd(), output, foreign=True)
        order = order._replace(original=original, progress=progress)
        made = finish(material._replace(name=plain), order)
        findings = in_order((*made.verdict.findings, *notes))
        return made._replace(verdict=made.verdict._replace(findings=findings))


def _sound(contents: Contents) -> tuple[Finding, ...]:
    """Return the findings about a wheel as an archive; raise :class:`PolicyError` for errors.

    A repair writes a new RECORD: a modified wheel must not get a valid one that way.
    """
    # The new WHEEL has the tags of the name.
    verdict = Verdict(None, (), in_order(judge_contents(contents, LASTING_ARCHIVE_RULES)))
    if not verdict.ok:
        msg = "the contents of the wheel do not match its metadata; nothing was written"
        raise PolicyError(verdict, msg, hint="see the findings above")
    return verdict.findings


def _for_its_machine(
    name: WheelName, members: tuple[Member, ...], ignore: tuple[str, ...]
) -> tuple[WheelName, tuple[Member, ...]]:
    """Return a wheel with the tag ``any`` as a wheel for the machine of its native code, if any.

    setuptools uses that tag for wheels with programs but no extension module. Beside other platform
    tags, ``any`` is removed. Raises :class:`MalformedError` if the code is not for a single
    architecture of musl.
    """
    platforms = {tag.platform for tag in name.tags}
    if "any" not in platforms:
        return name, members
    scan = Scan.of_members(members)
    native = {
        path: found
        for path in scan.wheel_paths()
        if not fits_path(path, ignore) and not is_data_anywhere(path, found := scan.look(path))
    }
    archs = {elf.arch if isinstance(elf, ElfInfo) else None for elf in native.values()}
    if not archs:
        return name, members
    if others := frozenset(tag for tag in name.tags if tag.platform != "any"):
        return name._replace(tags=others), tuple(map(in_platlib, members))
    arch = archs.pop()
    if archs or arch is None or arch not in ARCHITECTURES:
        msg = f"{name} is tagged for any machine but contains native code: {min(native)}"
        raise MalformedError(
            msg,
            hint="build it with the tag of its platform, or set ignore for unloaded files",
        )
    plain = str(PlatformTag("linux", arch))
    return name.tagged(plain, "any"), tuple(map(in_platlib, members))
