"""Platform tags (PEP 425, PEP 656), and the target that a wheel is built for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, Architecture, MuslVersion, releases

if TYPE_CHECKING:
    from collections.abc import Iterable


#: The default floor: the release that ``musllinux_1_2`` stands for.
DEFAULT_FLOOR: Final = MuslVersion(1, 2, 0)


#: Kinds of platform tags with and without a libc version (PEP 513, 571, 599, 600, 656).
_WITH_VERSION: Final = ("musllinux", "manylinux")
_WITHOUT_VERSION: Final = ("linux", "manylinux1", "manylinux2010", "manylinux2014")


class PlatformTag(NamedTuple):
    """The parts of a platform tag for Linux."""

    kind: str
    """``linux``, ``musllinux`` or ``manylinux``, or a legacy tag such as ``manylinux2014``."""
    arch: str
    version: tuple[int, int] | None = None
    """X and Y of ``musllinux_X_Y`` or ``manylinux_X_Y``."""

    def __str__(self) -> str:
        version = "" if self.version is None else f"_{self.version[0]}_{self.version[1]}"
        return f"{self.kind}{version}_{self.arch}"

    @property
    def floor(self) -> MuslVersion | None:
        """The oldest musl that the tag promises, ``None`` if it is not a musllinux tag."""
        if self.kind != "musllinux" or self.version is None:
            return None
        return MuslVersion(*self.version, 0)

    @classmethod
    def parse(cls, text: str) -> PlatformTag | None:
        """Parse a Linux platform tag; return ``None`` for any other text."""
        kind, _, rest = text.partition("_")
        if not rest.replace("_", "a").isalnum():
            return None
        if kind in _WITHOUT_VERSION:
            return cls(kind, rest)
        major, minor, arch = (*rest.split("_", 2), "", "")[:3]
        if kind in _WITH_VERSION and arch and _is_number(major) and _is_number(minor):
            return cls(kind, arch, (int(major), int(minor)))
        return None


def _is_number(text: str) -> bool:
    """Return whether a number is in canonical form: installers compare tags as strings."""
    return text.isascii() and text.isdecimal() and len(text) <= 4 and str(int(text)) == text


class Facts(NamedTuple):
    """Properties of the running Python interpreter."""

    system: str
    """``sys.platform``."""
    ext_suffix: str
    """``EXT_SUFFIX`` of :mod:`sysconfig`, such as ``.cpython-311-x86_64-linux-gnu.so``."""
    machine: str = ""
    """``platform.machine()``, which distinguishes armv6l from armv7l: their suffix is the same."""
    loader: str | None = None
    """The loader of its executable (PT_INTERP), empty if that is statically linked, ``None`` if
    unknown."""
    implementation: str = "cpython"
    """``sys.implementation.name``."""

    @property
    def musl_arch(self) -> Architecture | None:
        """The architecture if this interpreter was built for musl and runs on it, else ``None``.

        CPython 3.11 and newer have a suffix of their own on musl (bpo-43112).
        """
        return None if self.excluded else self._named_arch

    @property
    def _named_arch(self) -> Architecture | None:
        if self.system != "linux":
            return None
        soabi = self.ext_suffix.removesuffix(".so")
        fitting = [a for a in ARCHITECTURES.values() if soabi.endswith("-" + a.multiarch)]
        return next((a for a in fitting if a.name == self.machine), next(iter(fitting), None))

    @property
    def excluded(self) -> str:
        """The reason why an interpreter related to musl is not compatible with musllinux wheels.

        Empty for any other interpreter. PEP 656 excludes statically linked interpreters. In a mixed
        build, installers go by the loader, but the interpreter itself by its suffix.
        """
        if self.system != "linux" or self.loader is None:
            return ""
        named, runs_on_musl = self._named_arch is not None, "ld-musl-" in self.loader
        if named and not self.loader:
            return (
                "is statically linked: it cannot import extension modules, and pip installs no "
                "musllinux wheels for it (PEP 656)"
            )
        if named and not runs_on_musl:
            return (
                f"is a mixed build: it looks for extension modules named {self.ext_suffix}, "
                f"and runs on {self.loader}; pip installs no musllinux wheels for it (PEP 656)"
            )
        if runs_on_musl and not named:
            return (
                f"is a mixed build: it runs on {self.loader}, and looks for extension modules "
                f"named {self.ext_suffix or '.so'}, which other interpreters for musl ignore"
            )
        return ""


class Target(NamedTuple):
    """The architecture and the musl releases that a wheel is built for."""

    arch: Architecture
    floor: MuslVersion | None
    """The oldest musl on which every file must load; ``None`` for a plain ``linux`` tag."""
    native: bool
    """The wheel is built by and for the running interpreter, with the machine's libraries."""
    strict: bool
    """A wheel that does not support ``floor`` is an error; otherwise it gets a ``linux`` tag."""

    @property
    def tag(self) -> PlatformTag:
        """The platform tag for ``floor``."""
        if self.floor is None:
            return self.plain_tag
        return PlatformTag("musllinux", self.arch.name, (self.floor.major, self.floor.minor))

    @property
    def declared(self) -> MuslVersion | None:
        """The floor if it has a patch number, which a tag cannot express: the wheel declares it."""
        return self.floor if self.floor is not None and self.floor.patch else None

    @property
    def plain_tag(self) -> PlatformTag:
        """The ``linux`` tag, which makes no promise: for local installation, refused by PyPI."""
        return PlatformTag("linux", self.arch.name)

    def ext_suffix(self, soabi: str) -> str:
        """Return the suffix of extension modules; ``soabi`` is such as ``cpython-311``."""
        return f".{soabi}-{self.arch.multiarch}.so"


def claimed_floor(platforms: Iterable[str]) -> MuslVersion | None:
    """Return the oldest floor of the musllinux tags, ``None`` without any."""
    tags = (PlatformTag.parse(platform) for platform in platforms)
    return min((tag.floor for tag in tags if tag and tag.floor), default=None)


def refuse_unknown(floor: MuslVersion, name: str, hint: str) -> None:
    """Raise :class:`SettingsError` if ``name`` promises a floor that is not a known release."""
    known = [release.version for release in releases()]
    if floor not in known:
        known_range = f"{known[0]} to {known[-1]}"
        msg = f"{name} promises musl {floor}, which is not a known release ({known_range})"
        raise SettingsError(msg, hint=hint)


#: Other names for the architectures.
_OTHER_NAMES: Final = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "armhf": "armv7l",
    "i386": "i686",
    "powerpc64le": "ppc64le",
    "ppc64el": "ppc64le",
    "x64": "x86_64",
    "x86": "i686",
}


def alike(name: str, *others: str) -> str | None:
    """Return the closest match of ``name`` among architectures and ``others``, if any."""
    import difflib

    near = [_OTHER_NAMES[name]] if name in _OTHER_NAMES else []
    near += difflib.get_close_matches(name, [*others, *ARCHITECTURES], n=1)
    return next(iter(near), None)
