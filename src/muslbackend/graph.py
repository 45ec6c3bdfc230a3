"""Who loads whom, as values; :mod:`resolve` makes them.

Two kinds of path meet here, both as text: a path inside the wheel (``demo/_core.so``, from the
root of the archive) and an absolute path on the machine that builds (``/usr/lib/libfoo.so.1``).
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property, wraps

from muslbackend.package import Package
from muslbackend.values import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

    from muslbackend.elf import ElfInfo

    _Others = ParamSpec("_Others")
    _Answer = TypeVar("_Answer")

    class Files(Protocol):
        """What the resolver may ask of the outside world."""

        @property
        def package(self) -> Package:
            """What the wheel says beside its ELF files."""

        def wheel_paths(self) -> tuple[str, ...]:
            """Return the path of every ELF file in the wheel, sorted."""

        def look(self, path: str) -> ElfInfo | str | None:
            """Return what is at ``path``: an ELF file, else why it cannot be loaded, else ``None``.

            A path in the wheel is that of the file once it is installed, or that in the archive.
            """

        def real(self, path: str) -> str:
            """Return the path of the file itself, symlinks followed."""


#: What :meth:`Files.look` says of a folder.
FOLDER: Final = "is a folder"
#: What makes a glob more than a name.
_WILD: Final = frozenset("*?[")


class Via(Enum):
    """How a needed name is satisfied."""

    LOADER = "loader"
    """musl's loader finds it inside the wheel as the files are now."""
    WHEEL = "wheel"
    """It is in the wheel, but the loader will not look there."""
    OUTSIDE = "outside"
    """It is on the machine that builds and must be bundled."""
    PYTHON = "python"
    """It is libpython, whose symbols the interpreter provides."""
    EXCLUDED = "excluded"
    """The settings leave it to the system."""
    SYSTEM = "system"
    """The settings say that every machine has it."""
    MISSING = "missing"


class Unfit(Enum):
    """Why a file of the right name will not do."""

    GLIBC = "was linked against glibc"
    ARCH = "is for another machine"
    BROKEN = "cannot be loaded"
    LIBC = "is a libc, which is never bundled"


class Rejected(NamedTuple):
    """A file that has the needed name and will not do."""

    path: str
    why: Unfit
    detail: str
    """The reason in words, to follow the path."""


class Edge(NamedTuple):
    """One needed name of one file."""

    needer: str
    name: str
    via: Via
    provider: str | None = None
    searched: tuple[str, ...] = ()
    """Where it was looked for, in order; filled in for what is missing."""
    rejected: tuple[Rejected, ...] = ()
    """Files of that name outside the wheel which will not do, in the order of the search."""


def remembered(
    function: Callable[Concatenate[Graph, _Others], _Answer],
) -> Callable[Concatenate[Graph, _Others], _Answer]:
    """Have a function of a graph, and of what can be hashed, work out each answer only once."""

    @wraps(function)
    def answer(graph: Graph, /, *args: _Others.args, **kwargs: _Others.kwargs) -> _Answer:
        asked = (function, args, *kwargs.items())
        if asked not in graph.answers:
            graph.answers[asked] = function(graph, *args, **kwargs)
        found: _Answer = graph.answers[asked]
        return found

    return answer


class _Facts(NamedTuple):
    """What a graph is made of."""

    wheel: tuple[str, ...]
    """ELF files of the wheel, sorted."""
    elf: Mapping[str, ElfInfo]
    """By path: the wheel's files and the libraries outside that they need."""
    broken: Mapping[str, str]
    """Files that begin like ELF but are damaged, and how."""
    loads: Mapping[str, tuple[str, ...]]
    """For each file that is opened by name (extension, program, lone library): it and all that
    is loaded with it, in musl's order."""
    edges: tuple[Edge, ...]
    """Sorted by needer, then in file order; musl itself is not listed."""
    package: Package = Package()


class Graph(_Facts):
    """Every file that is or would be loaded, and every needed name of each."""

    @cached_property
    def answers(self) -> dict[object, Any]:
        """Those of :func:`remembered` functions: many rules ask the same."""
        return {}

    def outside(self) -> tuple[str, ...]:
        """Return the libraries that are not in the wheel, sorted."""
        return tuple(
            sorted({e.provider for e in self.edges if e.via is Via.OUTSIDE and e.provider})
        )

    @remembered
    def opened(self) -> tuple[str, ...]:
        """Return what is opened by ``import`` or by hand, and what that loads; sorted.

        Not what a program loads when it starts.
        """
        loads = (loaded for root, loaded in self.loads.items() if not self.elf[root].executable)
        return tuple(sorted(set().union(*loads)))

    def is_open(self, root: str) -> bool:
        """Say whether something loaded with ``root`` is unknown, so its symbols are too."""
        return not self._needing_unknown().isdisjoint(self.loads[root])

    def loads_unknown(self, path: str) -> bool:
        """Say whether a file is loaded with something unknown, which may define what it lacks."""
        return path in self._loaded_with_unknown()

    @remembered
    def _needing_unknown(self) -> frozenset[str]:
        unknown = (Via.EXCLUDED, Via.SYSTEM, Via.MISSING)
        return frozenset(e.needer for e in self.edges if e.via in unknown)

    @remembered
    def _loaded_with_unknown(self) -> frozenset[str]:
        loads = (loaded for root, loaded in self.loads.items() if self.is_open(root))
        return frozenset().union(*loads)


class Supply(NamedTuple):
    """Where libraries to bundle may be taken from."""

    directories: tuple[str, ...] = ()
    """Absolute folders, in order of preference."""
    follow_rpath: bool = False
    """Also the absolute rpath entries that the linker left in the files."""
    foreign: bool = False
    """Somebody else built the wheel: paths of this machine in its own files are not followed."""
    exclude: tuple[str, ...] = ()
    """Globs of names that are left to the system."""
    system: tuple[str, ...] = ()
    """Globs of names that every machine has."""
    include: tuple[str, ...] = ()
    """Globs of names that are neither, whatever else fits."""
    sysroot: str = ""
    """The folder that libraries below it take for the root of the file system."""
    installed: bool = False
    """They are where the loader of the user's machine looks last: nothing is bundled."""

    def left(self, name: str) -> Via | None:
        """Return how a needed name is left to the machine, ``None`` if it is not."""
        if _fits(name, self.include):
            return None
        if _fits(name, self.system):
            return Via.SYSTEM
        return Via.EXCLUDED if _fits(name, self.exclude) else None


def _fits(name: str, globs: Iterable[str]) -> bool:
    return any(_fits_one(name, glob) for glob in globs)


def _fits_one(name: str, glob: str) -> bool:
    if _WILD.isdisjoint(glob):
        return name == glob
    from fnmatch import fnmatchcase  # most globs are names

    return fnmatchcase(name, glob)
