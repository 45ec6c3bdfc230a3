"""For whom we build: architecture, the oldest musl promised, and how strict the promise is.

Platform tags are read and printed here (PEP 656, PEP 425).
"""

from __future__ import annotations

from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, Architecture, MuslVersion, releases
from muslbackend.system.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final, NoReturn

    from muslbackend.build.settings import Settings

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


def decide(settings: Settings, facts: Facts) -> Target | None:
    """Return what to build for, or ``None`` when nothing musl is asked for.

    ``None`` means: the result is scikit-build-core's own. Raises :class:`SettingsError` when the
    settings contradict each other or name an architecture that musl does not have.
    """
    here = facts.musl_arch
    if settings.target in ("auto", "host"):
        if here is None:
            return None
        return Target(here, settings.floor or DEFAULT_FLOOR, native=True, strict=settings.strict)
    arch, floor = _named_target(settings)
    # The same architecture on a musl interpreter is an ordinary native build.
    native = here == arch
    return Target(arch, floor, native=native, strict=settings.strict or not native)


def _named_target(settings: Settings) -> tuple[Architecture, MuslVersion]:
    """Return the architecture and the floor that ``target`` names, one way or the other."""
    name = settings.target
    if name in ARCHITECTURES:
        return ARCHITECTURES[name], settings.floor or DEFAULT_FLOOR
    tag = PlatformTag.parse(name)
    if tag is None or tag.floor is None or tag.arch not in ARCHITECTURES:
        _refuse(name)
    refuse_unknown(tag.floor, f"target = {name}", "name a known release, as musllinux_1_2 does")
    floor = settings.floor or tag.floor
    if (floor.major, floor.minor) != tag.version:
        raise SettingsError(
            f"target = {name} promises another musl than floor = {floor}",
            hint="drop one of the two",
        )
    return ARCHITECTURES[tag.arch], floor


def claimed_floor(platforms: Iterable[str]) -> MuslVersion | None:
    """Return the oldest musl that musllinux tags promise, ``None`` if there is no such tag."""
    tags = (PlatformTag.parse(platform) for platform in platforms)
    return min((tag.floor for tag in tags if tag and tag.floor), default=None)


def repair_target(
    platforms: Iterable[str],
    settings: Settings,
    facts: Facts,
    declared: MuslVersion | None = None,
) -> Target | None:
    """Return what a finished wheel is to promise, ``None`` for a wheel that is for any machine.

    ``platforms`` are those of its tags. The floor is that of the settings, else the one that the
    wheel declares, else the ``X.Y.0`` that a tag claims, else :data:`DEFAULT_FLOOR`. Raises
    :class:`SettingsError` for a wheel that is not for one architecture of musl, and for a tag of a
    musl that is not known.
    """
    platforms = sorted(set(platforms))
    if platforms == ["any"]:
        return None
    tags = [tag for text in platforms if (tag := PlatformTag.parse(text)) is not None]
    ours = [tag for tag in tags if tag.kind in ("linux", "musllinux")]
    archs = sorted({tag.arch for tag in ours})
    if len(archs) != 1 or archs[0] not in ARCHITECTURES:
        raise SettingsError(
            f"a wheel for {' and '.join(platforms)} cannot be made one for musl",
            hint="give a wheel that is tagged linux_ARCH or musllinux_X_Y_ARCH, for one of "
            + ", ".join(ARCHITECTURES),
        )
    arch = ARCHITECTURES[archs[0]]
    floor = settings.floor or declared or claimed_floor(platforms) or DEFAULT_FLOOR
    refuse_unknown(floor, " and ".join(platforms), "give --floor with one of these")
    return Target(arch, floor, native=facts.musl_arch == arch, strict=True)


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


def _refuse(name: str) -> NoReturn:
    near = alike(name, "auto", "host")
    raise SettingsError(
        f"target = {name!r} is nothing that can be built for",
        hint=(f"did you mean {near}? " if near else "")
        + f"there are auto, host, {', '.join(ARCHITECTURES)}, "
        "and tags such as musllinux_1_2_x86_64",
    )
