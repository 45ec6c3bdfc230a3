"""Make a wheel with a true tag from its files. Builds and repairs share this module.

:func:`finish` is the order of the work. Each stage is a function that returns a :class:`Draft` with
one more result.
"""

from __future__ import annotations

import contextlib
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.musl.tags import claimed_floor, refuse_unknown
from muslbackend.policy.registry import ANY_LIBC_RULES, BUILD_RULES, FINISHED_RULES, REPAIR_RULES
from muslbackend.policy.rules.platform import understated
from muslbackend.policy.verdict import PolicyError, Verdict, judge
from muslbackend.repair import layout
from muslbackend.repair.layout import Taken
from muslbackend.repair.libraries import digests
from muslbackend.repair.outcome import Outcome
from muslbackend.repair.plan import Plan, Wishes, expanded, make_plan, to_expand
from muslbackend.repair.write import write
from muslbackend.system.failures import reported_io_errors
from muslbackend.wheel.member import Member
from muslbackend.wheel.writer import Packing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from muslbackend.loader.graph import Graph
    from muslbackend.repair.libraries import Digests
    from muslbackend.repair.request import Material, Order
    from muslbackend.repair.verify import Opened


def finish(material: Material, order: Order) -> Outcome:
    """Make a wheel with a true tag, and return the outcome.

    Raises :class:`PolicyError` if the promise cannot be kept and the target is strict; the output
    folder is then unchanged.
    """
    with reported_io_errors():
        goal, order = _goal(material, order)
        draft = _judged(_arranged(material, order, goal), order, goal)
        draft = _planned(draft, order) if draft.promised else _unchanged(draft, material, order)
        if draft.plan.is_empty or order.output is None:
            # Most builds change no file.
            return _written(_opened(draft, order), order)

        from muslbackend.system.folders import temporary_folder

        with temporary_folder() as work:
            planned = draft
            draft = _patched(planned, order, Path(work))
            draft = _proved(draft, planned, order)
            draft = _opened(draft, order)
            draft = _accounted(draft, order)
            with _debug_info_stored(draft, order, Path(work)):
                return _written(draft, order)


class Draft(NamedTuple):
    """A wheel in the making."""

    material: Material
    """The files as they are now, and the name that they get."""
    scan: Scan
    graph: Graph
    plan: Plan = Plan()
    """The changes to the files; those of :mod:`layout` are applied first, for the graph."""
    expand: frozenset[str] = frozenset()
    """The files in which packed relative relocations will be unpacked; they are in ``graph``
    already."""
    verdict: Verdict = Verdict(None, (), ())
    promised: bool | None = None
    """Whether the tag will promise a musl; ``None`` if there is nothing to promise."""
    digests: Mapping[str, Digests] = {}
    """Of each library to bundle, by its path on the machine that builds."""
    opened: Opened | None = None


class _Goal(Enum):
    """The kinds of result that are acceptable."""

    PROMISE = "a musllinux tag, else an error"
    WISH = "a musllinux tag, else a tag that promises no musl release"
    NO_MUSL = "the tag that it has: it contains no code for musl"


def _goal(material: Material, order: Order) -> tuple[_Goal, Order]:
    """Return the goal, and the order with the floor that tags of the wheel claim.

    A floor of the settings within the claimed X.Y takes precedence.
    """
    tags, target = material.name.tags, order.target
    claimed = claimed_floor(tag.platform for tag in tags)
    if claimed is None:
        if not any(tag.platform.startswith("linux_") for tag in tags):
            return _Goal.NO_MUSL, order
        return (_Goal.PROMISE if target.strict else _Goal.WISH), order
    refuse_unknown(claimed, "a tag of the wheel", "tag it with a known release: musllinux_1_2")
    own = target.floor
    if own is not None and (own.major, own.minor) == (claimed.major, claimed.minor):
        claimed = max(own, claimed)
    return _Goal.PROMISE, order._replace(target=target._replace(floor=claimed))


def _arranged(material: Material, order: Order, goal: _Goal) -> Draft:
    """Resolve the files; move programs and drop copies if necessary, and resolve them again."""
    order.progress.enter("judge")
    draft = _read(material, order)
    if goal is _Goal.NO_MUSL:
        return draft
    moves = layout.moves(draft.graph, (member.path for member in material.members))
    globs = order.options.drop_copies
    copies = layout.copies(draft.graph, *layout.twins(material.members), globs) if globs else ()
    if moves or copies:
        from muslbackend.repair import patch

        members = patch.rearrange(material.members, moves, copies)
        draft = _read(material._replace(members=tuple(members)), order, draft.scan)
    return draft._replace(plan=Plan(moves=moves, copies=copies))


def _read(material: Material, order: Order, before: Scan | None = None) -> Draft:
    platforms = (tag.platform for tag in material.name.tags)
    scan = Scan.of_members(material.members, platforms, before)
    return Draft(material, scan, _ours(resolve(scan, order.target.arch, order.supply), order))


def _ours(graph: Graph, order: Order) -> Graph:
    """Return the graph of a wheel to be tagged, with the symbols that the user assumes."""
    return graph._replace(assumed=order.options.assume_symbols, ours=True)


def _judged(draft: Draft, order: Order, goal: _Goal) -> Draft:
    """Judge the files as they will be. Raises :class:`PolicyError` if they miss the goal."""
    target = order.target
    if goal is _Goal.NO_MUSL:
        verdict = judge(draft.graph, target, ANY_LIBC_RULES)
        if not verdict.ok and target.strict:
            msg = "the wheel cannot be tagged for any machine; nothing was written"
            raise PolicyError(verdict, msg, hint="see the findings above")
        return draft._replace(verdict=verdict)
    expand = to_expand(draft.graph, target)
    graph = expanded(draft.graph, expand)
    verdict = judge(graph, target, REPAIR_RULES if order.supply.foreign else BUILD_RULES)
    if not verdict.ok and goal is _Goal.PROMISE:
        msg = f"the wheel cannot be tagged {target.tag}; nothing was written"
        raise PolicyError(verdict, msg, hint="see the findings above")
    return draft._replace(graph=graph, expand=expand, verdict=verdict, promised=verdict.ok)


def _unchanged(draft: Draft, material: Material, order: Order) -> Draft:
    """Return the wheel with the files that were given, and a tag that promises nothing."""
    if draft.promised is not None:
        name = material.name.tagged(str(order.target.plain_tag), "linux_")
        material = material._replace(name=name)
    return draft._replace(material=material, plan=Plan())


def _planned(draft: Draft, order: Order) -> Draft:
    """Plan the changes, and name the wheel."""
    order.progress.enter("plan")
    material, target = draft.material, order.target
    graph = draft.graph
    found = {path: digests(path, graph.elf[path].rpath) for path in graph.outside()}
    names = {path: both.placeless for path, both in found.items()}
    plan = make_plan(graph, names, _wishes(draft, order))
    grafts = tuple(graft._replace(sha256=found[graft.source].whole) for graft in plan.grafts)
    return draft._replace(
        material=material._replace(
            name=material.name.tagged(str(target.tag), "linux_"), floor=target.declared
        ),
        plan=draft.plan._replace(grafts=grafts, edits=plan.edits),
        digests=found,
    )


def _wishes(draft: Draft, order: Order) -> Wishes:
    taken = Taken(member.path for member in draft.material.members)
    distribution = draft.material.name.distribution
    return Wishes(
        libs_dir=taken.folder(f"{distribution.partition('-')[0]}.libs"),
        expand=draft.expand,
        strip=order.options.strip,
        keep_debug=order.debug_dir is not None,
        taken=taken,
    )


def _patched(draft: Draft, order: Order, work: Path) -> Draft:
    """Apply the plan to copies of the files, in the folder ``work``."""
    from muslbackend.repair import patch

    material = draft.material
    members = patch.apply(
        draft.plan, material.members, work, material.name.dist_info, order.progress
    )
    return _with_members(draft, members)


def _with_members(draft: Draft, members: Sequence[Member]) -> Draft:
    return draft._replace(material=draft.material._replace(members=tuple(members)))


def _proved(draft: Draft, planned: Draft, order: Order) -> Draft:
    """Read, resolve, judge and plan the patched files again, by the wheel alone.

    Then a second reader compares each of them with the plan. Raises ``RuntimeError`` if the promise
    does not hold: that is a bug of muslbackend.
    """
    order.progress.enter("prove")
    supply = order.supply._replace(directories=(), follow_rpath=False)
    scan = Scan.of_members(draft.material.members, before=planned.scan)
    graph = _ours(resolve(scan, order.target.arch, supply), order)
    verdict = judge(graph, order.target, FINISHED_RULES)
    rest = make_plan(graph, {}, Wishes(expand=to_expand(graph, order.target)))
    if not verdict.ok or not rest.is_empty or verdict.floor != planned.verdict.floor:
        msg = f"muslbackend has a bug: after patching, {verdict.findings or rest}"
        raise RuntimeError(msg)
    draft = draft._replace(scan=scan, graph=graph, verdict=verdict)
    if found := "; ".join(_disagreements(draft, planned)):
        msg = f"muslbackend has a bug: after patching, its two readers disagree: {found}"
        raise RuntimeError(msg)
    return draft


def _disagreements(draft: Draft, planned: Draft) -> Iterator[str]:
    """Yield what pyelftools reads in the patched files unlike the plan."""
    from muslbackend.repair.second_reader import Version, disagreements  # if a file was patched

    sources = {graft.dest: graft.source for graft in draft.plan.grafts}
    old = {member.path: member for member in planned.material.members}
    old |= {path: Member(path, Path(source)) for path, source in sources.items()}
    new = {member.path: member for member in draft.material.members}
    for edit in draft.plan.edits:
        path = edit.path
        before = Version(old[path], planned.graph.elf[sources.get(path, path)])
        after = Version(new[path], draft.graph.elf[path])
        yield from (f"{path}: {words}" for words in disagreements(edit, before, after))


def _opened(draft: Draft, order: Order) -> Draft:
    """Open the files with the real loader, if ``verify`` is set."""
    if order.opener is None or not draft.promised:
        return draft
    from muslbackend.repair.verify import open_all  # only if asked for

    members, graph = draft.material.members, draft.graph
    opened = open_all(order.opener, members, graph, order.target, order.progress)
    return draft._replace(opened=opened)


def _accounted(draft: Draft, order: Order) -> Draft:
    """Add the SBOM and the licenses of bundled libraries, and notes on missing ones."""
    material, graph, plan = draft.material, draft.graph, draft.plan
    sbom = f"{material.name.dist_info}sboms/muslbackend.cdx.json"
    if not plan.grafts and all(member.path != sbom for member in material.members):
        return draft
    from muslbackend.repair import inventory  # SBOM, package databases: most builds bundle nothing

    order.progress.enter("inventory")
    places = inventory.Places(order.build_dir, order.sysroot)
    names = {path: both.placeless for path, both in draft.digests.items()}
    libraries = inventory.bundled(plan.grafts, material.members, graph, names, places)
    members, notes = inventory.account_for(
        libraries, material.members, graph, material.name, order.licenses
    )
    findings = (*draft.verdict.findings, *notes)
    return _with_members(draft._replace(verdict=draft.verdict._replace(findings=findings)), members)


@contextlib.contextmanager
def _debug_info_stored(draft: Draft, order: Order, work: Path) -> Iterator[None]:
    """While the wheel is written, store the debugging information that was removed."""
    if order.debug_dir is None:
        yield
        return
    from muslbackend.repair.debug_info import DEBUG, put_aside  # seldom asked for

    if not (work / DEBUG).is_dir():
        yield
        return
    build_ids = {path: elf.build_id for path, elf in draft.graph.elf.items()}
    with put_aside(work / DEBUG, order.debug_dir, str(draft.material.name), build_ids):
        yield


def _written(draft: Draft, order: Order) -> Outcome:
    """Write the wheel, unless it is a dry run, and return the outcome."""
    material, options = draft.material, order.options
    original = order.original if draft.plan.is_empty else None
    packing = Packing(options.compression_level, options.max_size, order.progress)
    sizes = write(material, order.output, packing, original)
    return Outcome(
        material.name,
        _with_warning(draft),
        draft.plan,
        draft.promised,
        sizes,
        draft.opened,
        graph=None if draft.promised is None else draft.graph,
        declared=material.floor,
    )


def _with_warning(draft: Draft) -> Verdict:
    """Return the verdict, with a warning if the files require a later musl than the tag."""
    verdict, name = draft.verdict, draft.material.name
    if not draft.promised:
        return verdict
    platforms = (tag.platform for tag in name.tags)
    more = understated(str(name), platforms, verdict.floor, verdict.alpine)
    return verdict._replace(findings=(*more, *verdict.findings))
