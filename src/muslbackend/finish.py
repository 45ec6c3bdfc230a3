"""From files that are ready to a wheel whose tag is true: judge, plan, patch, prove, write.

One ``finish`` for what a build staged and for a finished wheel that is repaired.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend import layout
from muslbackend.errors import readable
from muslbackend.freenames import Taken
from muslbackend.member import Member
from muslbackend.outcome import Outcome
from muslbackend.outside import digests
from muslbackend.packaged import ABOUT_THE_PACKAGE
from muslbackend.plan import Plan, Wishes, expanded, make_plan, to_expand
from muslbackend.policy import PolicyError, Verdict, judge
from muslbackend.resolve import resolve
from muslbackend.rules import FINISHED_RULES, REPAIR_RULES, RULES
from muslbackend.scan import Scan
from muslbackend.settings import DEFAULT_LEVEL
from muslbackend.target import Target, claimed_floor
from muslbackend.values import NamedTuple
from muslbackend.wheel import retag
from muslbackend.wheelwriter import Packing, copy_wheel, write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.tags import Tag

    from muslbackend.graph import Graph
    from muslbackend.order import Material, Order
    from muslbackend.verify import Opened


def finish(material: Material, order: Order) -> Outcome:
    """Turn the files into a wheel whose tag is true, and return what came of it.

    Raises :class:`PolicyError` when the promise cannot be kept and the target is strict; the
    output folder then is as it was.
    """
    with readable():
        return _finished(material, order)


def _finished(material: Material, order: Order) -> Outcome:
    target, claimed = _promise(material.name.tags, order.target)
    order = order._replace(target=target)
    if not claimed and not any(t.platform.startswith("linux_") for t in material.name.tags):
        return _for_no_musl(material, order)
    original = material
    order.progress.enter("judge")
    material, scan, graph, plan = _laid_out(material, order)
    wishes = _wishes(material, to_expand(graph, target), strip=order.settings.strip)
    graph = expanded(graph, wishes.expand)
    verdict = judge(graph, target, REPAIR_RULES if order.supply.foreign else RULES)
    if not verdict.ok and (target.strict or claimed):
        msg = f"the wheel cannot be tagged {target.tag}; nothing was written"
        raise PolicyError(verdict, msg, hint="see the findings above")
    if not verdict.ok:
        original = original._replace(name=original.name.tagged(str(target.plain_tag), "linux_"))
        _write(order, original)
        return Outcome(original.name, verdict, Plan(), promised=False, graph=graph)
    order.progress.enter("plan")
    found = {path: digests(path, graph.elf[path].rpath) for path in graph.outside()}
    names = {path: both.placeless for path, both in found.items()}
    edits = make_plan(graph, names, wishes)
    grafts = tuple(graft._replace(sha256=found[graft.source].whole) for graft in edits.grafts)
    plan = edits._replace(grafts=grafts, moves=plan.moves, copies=plan.copies)
    material = material._replace(name=material.name.tagged(str(target.tag), "linux_"))
    if order.output is None or plan.is_empty:
        opened = _opened(order, material.members, graph)
        sizes = _write(order, material, as_it_is=True)
        return Outcome(material.name, verdict, plan, True, sizes, opened, graph)
    return _carried_out(material, order, _Known(scan, plan, names, verdict))


class _Known(NamedTuple):
    """What was found out about the files before any was changed."""

    scan: Scan
    plan: Plan
    names: Mapping[str, str]
    verdict: Verdict


def _carried_out(material: Material, order: Order, known: _Known) -> Outcome:
    """Patch copies, prove that they are what was promised, account for them and write the wheel."""
    # Most builds change no file.
    from muslbackend import patch
    from muslbackend.temporary import temporary_folder

    plan = known.plan
    with temporary_folder() as work:
        folder, dist_info = Path(work), material.name.dist_info
        members = patch.apply(plan, material.members, folder, dist_info, order.progress)
        verdict, graph = _prove(members, order, known)
        opened = _opened(order, members, graph)
        accounted = f"{dist_info}sboms/muslbackend.cdx.json"
        if plan.grafts or any(member.path == accounted for member in members):
            from muslbackend import inventory  # SBOM, package databases: most builds bundle nothing

            order.progress.enter("inventory")
            places = inventory.Places(order.build_dir, order.sysroot)
            libraries = inventory.bundled(plan.grafts, members, graph, known.names, places)
            members, notes = inventory.account_for(
                libraries, members, graph, material.name, order.licences
            )
            verdict = verdict._replace(findings=(*verdict.findings, *notes))
        sizes = _write(order, material._replace(members=tuple(members)))
    return Outcome(material.name, verdict, plan, True, sizes, opened, graph)


def _opened(order: Order, members: Sequence[Member], graph: Graph) -> Opened | None:
    if order.opener is None:
        return None
    from muslbackend.verify import open_all  # only if asked for

    return open_all(order.opener, members, graph, order.target, order.progress)


def _laid_out(material: Material, order: Order) -> tuple[Material, Scan, Graph, Plan]:
    """Put the wheel's own files where they belong; return them, their graph and what was done."""
    scan, graph = _resolved(material, order)
    moves = layout.moves(graph, (member.path for member in material.members))
    copies = layout.copies(graph, *_twins(material))
    if moves or copies:
        from muslbackend import patch

        members = patch.rearrange(material.members, moves, copies)
        material = material._replace(members=tuple(members))
        scan, graph = _resolved(material, order, scan)
    return material, scan, graph, Plan(moves=moves, copies=copies)


def _twins(material: Material) -> tuple[dict[str, str], set[str]]:
    """Return the digests of files that may be one, and those of their names that text mentions."""
    by_path = {member.path: member for member in material.members}
    chains = layout.chains(by_path)
    if not chains:
        return {}, set()
    shas = {path: by_path[path].sha256() for chain in chains for path in chain}
    names = sorted({posixpath.basename(path) for path in shas})
    # libx.so is no part of libx.so.1 here.
    found = re.compile(
        rb"(?<![\w.+-])(?:%s)(?![\w.+-])" % b"|".join(re.escape(name).encode() for name in names)
    )
    mentioned: set[str] = set()
    for member in material.members:
        if member.path not in shas:
            mentioned |= {name.decode() for name in found.findall(member.read())}
    return shas, mentioned


def _resolved(material: Material, order: Order, before: Scan | None = None) -> tuple[Scan, Graph]:
    platforms = (tag.platform for tag in material.name.tags)
    scan = Scan.of_members(material.members, platforms, before)
    return scan, resolve(scan, order.target.arch, order.supply)


def _for_no_musl(material: Material, order: Order) -> Outcome:
    """Write a wheel for any platform, or for one that is none of ours, as it is."""
    order.progress.enter("judge")
    verdict = judge(_resolved(material, order)[1], order.target, ABOUT_THE_PACKAGE)
    if not verdict.ok and order.target.strict:
        msg = "the wheel cannot be tagged for any machine; nothing was written"
        raise PolicyError(verdict, msg, hint="see the findings above")
    sizes = _write(order, material, as_it_is=True)
    return Outcome(material.name, verdict, Plan(), None, sizes=sizes)


def _prove(members: Sequence[Member], order: Order, known: _Known) -> tuple[Verdict, Graph]:
    """Read what was patched, resolve, judge and plan all again: by the wheel alone it must hold.

    Raises ``RuntimeError`` when it does not: that is a bug of ours, not of the project.
    """
    order.progress.enter("prove")
    supply = order.supply._replace(directories=(), follow_rpath=False)
    scan = Scan.of_members(members, before=known.scan)
    graph = resolve(scan, order.target.arch, supply)
    verdict = judge(graph, order.target, FINISHED_RULES)
    rest = make_plan(graph, {}, Wishes(expand=to_expand(graph, order.target)))
    if not verdict.ok or not rest.is_empty or verdict.floor != known.verdict.floor:
        msg = f"muslbackend has a bug: after patching, {verdict.findings or rest}"
        raise RuntimeError(msg)
    return verdict, graph


def _write(
    order: Order, material: Material, *, as_it_is: bool = False
) -> dict[str, tuple[int, int]]:
    """Write the wheel if one is wanted; return the sizes of its members."""
    if order.output is None:
        return {}
    packing = Packing(order.settings.compression_level, order.settings.max_size, order.progress)
    original, same = order.original, as_it_is and packing.level == DEFAULT_LEVEL
    if same and original is not None and original.name == str(material.name):
        order.progress.enter("write")
        return copy_wheel(original, order.output).sizes
    return write_wheel(order.output, material.name, _members(material), packing).sizes


def _promise(tags: Iterable[Tag], target: Target) -> tuple[Target, bool]:
    """Return the target, with the floor that explicit tags claim, and whether they claim one.

    A floor of the settings within the claimed X.Y stands: the project has declared it.
    """
    claimed = claimed_floor(tag.platform for tag in tags)
    if claimed is None:
        return target, False
    own = target.floor
    if own is not None and (own.major, own.minor) == (claimed.major, claimed.minor):
        claimed = max(own, claimed)
    return target._replace(floor=claimed), True


def _wishes(material: Material, expand: frozenset[str], *, strip: bool) -> Wishes:
    taken = Taken(member.path for member in material.members)
    libs_dir = taken.folder(f"{material.name.distribution.partition('-')[0]}.libs")
    return Wishes(libs_dir, expand, strip, taken)


def _members(material: Material) -> list[Member]:
    """Return the members with the ``WHEEL`` file that goes with the name."""
    path = f"{material.name.dist_info}WHEEL"
    return [
        Member(path, retag(m.read(), material.name.tags, material.generator))
        if m.path == path
        else m
        for m in material.members
    ]
