"""``muslbackend sysroot``: fetch, verify and unpack Alpine packages for a cross build."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.cli.options import Formatter, epilog, folder
from muslbackend.musl.releases import ARCHITECTURES
from muslbackend.report import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslbackend.cli.options import Commands
    from muslbackend.cli.sysroot.build import Result

#: The release without ``--alpine``.
DEFAULT_ALPINE: Final = "3.22"
DEFAULT_MIRROR: Final = "https://dl-cdn.alpinelinux.org/alpine"
DEFAULT_REPOSITORIES: Final = ("main", "community")
_EXAMPLES: Final = (
    "muslbackend sysroot alpine-root --arch aarch64 zlib-dev",
    "muslbackend sysroot alpine-root --arch aarch64 --alpine 3.22 --skip gfortran openblas-dev",
    "muslbackend sysroot root --arch x86_64 --mirror file:/srv/alpine --keys keys zlib-dev",
)
_EXIT_CODES: Final = """\
exit codes: 0 the folder was written, 1 a package or an index is not as signed, or requirements
contradict each other, 2 usage or settings error, 3 a file could not be fetched or written, or
cryptography is missing, 128 + N ended by signal N"""


def add_parser(commands: Commands) -> None:
    """Add the parser of ``muslbackend sysroot``."""
    sysroot = commands.add_parser(
        "sysroot",
        formatter_class=Formatter,
        help="unpack Alpine packages into a folder, as the sysroot of a cross build",
        description="Fetch Alpine packages and the packages that they require, verify their "
        "signatures and digests, and unpack them into DIR. No root is required, nothing in a "
        "package is run. DIR must be new, empty, or made by this command: then it is replaced.",
        epilog=epilog(_EXAMPLES, _EXIT_CODES),
    )
    sysroot.set_defaults(run=run)
    sysroot.add_argument("folder", type=Path, metavar="DIR", help="the folder to write")
    sysroot.add_argument("packages", nargs="+", metavar="PACKAGE", help="as zlib-dev, a=1.2-r0")
    sysroot.add_argument(
        *("--arch",),
        required=True,
        choices=ARCHITECTURES,
        metavar="ARCH",
        help="the architecture, as in wheel tags: x86_64, aarch64, armv7l ...",
    )
    sysroot.add_argument(
        *("--alpine",),
        type=_branch,
        default=DEFAULT_ALPINE,
        metavar="X.Y",
        help=f"the Alpine release, or edge (default: {DEFAULT_ALPINE})",
    )
    _add_sources(sysroot)
    sysroot.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="NAME",
        help="leave out a package that others require (repeatable)",
    )
    text = "print errors only, and show no progress"
    sysroot.add_argument("-q", "--quiet", action="store_true", help=text)


def _add_sources(sysroot: argparse.ArgumentParser) -> None:
    sysroot.add_argument(
        "--mirror",
        default=DEFAULT_MIRROR,
        metavar="URL",
        help=f"the mirror: https:, http: or file: (default: {DEFAULT_MIRROR})",
    )
    sysroot.add_argument(
        "--repository",
        action="append",
        default=[],
        metavar="NAME",
        help="a repository of the mirror, or the URL of another repository, without the "
        "architecture (repeatable; default: main and community)",
    )
    sysroot.add_argument(
        "--key",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="also trust this public key, as of a private repository (repeatable)",
    )
    sysroot.add_argument(
        "--keys",
        type=folder,
        metavar="DIR",
        help="take Alpine's keys from this folder instead of fetching them from alpinelinux.org; "
        "only files with known digests count",
    )


def _branch(text: str) -> str:
    """Return an Alpine release or ``edge``."""
    if not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}|edge", text):
        msg = f"not an Alpine release: {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return text


def run(options: argparse.Namespace) -> int:
    """Write the folder and print the packages in it. Return 0; raises :class:`MuslBackendError`."""
    from muslbackend.cli.sysroot.build import Request, make
    from muslbackend.system.progress import Line

    request = Request(
        folder=options.folder,
        packages=tuple(options.packages),
        arch=options.arch,
        alpine=options.alpine,
        mirror=options.mirror,
        repositories=tuple(options.repository or DEFAULT_REPOSITORIES),
        keys=tuple(options.key),
        keys_folder=Path(options.keys) if options.keys else None,
        skip=frozenset(options.skip),
    )
    with Line(sys.stderr, wanted=not options.quiet) as line:
        result = make(request, line)
    if not options.quiet:
        output = terminal.Output(sys.stdout)
        for text in _table(result):
            output.show(text, table=True)
    return 0


def _table(result: Result) -> Iterator[str]:
    """Yield lines: a row for each package, the sum, notes, and the setting."""
    rows = [(r.name, r.version, r.size, r.installed_size) for r in result.packages]
    total = (f"{len(rows)} packages", "", sum(r[2] for r in rows), sum(r[3] for r in rows))
    names, versions = ([row[column] for row in (*rows, total)] for column in (0, 1))
    wide = [max(map(len, map(str, column))) for column in (names, versions)]
    yield f"{'package':{wide[0]}}  {'version':{wide[1]}}  {'fetched':>10}  {'unpacked':>10}"
    for name, version, size, unpacked in (*rows, total):
        yield f"{name:{wide[0]}}  {version:{wide[1]}}  {_size(size)}  {_size(unpacked)}"
    yield ""
    yield from result.notes
    yield f"sysroot = {_toml(str(result.folder))}"


def _size(size: int) -> str:
    return f"{size / 1e6:7,.2f} MB"


def _toml(text: str) -> str:
    """Return a TOML string; other characters than those of JSON are not escaped differently."""
    import json

    return json.dumps(text, ensure_ascii=False)
