"""The table of wrong wheels in ``docs/explanation.md``, as ``tests/truth/corpus.tsv`` has it.

PYTHONPATH=src:tests python -m support.wheels.wild    prints it
"""

from __future__ import annotations

from typing import Final

from muslbackend.musl.alpine import alpine_with
from support.wheels.corpus import ROWS, Row

HEAD: Final = ("wheel", "machines", "the tag says", "it loads from", "because of", "codes")
#: Of a wheel that loads on no musl: its codes, and what is wrong.
NEVER: Final = {
    frozenset({"MB101"}): "libraries that are not in it",
    frozenset({"MB101", "MB105"}): "it was linked to glibc",
    frozenset({"MB102", "MB104"}): "a symbol that no musl has",
}


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a wheel, all but the machine, which comes second."""
    promised = ".".join(row.platform.split("_")[1:3])
    if row.floor is None:
        floor, reason = "none", NEVER[row.errors]
    else:
        floor = f"{row.floor}, Alpine {alpine_with(row.floor)}"
        reason = ", ".join(f"`{name}`" for name in sorted(row.reasons))
    name = row.pin.requirement.replace("==", " ")
    return name, promised, floor, reason, ", ".join(sorted(row.errors))


def wrong() -> list[list[str]]:
    """Return the rows of the table: wheels whose tag is not true, in the order of the corpus."""
    machines: dict[tuple[str, ...], list[str]] = {}
    for row in ROWS:
        if row.errors:
            machines.setdefault(cells(row), []).append(row.arch)
    return [[name, ", ".join(found), *rest] for (name, *rest), found in machines.items()]


if __name__ == "__main__":
    for line in (HEAD, ("---",) * len(HEAD), *wrong()):
        print("|", " | ".join(line), "|")
