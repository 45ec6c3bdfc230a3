r"""Extend the symbol tables by a new musl release, from its ``libc.so`` or ``ld-musl`` file.

::

    python -m muslbackend.data.extend --release 1.2.7 --date 2027-03-01 --commit 0123456789ab \\
        build-x86_64/lib/libc.so build-aarch64/lib/libc.so

One file for each architecture; the architecture is read from the file. Take an upstream build:
distributions patch names in and out (Debian adds ``fts_open`` and others).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from muslbackend.elfreader import read_elf
from muslbackend.errors import MalformedError
from muslbackend.musl import ARCHITECTURES, MuslVersion

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_DATA = Path(__file__).parent

#: Names that the linker makes, not musl.
_LINKER_MADE = frozenset({"__bss_start", "_edata", "_end", "_fini", "_init", "end", "edata"})


def extended(table: str, exported: Collection[str], previous: str, release: str) -> str:
    """Return the text of a symbol table with one more release, which is newer than all in it.

    ``previous`` is the newest release in the table: spans of what is gone end there.
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
    """Rewrite the tables in ``data`` and return 0; a release that is not newer is an error."""
    options = _parser().parse_args(argv)
    releases = data / "releases.tsv"
    text = releases.read_text(encoding="utf-8")
    known = [line.split("\t")[0] for line in text.splitlines() if not line.startswith("#")]
    if MuslVersion.parse(options.release) <= MuslVersion.parse(known[-1]):
        print(f"{options.release} is not newer than {known[-1]}; nothing was changed")
        return 1
    tables = {}
    for path in options.libc:
        elf = read_elf(path.read_bytes())
        if elf.arch is None or "__libc_start_main" not in elf.exports:
            msg = f"{path}: is not a musl libc.so"
            raise MalformedError(msg, hint="give lib/libc.so of a build of musl")
        table = data / f"symbols-{ARCHITECTURES[elf.arch].symbols}.tsv"
        exported = elf.exports - _LINKER_MADE
        old = table.read_text(encoding="utf-8")
        tables[table] = extended(old, exported, known[-1], options.release)
    for table, new in tables.items():
        table.write_text(new, encoding="utf-8")
        print(f"{table.name}: extended by {options.release}")
    row = "\t".join([options.release, options.date, options.commit])
    releases.write_text(f"{text}{row}\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="muslbackend.data.extend", description=__doc__)
    parser.add_argument("--release", required=True, metavar="X.Y.Z")
    parser.add_argument("--date", required=True, help="of the git tag", metavar="YYYY-MM-DD")
    parser.add_argument("--commit", required=True, help="of the git tag, 12 digits")
    parser.add_argument("--alpine", default="", help="first Alpine with it, if there is one")
    parser.add_argument("libc", nargs="+", type=Path, metavar="LIBC.SO")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
