"""The story: what happens to a project or a wheel, from beginning to end. Read this page first.

``build_wheel`` stages and finishes; ``check_wheel`` judges what is finished already.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.tags import Tag

from muslbackend import __version__, patch, stage
from muslbackend.errors import MalformedError, MuslBackendError
from muslbackend.findings import Finding, Severity
from muslbackend.graph import Supply
from muslbackend.invocation import build_dir_setting, plan_invocation
from muslbackend.musl import ARCHITECTURES, MuslVersion
from muslbackend.packaged import ABOUT_THE_PACKAGE
from muslbackend.plan import Plan, make_plan
from muslbackend.policy import PolicyError, Verdict, judge
from muslbackend.reach import Question, answer, floors, with_system
from muslbackend.report import Checked, File, Outcome
from muslbackend.resolve import resolve
from muslbackend.rules import FINISHED_RULES
from muslbackend.scan import Scan, build_folders, digest, system_folders
from muslbackend.settings import DEFAULT_FLOOR
from muslbackend.target import PlatformTag, Target
from muslbackend.toolchain import cross_toolchain
from muslbackend.wheel import Member, read_wheel, retag, write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from muslbackend.graph import Graph
    from muslbackend.settings import Settings
    from muslbackend.stage import Staged
    from muslbackend.wheel import Wheel, WheelName

_ZLIB: Final = "libz.so.1"
_ITS_TAGS: Final = Question()


@dataclass(frozen=True, slots=True)
class Job:
    """A wheel to build for musl."""

    project: Path
    target: Target
    settings: Settings
    config: Mapping[str, object]
    """scikit-build-core's ``-C`` keys."""
    table: Mapping[str, Any]
    """``[tool.scikit-build]``"""
    output: Path
    metadata: Path | None = None
    """A ``.dist-info`` folder prepared earlier, which the wheel must agree with."""


def build_wheel(job: Job) -> Outcome:
    """Build, judge, bundle, prove and write one wheel; return what came of it.

    Raises :class:`PolicyError` when the promise cannot be kept and the target is strict; the
    output folder then is as it was.
    """
    toolchain = None if job.target.native else cross_toolchain(job.target.arch)
    call = plan_invocation(job.target, job.config, job.table, os.environ, toolchain)
    outcomes: list[Outcome] = []

    def finish(staged: Staged) -> WheelName:
        outcome, name = _finish(staged, job)
        outcomes.append(outcome)
        return name

    with _environment(call.environment):
        unset = build_dir_setting(call.config, job.table, os.environ) is None
        stage.build(call.config, finish, keeps_no_build_dir=unset)
    return outcomes[-1]


def _finish(staged: Staged, job: Job) -> tuple[Outcome, WheelName]:
    """Turn what scikit-build-core staged into a wheel whose tag is true."""
    _agree(staged, job.metadata)
    target, claimed = _promise(staged.name.tags, job.target)
    supply = _supply(staged, job)
    scan = Scan.of_members(staged.members, (tag.platform for tag in staged.name.tags))
    graph = resolve(scan, target.arch, supply)
    if not claimed and not any(t.platform.startswith("linux_") for t in staged.name.tags):
        # For any platform, or for one that is none of ours: no tag of musl is at stake.
        verdict = judge(graph, target, ABOUT_THE_PACKAGE)
        if not verdict.ok and target.strict:
            msg = "the wheel cannot be tagged for any machine; nothing was written"
            raise PolicyError(verdict, msg, hint="see the findings above")
        write_wheel(job.output, staged.name, _members(staged.members, staged, staged.name))
        return Outcome(str(staged.name), verdict, Plan(), None), staged.name
    verdict = judge(graph, target)
    if not verdict.ok and (target.strict or claimed):
        msg = f"the wheel cannot be tagged {target.tag}; nothing was written"
        raise PolicyError(verdict, msg, hint="see the findings above")
    if not verdict.ok:
        name = _named(staged.name, target.plain_tag)
        write_wheel(job.output, name, _members(staged.members, staged, name))
        return Outcome(str(name), verdict, Plan(), promised=False), name
    plan = make_plan(graph, _libs_dir(staged), {path: digest(path) for path in graph.outside()})
    with tempfile.TemporaryDirectory(prefix="muslbackend-") as work:
        members = patch.apply(plan, staged.members, Path(work), staged.dist_info)
        if not plan.is_empty:
            verdict = _prove(members, target, supply, verdict)
        name = _named(staged.name, target.tag)
        write_wheel(job.output, name, _members(members, staged, name))
    return Outcome(str(name), verdict, plan, promised=True), name


def _prove(members: Sequence[Member], target: Target, supply: Supply, before: Verdict) -> Verdict:
    """Read, resolve, judge and plan the patched files again: by the wheel alone all must hold.

    Raises ``RuntimeError`` when it does not: that is a bug of ours, not of the project.
    """
    graph = resolve(Scan.of_members(members), target.arch, Supply(exclude=supply.exclude))
    verdict = judge(graph, target, FINISHED_RULES)
    rest = make_plan(graph, "", {})
    if not verdict.ok or not rest.is_empty or verdict.floor != before.floor:
        msg = f"muslbackend has a bug: after patching, {verdict.findings or rest}"
        raise RuntimeError(msg)
    return verdict


def _promise(tags: Iterable[Tag], target: Target) -> tuple[Target, bool]:
    """Return the target, with the floor that explicit tags claim, and whether they claim one.

    A floor of the settings within the claimed X.Y stands: the project has declared it.
    """
    claims = [_floor(tag.platform) for tag in tags]
    claimed = min((floor for floor in claims if floor is not None), default=None)
    if claimed is None:
        return target, False
    own = target.floor
    if own is not None and (own.major, own.minor) == (claimed.major, claimed.minor):
        claimed = max(own, claimed)
    return replace(target, floor=claimed), True


def _floor(platform: str) -> MuslVersion | None:
    tag = PlatformTag.parse(platform)
    if tag is None or tag.kind != "musllinux" or tag.version is None:
        return None
    return MuslVersion(*tag.version, 0)


def _supply(staged: Staged, job: Job) -> Supply:
    """Return where libraries may come from: the user's folders, the build, a musl system."""
    folders = [str((job.project / d).resolve()) for d in job.settings.library_dirs]
    if staged.build_dir is not None:
        folders += build_folders(staged.build_dir.resolve())
    if job.target.native:
        folders += system_folders(Path(sys.executable), job.target.arch)
    return Supply(tuple(folders), follow_rpath=True, exclude=job.settings.exclude)


def _libs_dir(staged: Staged) -> str:
    return f"{staged.name.distribution.partition('-')[0]}.libs"


def _named(name: WheelName, platform: PlatformTag) -> WheelName:
    """Return the name with ``platform`` in the place of what names this kind of machine only."""
    tags = {
        Tag(tag.interpreter, tag.abi, str(platform)) if tag.platform.startswith("linux_") else tag
        for tag in name.tags
    }
    return replace(name, tags=frozenset(tags))


def _members(members: Sequence[Member], staged: Staged, name: WheelName) -> list[Member]:
    """Return the members with the ``WHEEL`` file that goes with ``name``."""
    path = f"{staged.dist_info}WHEEL"
    generator = f"muslbackend {__version__} ({staged.backend})"
    return [
        Member(path, retag(m.read(), name.tags, generator)) if m.path == path else m
        for m in members
    ]


def _agree(staged: Staged, metadata: Path | None) -> None:
    """Check that the wheel has the metadata that was prepared for it (PEP 517).

    ``WHEEL`` may differ: the tag is known only when the files have been judged.
    """
    if metadata is None:
        return
    members = {m.path.removeprefix(staged.dist_info): m for m in staged.members}
    for name in ("METADATA", "entry_points.txt"):
        prepared = metadata / name
        now = members[name].read() if name in members else b""
        before = prepared.read_bytes() if prepared.is_file() else b""
        if now != before:
            msg = f"{name} is not what prepare_metadata_for_build_wheel announced"
            raise MuslBackendError(msg, hint="do not change the project between the two hooks")


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def check_wheel(path: Path, question: Question = _ITS_TAGS) -> Checked:
    """Judge a finished wheel by its bytes alone.

    By default the question is whether it loads on the X.Y.0 that its tag claims and later. A
    damaged wheel is a finding too.
    """
    try:
        wheel = read_wheel(path)
    except MalformedError as error:
        finding = Finding("MB100", Severity.ERROR, path.name, error.message, error.hint)
        verdict = Verdict(None, (), (finding,))
        return Checked(path.name, False, None, None, (), None, verdict, None)
    scan = Scan.of_wheel(wheel)
    claimed = tuple(sorted({tag.platform for tag in wheel.tags}))
    target = _claimed_target(wheel, scan, question)
    if target is None:
        nothing = Verdict(None, (), ())
        return Checked(path.name, True, None, None, claimed, None, nothing, None)
    graph = with_system(resolve(scan, target.arch, _system(question)))
    libc = _libc(graph)
    verdict = answer(graph, target, question.against)
    if libc == "glibc" and target.floor is None:
        verdict = replace(judge(graph, target, ABOUT_THE_PACKAGE), floor=None, because=())
    default = replace(target, floor=DEFAULT_FLOOR)
    whole = judge(graph, default, FINISHED_RULES)
    tag = str(default.tag) if whole.ok else None
    files = {
        name: File(len(wheel.elf[name]), floor)
        for name, floor in floors(graph, target.arch, whole.findings).items()
    }
    arch = target.arch.name
    return Checked(path.name, verdict.ok, arch, libc, claimed, tag, verdict, graph, question, files)


def _system(question: Question) -> Supply:
    """Return what a machine is taken to have besides musl.

    auditwheel's policy leaves zlib to the system; where nothing says that it is there, a warning
    tells.
    """
    known = any((Path(folder) / _ZLIB).is_file() for folder in question.library_dirs)
    exclude = (*question.exclude, *(() if known else (_ZLIB,)))
    return Supply(question.library_dirs, exclude=exclude, installed=True)


def _claimed_target(wheel: Wheel, scan: Scan, question: Question) -> Target | None:
    """Return what a wheel is to be judged for; ``None`` if that is nothing with musl to it."""
    tags = [t for t in (PlatformTag.parse(tag.platform) for tag in wheel.tags) if t is not None]
    archs = Counter(t.arch for t in tags if t.arch in ARCHITECTURES)
    if not archs:
        found = (scan.look(path) for path in scan.wheel_paths())
        archs = Counter(e.arch for e in found if not isinstance(e, str | None) and e.arch)
    if question.arch is not None:
        archs = Counter([question.arch.name])
    if not archs or not scan.wheel_paths():
        return None
    claims = [claim for tag in wheel.tags if (claim := _floor(tag.platform)) is not None]
    promised = question.floor or question.against or min(claims, default=None)
    arch = ARCHITECTURES[min(archs, key=lambda a: (-archs[a], a))]
    return Target(arch, promised, native=False, strict=True)


def _libc(graph: Graph) -> str | None:
    """Return the libc that the wheel's files name: musl if any does, else glibc if any does."""
    found = {graph.elf[path].libc for path in graph.wheel}
    return next((libc for libc in ("musl", "glibc") if libc in found), None)
