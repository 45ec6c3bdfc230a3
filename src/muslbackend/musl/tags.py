"""For whom we build: architecture, the oldest musl promised, and how strict the promise is.

Platform tags are read and printed here (PEP 656, PEP 425).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, Architecture, MuslVersion, releases

if TYPE_CHECKING:
    from collections.abc import Iterable


#: The oldest musl promised when nothing else is asked for: what ``musllinux_1_2`` says.
DEFAULT_FLOOR: Final = MuslVersion(1, 2, 0)


#: Kinds of platform tags, by whether they name the version of a libc (PEP 513, 571, 599, 600, 656).
_WITH_VERSION: Final = ("musllinux", "manylinux")
_WITHOUT_VERSION: Final = ("linux", "manylinux1", "manylinux2010", "manylinux2014")


class PlatformTag(NamedTuple):
    """A platform tag for Linux, taken apart."""

    kind: str
    """``linux``, ``musllinux`` or ``manylinux``, or an old ``manylinux2014``."""
    arch: str
    version: tuple[int, int] | None = None
    """X and Y of ``musllinux_X_Y`` or ``manylinux_X_Y``."""

    def __str__(self) -> str:
        version = "" if self.version is None else f"_{self.version[0]}_{self.version[1]}"
        return f"{self.kind}{version}_{self.arch}"

    @property
    def floor(self) -> MuslVersion | None:
        """The oldest musl that it promises, ``None`` if it promises none."""
        if self.kind != "musllinux" or self.version is None:
            return None
        return MuslVersion(*self.version, 0)

    @classmethod
    def parse(cls, text: str) -> PlatformTag | None:
        """Return the parts of a Linux platform tag, ``None`` for any other platform."""
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
    """Say whether this is how installers write a number; they compare tags as strings."""
    return text.isascii() and text.isdecimal() and len(text) <= 4 and str(int(text)) == text


class Facts(NamedTuple):
    """What the entry point read from the interpreter that runs us."""

    system: str
    """``sys.platform``."""
    ext_suffix: str
    """``EXT_SUFFIX`` of sysconfig, such as ``.cpython-311-x86_64-linux-gnu.so``."""
    machine: str = ""
    """``platform.machine()``: tells armv6l from armv7l, whose suffix is the same."""
    loader: str | None = None
    """The loader that its file names (PT_INTERP), empty for one that is linked statically;
    ``None`` if that is not known."""
    implementation: str = "cpython"
    """``sys.implementation.name``."""

    @property
    def musl_arch(self) -> Architecture | None:
        """The architecture if this interpreter was built for musl and runs on it, else ``None``.

        CPython 3.11 and newer say so in their suffix, and look for nothing else (bpo-43112).
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
        """Why no musllinux tag goes with this interpreter, though it has to do with musl.

        Empty for any other. PEP 656 leaves out interpreters that are linked statically, and mixed
        builds: installers look at the loader, the interpreter itself at its suffix.
        """
        if self.system != "linux" or self.loader is None:
            return ""
        named, runs_on_musl = self._named_arch is not None, "ld-musl-" in self.loader
        if named and not self.loader:
            return (
                "is linked statically: it can import no extension module, and pip takes no "
                "musllinux wheel for it (PEP 656)"
            )
        if named and not runs_on_musl:
            return (
                f"is a mixed build: it looks for extension modules named {self.ext_suffix}, "
                f"and runs on {self.loader}; pip takes no musllinux wheel for it (PEP 656)"
            )
        if runs_on_musl and not named:
            return (
                f"is a mixed build: it runs on {self.loader}, and looks for extension modules "
                f"named {self.ext_suffix or '.so'}, which other interpreters for musl pass over"
            )
        return ""


class Target(NamedTuple):
    """What the wheel is for, and what we promise of it."""

    arch: Architecture
    floor: MuslVersion | None
    """The oldest musl on which every file must load; ``None``: nothing is promised."""
    native: bool
    """Built by and for the interpreter that runs us, with the machine's own libraries."""
    strict: bool
    """A promise that cannot be kept is an error, not a plain ``linux`` tag."""

    @property
    def tag(self) -> PlatformTag:
        """The platform tag that the promise earns."""
        if self.floor is None:
            return self.plain_tag
        return PlatformTag("musllinux", self.arch.name, (self.floor.major, self.floor.minor))

    @property
    def declared(self) -> MuslVersion | None:
        """The floor, where the tag has no place for it: one that the wheel has to declare."""
        return self.floor if self.floor is not None and self.floor.patch else None

    @property
    def plain_tag(self) -> PlatformTag:
        """The tag that promises nothing: for a local install, refused by PyPI."""
        return PlatformTag("linux", self.arch.name)

    def ext_suffix(self, soabi: str) -> str:
        """Return the suffix of extension modules for this target; ``soabi`` is ``cpython-311``."""
        return f".{soabi}-{self.arch.multiarch}.so"


def claimed_floor(platforms: Iterable[str]) -> MuslVersion | None:
    """Return the oldest musl that musllinux tags promise, ``None`` if there is no such tag."""
    tags = (PlatformTag.parse(platform) for platform in platforms)
    return min((tag.floor for tag in tags if tag and tag.floor), default=None)


def refuse_unknown(floor: MuslVersion, name: str, hint: str) -> None:
    """Raise for a floor that a tag names and that is no release: nothing is known of it."""
    known = [release.version for release in releases()]
    if floor not in known:
        msg = f"{name} promises musl {floor}, which is not known (known: {known[0]} to {known[-1]})"
        raise SettingsError(msg, hint=hint)


#: What others call these architectures.
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
    """Return the architecture, or which of ``others``, that ``name`` may stand for."""
    import difflib  # only for what is wrong

    near = [_OTHER_NAMES[name]] if name in _OTHER_NAMES else []
    near += difflib.get_close_matches(name, [*others, *ARCHITECTURES], n=1)
    return next(iter(near), None)
