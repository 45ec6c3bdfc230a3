"""Make a wheel with a true tag from its files: judge, plan, patch, prove, write.

Builds and repairs share this module.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl.tags import Target, claimed_floor, refuse_unknown
from muslbackend.policy.registry import ANY_LIBC_RULES, BUILD_RULES, FINISHED_RULES, REPAIR_RULES
from muslbackend.policy.rules.platform import understated
from muslbackend.policy.verdict import PolicyError, Verdict, judge
from muslbackend.repair import layout
from muslbackend.repair.free_names import Taken
from muslbackend.repair.libraries import digests
from muslbackend.repair.outcome import Outcome
from muslbackend.repair.plan import Plan, Wishes, expanded, make_plan, to_expand
from muslbackend.repair.write import write_wheel
from muslbackend.system.failures import reported_io_errors
from muslbackend.wheel.member import Member
from muslbackend.wheel.metadata import retag, with_floor
from muslbackend.wheel.writer import Packing, copy_wheel
from muslbackend.wheel.zip import DEFAULT_LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.tags import Tag

    from muslbackend.loader.graph import Graph
    from muslbackend.repair.request import Material, Order
    from muslbackend.repair.verify import Opened


def finish(material: Material, order: Order) -> Outcome:
    """Make a wheel with a true tag, and return the outcome.

    Raises :class:`PolicyError` if the promise cannot be kept and the target is strict; the output
    folder is then unchanged.
    """
    with reported_io_errors():
        return _with_warning(_finished(material, order))


def _with_warning(made: Outcome) -> Outcome:
    """Return the outcome, with a warning if the files require a later musl than the tag."""
    if not made.promised:
        return made
    verdict, platforms = made.verdict, (tag.platform for tag in made.name.tags)
    more = understated(made.wheel, platforms, verdict.floor, verdict.alpine)
    return made._replace(verdict=verdict._replace(findings=(*more, *verdict.findings)))


def _finished(material: Material, order: Order) -> Outcome:
    target, claimed = _promise(material.name.tags, order.target)
    order = order._replace(target=target)
    if not claimed and not any(t.platform.startswith("linux_") for t in material.name.tags):
        return _for_no_musl(material, order)
    original = material
    order.progress.enter("judge")
    material, scan, graph, plan = _laid_out(material, order)
    wishes = _wishes(material, to_expand(graph, target), order)
    graph = expanded(graph, wishes.expand)
    verdict = judge(graph, target, REPAIR_RULES if order.supply.foreign else BUILD_RULES)
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
    name = material.name.tagged(str(target.tag), "linux_")
    material = material._replace(name=name, floor=target.declared)
    if order.output is None or plan.is_empty:
        opened = _opened(order, material.members, graph)
        sizes = _write(order, material, as_it_is=True)
        made = Outcome(material.name, verdict, plan, True, sizes, opened, graph)
        return made._replace(declared=material.floor)
    return _carried_out(material, order, _Known(scan, plan, names, verdict))


class _Known(NamedTuple):
    """The analysis of the unchanged files."""

    scan: Scan
    plan: Plan
    names: Mapping[str, str]
    verdict: Verdict


def _carried_out(material: Material, order: Order, known: _Known) -> Outcome:
    """Patch copies, prove the result, add the inventory and write the wheel."""
    # Most builds change no file.
    from muslbackend.repair import patch
    from muslbackend.system.folders import temporary_folder

    plan = known.plan
    with temporary_folder() as work:
        folder, dist_info = Path(work), material.name.dist_info
        members = patch.apply(plan, material.members, folder, dist_info, order.progress)
        verdict, graph = _prove(members, order, known)
        opened = _opened(order, members, graph)
        accounted = f"{dist_info}sboms/muslbackend.cdx.json"
        if plan.grafts or any(member.path == accounted for member in members):
            from muslbackend.repair import (
                inventory,  # SBOM, package databases: most builds bundle nothing
            )

            order.progress.enter("inventory")
            places = inventory.Places(order.build_dir, order.sysroot)
            libraries = inventory.bundled(plan.grafts, members, graph, known.names, places)
            members, notes = inventory.account_for(
                libraries, members, graph, material.name, order.licences
            )
            verdict = verdict._replace(findings=(*verdict.findings, *notes))
        with _put_aside(folder, order.debug_dir, str(material.name), graph):
            sizes = _write(order, material._replace(members=tuple(members)))
    made = Outcome(material.name, verdict, plan, True, sizes, opened, graph)
    return made._replace(declared=material.floor)


@contextlib.contextmanager
def _put_aside(work: Path, folder: Path | None, wheel: str, graph: Graph) -> Iterator[None]:
    """Store the debugging information that was removed, if requested."""
    if folder is None:
        yield
        return
    from muslbackend.repair.debug_info import DEBUG, put_aside  # seldom asked for

    if not (work / DEBUG).is_dir():
        yield
        return
    with put_aside(work / DEBUG, folder, wheel, {p: e.build_id for p, e in graph.elf.items()}):
        yield


def _opened(order: Order, members: Sequence[Member], graph: Graph) -> Opened | None:
    if order.opener is None:
        return None
    from muslbackend.repair.verify import open_all  # only if asked for

    return open_all(order.opener, members, graph, order.target, order.progress)


def _laid_out(material: Material, order: Order) -> tuple[Material, Scan, Graph, Plan]:
    """Move the wheel's own files to their folders; return them, their graph and the changes."""
    scan, graph = _resolved(material, order)
    moves = layout.moves(graph, (member.path for member in material.members))
    copies = _dropped(material, graph, order.settings.drop_copies)
    if moves or copies:
        from muslbackend.repair import patch

        members = patch.rearrange(material.members, moves, copies)
        material = material._replace(members=tuple(members))
        scan, graph = _resolved(material, order, scan)
    return material, scan, graph, Plan(moves=moves, copies=copies)


def _dropped(material: Material, graph: Graph, globs: Sequence[str]) -> tuple[layout.Copy, ...]:
    """Return the copies of libraries that the settings remove."""
    return layout.copies(graph, *_twins(material), globs) if globs else ()


def _twins(material: Material) -> tuple[dict[str, str], set[str]]:
    """Return the digests of possible copies, and their names that occur in texts of the wheel."""
    by_path = {member.path: member for member in material.members}
    chains = layout.chains(by_path)
    if not chains:
        return {}, set()
    shas = {path: by_path[path].sha256() for chain in chains for path in chain}
    names = sorted({posixpath.basename(path) for path in shas})
    # libx.so is not a match in libx.so.1.
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
    return scan, _ours(resolve(scan, order.target.arch, order.supply), order)


def _ours(graph: Graph, order: Order) -> Graph:
    """Return the graph of a wheel to be tagged, with the symbols that the user assumes."""
    return graph._replace(assumed=order.settings.assume_symbols, ours=True)


def _for_no_musl(material: Material, order: Order) -> Outcome:
    """Write a wheel for any platform, or for another one, unchanged."""
    order.progress.enter("judge")
    verdict = judge(_resolved(material, order)[1], order.target, ANY_LIBC_RULES)
    if not verdict.ok and order.target.strict:
        msg = "the wheel cannot be tagged for any machine; nothing was written"
        raise PolicyError(verdict, msg, hint="see the findings above")
    sizes = _write(order, material, as_it_is=True)
    return Outcome(material.name, verdict, Plan(), None, sizes=sizes)


def _prove(members: Sequence[Member], order: Order, known: _Known) -> tuple[Verdict, Graph]:
    """Read, resolve, judge and plan the patched files again, by the wheel alone.

    Raises ``RuntimeError`` if the promise does not hold: that is a bug of muslbackend.
    """
    order.progress.enter("prove")
    supply = order.supply._replace(directories=(), follow_rpath=False)
    scan = Scan.of_members(members, before=known.scan)
    graph = _ours(resolve(scan, order.target.arch, supply), order)
    verdict = judge(graph, order.target, FINISHED_RULES)
    rest = make_plan(graph, {}, Wishes(expand=to_expand(graph, order.target)))
    if not verdict.ok or not rest.is_empty or verdict.floor != known.verdict.floor:
        msg = f"muslbackend has a bug: after patching, {verdict.findings or rest}"
        raise RuntimeError(msg)
    return verdict, graph


def _write(
    order: Order, material: Material, *, as_it_is: bool = False
) -> dict[str, tuple[int, int]]:
    """Write the wheel, unless it is a dry run; return the sizes of its members."""
    if order.output is None:
        return {}
    packing = Packing(order.settings.compression_level, order.settings.max_size, order.progress)
    original, same = order.original, as_it_is and packing.level == DEFAULT_LEVEL
    if same and original is not None and original.name == str(material.name) and _says(material):
        order.progress.enter("write")
        return copy_wheel(original, order.output).sizes
    return write_wheel(order.output, material.name, tagged_members(material), packing).sizes


def _promise(tags: Iterable[Tag], target: Target) -> tuple[Target, bool]:
    """Return the target with the floor that explicit tags claim, and whether they claim one.

    A floor of the settings within the claimed X.Y takes precedence.
    """
    claimed = claimed_floor(tag.platform for tag in tags)
    if claimed is None:
        return target, False
    refuse_unknown(claimed, "a tag of the wheel", "tag it with a known release: musllinux_1_2")
    own = target.floor
    if own is not None and (own.major, own.minor) == (claimed.major, claimed.minor):
        claimed = max(own, claimed)
    return target._replace(floor=claimed), True


def _wishes(material: Material, expand: frozenset[str], order: Order) -> Wishes:
    taken = Taken(member.path for member in material.members)
    libs_dir = taken.folder(f"{material.name.distribution.partition('-')[0]}.libs")
    keep = order.debug_dir is not None
    return Wishes(libs_dir, expand, order.settings.strip, keep, taken)


def _says(material: Material) -> bool:
    """Return whether the ``WHEEL`` file already has the right declaration of the floor."""
    path = f"{material.name.dist_info}WHEEL"
    said = next((member.read() for member in material.members if member.path == path), b"")
    return with_floor(said, material.floor) == said


def tagged_members(material: Material) -> list[Member]:
    """Return the members with a ``WHEEL`` file for the name and the floor."""
    return [_made(member, material) for member in material.members]


def _made(member: Member, material: Material) -> Member:
    folder = material.name.dist_info
    if member.path == f"{folder}WHEEL":
        said = (material.name.tags, material.generator, material.floor)
        return Member(member.path, retag(member.read(), *said))
    if member.path.startswith(f"{folder}sboms/"):
        from muslbackend.repair.sbom import declaring, sbom_path  # few wheels have one

        if member.path == sbom_path(folder):
            floor = str(material.floor) if material.floor else ""
            return Member(member.path, declaring(member.read(), floor))
    return member
