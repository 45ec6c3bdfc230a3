r"""Add a musl release, or the musl package of an Alpine release, to the tables in musl/data.

::

    python -m muslbackend.cli.extend_tables --release 1.2.7 --date 2027-03-01 \\
        --commit 0123456789ab build-x86_64/lib/libc.so build-aarch64/lib/libc.so
    python -m muslbackend.cli.extend_tables --alpine 3.30.1 --release 1.2.7 \\
        alpine-x86_64/lib/ld-musl-x86_64.so.1 alpine-aarch64/lib/ld-musl-aarch64.so.1

Pass one file per architecture, which is read from the file. For a release, use upstream builds:
distributions add and remove symbols (Debian adds ``fts_open`` and others). For Alpine, the row
lists the symbols that differ from upstream; add loader features to it by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion, provides

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from muslbackend.musl.releases import Architecture

_DATA = Path(__file__).parents[1] / "musl/data"

#: Symbols that the linker defines.
_LINKER_MADE = frozenset({"__bss_start", "_edata", "_end", "_fini", "_init", "end", "edata"})


def extended(table: str, exported: Collection[str], previous: str, release: str) -> str:
    """Return the text of a symbol table with one more release, newer than all others in it.

    ``previous`` is the newest release in the table, in which the spans of removed symbols end.
    """
    comments = [line for line in table.splitlines() if line.startswith("#")]
    rows = dict(line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    for name, spans in rows.items():
        if spans.endswith("..") and name not in exported:
            rows[name] = spans + previous
    for name in exported:
        spans = rows.get(name, "")
        if not spans.endswith(".."):
            rows[name] = ",".join(filter(None, [spans, f"{release}.."]))
    return "\n".join([*comments, *(f"{name}\t{rows[name]}" for name in sorted(rows)), ""])


def main(argv: Sequence[str] | None = None, data: Path = _DATA) -> int:
    """Rewrite the tables in ``data`` and return 0, or 1 if the release is not a new one."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not options.alpine and not (options.date and options.commit):
        parser.error("a musl release requires --date and --commit")
    text = (data / "releases.tsv").read_text(encoding="utf-8")
    known = [line.split("\t")[0] for line in text.splitlines() if not line.startswith("#")]
    if options.alpine:
        return _add_alpine(options, data, known)
    if MuslVersion.parse(options.release) <= MuslVersion.parse(known[-1]):
        print(f"{options.release} is not newer than {known[-1]}; no table was changed")
        return 1
    tables = {}
    for name, exported in map(_exported, options.libc):
        table = data / f"symbols-{name}.tsv"
        old = table.read_text(encoding="utf-8")
        tables[table] = extended(old, exported, known[-1], options.release)
    for table, new in tables.items():
        table.write_text(new, encoding="utf-8")
        print(f"{table.name}: extended by {options.release}")
    row = "\t".join([options.release, options.date, options.commit])
    (data / "releases.tsv").write_text(f"{text}{row}\n", encoding="utf-8")
    return 0


def _add_alpine(options: argparse.Namespace, data: Path, known: Sequence[str]) -> int:
    """Add rows for an Alpine release; architectures with the same differences share a row."""
    file = data / "alpine.tsv"
    text = file.read_text(encoding="utf-8")
    newest = MuslVersion.parse(text.splitlines()[-1].split("\t")[0])
    if options.release not in known or MuslVersion.parse(options.alpine) <= newest:
        reason = f"{options.alpine} is not newer than {newest}, or {options.release} is unknown"
        print(f"{reason}; no table was changed")
        return 1
    version = MuslVersion.parse(options.release)
    alike: dict[tuple[str, str], list[str]] = {}
    for name, exported in map(_exported, options.libc):
        table = (data / f"symbols-{name}.tsv").read_text(encoding="utf-8")
        has, lacks = compared(table, exported, version)
        mapped = {each for each in has if provides(each, _arch(name), version)}
        alike.setdefault((_listed(has - mapped), _listed(lacks)), []).append(name)
    for (has_text, lacks_text), names in alike.items():
        row = [options.alpine, options.release, _listed(names), has_text, lacks_text]
        text += "\t".join(row) + "\n"
        print(f"{', '.join(names)}: has {has_text}, lacks {lacks_text}")
    file.write_text(text, encoding="utf-8")
    return 0


def compared(
    table: str, exported: Collection[str], release: MuslVersion
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the symbols that a ``libc.so`` adds to an upstream release, and those it lacks."""
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    upstream = frozenset(name for name, text in rows if _contains(text, release)) - _LINKER_MADE
    return frozenset(exported) - upstream, upstream - frozenset(exported)


def _contains(text: str, release: MuslVersion) -> bool:
    """Return whether a release is in spans such as ``1.1.0..1.2.3,1.2.6..``."""
    ends = (part.partition("..") for part in text.split(","))
    return any(
        MuslVersion.parse(first) <= release <= MuslVersion.parse(last or "999.0")
        for first, _, last in ends
    )


def _listed(names: Iterable[str]) -> str:
    return ",".join(sorted(names)) or "-"


def _arch(table: str) -> Architecture:
    return next(arch for arch in ARCHITECTURES.values() if arch.symbols == table)


def _exported(path: Path) -> tuple[str, frozenset[str]]:
    """Return the table name for a ``libc.so``, and the symbols that it exports."""
    elf = read_elf(path.read_bytes())
    if elf.arch is None or "__libc_start_main" not in elf.exports:
        msg = f"{path}: not a libc.so of musl"
        raise MalformedError(msg, hint="pass lib/libc.so of a musl build")
    return ARCHITECTURES[elf.arch].symbols, frozenset(elf.exports) - _LINKER_MADE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="muslbackend.cli.extend_tables", description=__doc__)
    parser.add_argument("--release", required=True, metavar="X.Y.Z")
    parser.add_argument("--date", default="", help="date of the git tag", metavar="YYYY-MM-DD")
    parser.add_argument("--commit", default="", help="commit of the git tag, 12 digits")
    parser.add_argument(
        "--alpine", default="", metavar="X.Y.Z", help="the files are from this Alpine release"
    )
    parser.add_argument("libc", nargs="+", type=Path, metavar="LIBC.SO")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
