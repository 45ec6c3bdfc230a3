"""musl's architectures, its releases, and the symbols of each release.

``data/symbols-ARCH.tsv`` lists every dynamic symbol of ``libc.so`` in every release. It is read
from builds of the git tags and from distribution packages; the header of each table names them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.system import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Needed libraries whose names start with one of these are musl itself: the loader opens no file
#: (ldso/dynlink.c ``load_library``; musl commit 51e2d831). The dot is part of the prefix:
#: ``libm.so.6`` is musl, ``libm-abc123.so.6`` is a file.
RESERVED_PREFIXES: Final = (
    "libc.",
    "libdl.",
    "libm.",
    "libpthread.",
    "librt.",
    "libutil.",
    "libxnet.",
)

#: The folders that the loader searches last, unless ``/etc/ld-musl-ARCH.path`` lists others
#: (ldso/dynlink.c ``load_library``).
DEFAULT_SEARCH_PATH: Final = ("/lib", "/usr/local/lib", "/usr/lib")


class MuslVersion(NamedTuple):
    """A musl release, ordered by age."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    @cache
    def parse(cls, text: str) -> MuslVersion:
        """Parse ``1.2.3``, or ``1.2`` for ``1.2.0``.

        Raises ``ValueError`` for anything but two or three decimal numbers joined by dots.
        """
        parts = text.split(".")
        if len(parts) not in (2, 3) or not all(p.isdecimal() and len(p) <= 4 for p in parts):
            msg = f"{text!r} is not a musl release such as 1.2.0"
            raise ValueError(msg)
        return cls(*[*map(int, parts), 0][:3])


class Architecture(NamedTuple):
    """An architecture with a musllinux platform tag."""

    name: str
    """As in platform tags: ``x86_64``, ``i686``, ``armv7l`` ..."""
    machine: int
    """``e_machine`` of its ELF files (System V gABI)."""
    bits: int
    byteorder: str
    multiarch: str
    """The platform part of CPython's SOABI on musl; on 32-bit unlike the platform tag."""
    symbols: str
    """NAME of the symbol table ``data/symbols-NAME.tsv``; musl's own name."""
    loader: str
    """ARCH in ``ld-musl-ARCH.so.1`` (musl's ``configure``)."""

    @property
    def loader_name(self) -> str:
        """The file name of musl's dynamic loader."""
        return f"ld-musl-{self.loader}.so.1"


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    arch.name: arch
    for arch in (
        Architecture("x86_64", 62, 64, "little", "x86_64-linux-musl", "x86_64", "x86_64"),
        Architecture("aarch64", 183, 64, "little", "aarch64-linux-musl", "aarch64", "aarch64"),
        Architecture("i686", 3, 32, "little", "i386-linux-musl", "i386", "i386"),
        Architecture("armv7l", 40, 32, "little", "arm-linux-musleabihf", "arm", "armhf"),
        Architecture("armv6l", 40, 32, "little", "arm-linux-musleabihf", "arm", "armhf"),
        Architecture(
            "ppc64le", 21, 64, "little", "powerpc64le-linux-musl", "ppc64le", "powerpc64le"
        ),
        Architecture("s390x", 22, 64, "big", "s390x-linux-musl", "s390x", "s390x"),
        Architecture("riscv64", 243, 64, "little", "riscv64-linux-musl", "riscv64", "riscv64"),
        Architecture(
            "loongarch64", 258, 64, "little", "loongarch64-linux-musl", "loongarch64", "loongarch64"
        ),
    )
}

#: Architectures of musllinux wheels that PyPI accepts (``--arch all``); zig compiles for each.
ON_PYPI: Final = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")


class Release(NamedTuple):
    """A musl release."""

    version: MuslVersion
    date: str
    commit: str


class Span(NamedTuple):
    """Consecutive releases; ``last`` is ``None`` if the newest known release is among them."""

    first: MuslVersion
    last: MuslVersion | None


def is_reserved(needed: str) -> bool:
    """Return whether the loader takes a needed library to be musl itself, by its name."""
    return needed.startswith(RESERVED_PREFIXES)


def is_musl(needed: str, arch: Architecture) -> bool:
    """Return whether a needed library is the running musl on ``arch``."""
    return is_reserved(needed) or needed == arch.loader_name


@cache
def releases() -> tuple[Release, ...]:
    """Return every known musl release, oldest first."""
    return tuple(
        Release(MuslVersion.parse(version), date, commit)
        for version, date, commit in rows("releases.tsv")
    )


def known_release(text: str) -> MuslVersion:
    """Parse the version of a known release.

    Raises ``ValueError`` for any other version.
    """
    version = MuslVersion.parse(text)
    known = [release.version for release in releases()]
    if version not in known:
        import difflib

        near = difflib.get_close_matches(str(version), map(str, known), n=1)
        msg = f"musl {version} is not a known release ({known[0]} to {known[-1]})" + (
            f"; did you mean {near[0]}?" if near else ""
        )
        raise ValueError(msg)
    return version


def spans(symbol: str, arch: Architecture) -> tuple[Span, ...]:
    """Return the releases that resolve a relocation against ``symbol``, oldest first.

    From 1.2.4 on that includes the LFS64 names, which the loader maps to the plain ones although
    libc no longer exports them (musl commit 246f1c81).
    """
    return _spans(_table(arch.symbols).get(symbol, "")) + _spans(_lfs64().get(symbol, ""))


def since(symbol: str, arch: Architecture) -> MuslVersion | None:
    """Return the release from which on every known musl resolves ``symbol``.

    ``None`` if the newest known musl does not: the symbol never existed, or was removed.
    """
    return _since(_table(arch.symbols).get(symbol, ""), _lfs64().get(symbol, ""))


@cache
def todays(arch: Architecture) -> frozenset[str]:
    """Return every symbol that the newest known musl resolves."""
    latest = {**_table(arch.symbols), **_lfs64()}
    return frozenset([name for name, text in latest.items() if text.endswith("..")])


@cache
def _since(*texts: str) -> MuslVersion | None:
    """Return the release from which on the spans of one symbol have no gap.

    Thousands of symbols share a few texts: each is parsed once.
    """
    start: MuslVersion | None = None
    for span in reversed([span for text in texts for span in _spans(text)]):
        if span.last is not None and (start is None or _successor(span.last) != start):
            break
        start = span.first
    return start


def provides(symbol: str, arch: Architecture, version: MuslVersion) -> bool:
    """Return whether a known release resolves a relocation against ``symbol``."""
    return any(
        span.first <= version and (span.last is None or version <= span.last)
        for span in spans(symbol, arch)
    )


@cache
def oldest(arch: Architecture) -> MuslVersion:
    """Return the first release that supports ``arch``."""
    return min(_spans(text)[0].first for text in set(_table(arch.symbols).values()))


def _successor(version: MuslVersion) -> MuslVersion | None:
    known = [r.version for r in releases()]
    return next((v for v in known if v > version), None)


@cache
def _table(name: str) -> Mapping[str, str]:
    return _pairs(f"symbols-{name}.tsv")


@cache
def _lfs64() -> Mapping[str, str]:
    return _pairs("lfs64.tsv")


@cache
def _spans(text: str) -> tuple[Span, ...]:
    """Parse ``1.1.0..1.2.3,1.2.6..``: spans separated by commas, the last one possibly open."""
    found = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("..")
        end = MuslVersion.parse(last) if last else None
        found.append(Span(MuslVersion.parse(first), end))
    return tuple(found)


def rows(name: str) -> Iterator[list[str]]:
    """Yield the columns of each row of a table."""
    return (line.split("\t") for line in _body(name).splitlines())


def _pairs(name: str) -> Mapping[str, str]:
    """Return a table of two columns, which contain no spaces, as a mapping."""
    words = _body(name).split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _body(name: str) -> str:
    """Return the text of a table without its header comment."""
    text = resources.read(f"musl/data/{name}")
    return text[text.index("\n", text.rindex("\n#") + 1) + 1 :]
