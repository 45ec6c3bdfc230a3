"""Who loads whom, as values; :mod:`resolve` makes them.

Two kinds of path meet here, both as text: a path inside the wheel (``demo/_core.so``, from the
root of the archive) and an absolute path on the machine that builds (``/usr/lib/libfoo.so.1``).
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property, wraps
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, ParamSpec, Protocol, TypeVar

from muslbackend.elf.info import extension_suffix, names_library
from muslbackend.loader.closures import union
from muslbackend.loader.loading import Loads
from muslbackend.wheel.package import Package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Set

    from muslbackend.elf.info import ElfInfo

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

        def folders_with(self, name: str) -> Set[str]:
            """Return the folders of the installed wheel with a file or a folder of that name.

            The root is ``.``; ``name`` is that of one thing, no path.
            """

        def real(self, path: str) -> str:
            """Return the path of the file itself, symlinks followed."""


#: What :meth:`Files.look` says of a folder.
FOLDER: Final = "is a folder"
#: So many needed names of a file are each told of; of more it is said how many.
_MOST_OF_A_FILE: Final = 20
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


class Aside(NamedTuple):
    """ELF files of the wheel that are treated differently, all by path."""

    data: Mapping[str, str] = {}
    """Files that nothing loads, and a description of each; they are in no other field."""
    ignored: Mapping[str, bool] = {}
    """Files that the settings exclude from judgement, likewise; ``True``: the loader, or the
    kernel, of the target could map the file."""
    needed: Mapping[str, str] = {}
    """Files that are judged although the settings ignore them, and the name of a file that needs
    each."""
    in_place: frozenset[str] = frozenset()
    """Files that are judged and not changed."""


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
    is loaded with it, in musl's order. Where many files load many, go through ``loading``."""
    edges: tuple[Edge, ...]
    """Sorted by needer, then in file order; musl itself is not listed."""
    package: Package = Package()
    aside: Aside = Aside()
    assumed: tuple[str, ...] = ()
    """Globs of symbols that the user says libraries outside of the wheel define."""
    ours: bool = False
    """The tag is one that we write: it rests on the files and on what the user says alone."""


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

    @cached_property
    def loading(self) -> Loads:
        """The same as ``loads``, to ask which files are loaded together without a list of them."""
        return Loads.of(self.loads)

    def loaders(self, path: str) -> int:
        """Return the files that are opened and load a file, as bits."""
        return self.loading.loaders().get(path, 0)

    @remembered
    def not_programs(self) -> int:
        """Return what is opened by ``import`` or by hand, as bits."""
        return self.loading.mask(root for root in self.loads if not self.is_program(root))

    def is_program(self, path: str) -> bool:
        """Say whether a file is a program, and not a library that can be started too.

        Libraries that tell their version when they are started have a PT_INTERP.
        """
        named = names_library(path) or extension_suffix(path) is not None
        return self.elf[path].executable and not named

    def is_plugin(self, path: str) -> bool:
        """Say whether a file is opened by hand, perhaps after others that it takes symbols from.

        It is no program, and by name and content no extension module.
        """
        elf = self.elf[path]
        extension = elf.modules or extension_suffix(path) or path in self._imported()
        return not (elf.executable or extension)

    @remembered
    def _imported(self) -> frozenset[str]:
        """Return the opened files of which ``import`` finds the function in what they load.

        ``dlsym`` searches that too (``do_dlsym``, ldso/dynlink.c).
        """
        roots: dict[str, list[str]] = {}
        for root in self.loads:
            stem = root.rpartition("/")[2].partition(".")[0]
            roots.setdefault(f"PyInit_{stem}", []).append(root)
        return frozenset(
            root
            for path, mask in self.loading.loaders().items()
            for function in self.elf[path].modules
            for root in roots.get(function, ())
            if mask & self.loading.mask([root])
        )

    @remembered
    def plugins(self) -> int:
        """Return the plugins among the files that are opened, as bits."""
        return self.loading.mask(root for root in self.loads if self.is_plugin(root))

    @remembered
    def opened(self) -> tuple[str, ...]:
        """Return what is opened by ``import`` or by hand, and what that loads; sorted.

        Not what a program loads when it starts.
        """
        roots = self.not_programs()
        return tuple(sorted(p for p, mask in self.loading.loaders().items() if mask & roots))

    def is_open(self, root: str) -> bool:
        """Say whether something loaded with ``root`` is unknown, so its symbols are too."""
        return bool(self._with_unknown() & self.loading.mask([root]))

    def loads_unknown(self, path: str) -> bool:
        """Say whether a file is loaded with something unknown, which may define what it lacks."""
        return bool(self._with_unknown() & self.loaders(path))

    @remembered
    def _with_unknown(self) -> int:
        unknown = (Via.EXCLUDED, Via.SYSTEM, Via.MISSING)
        return union(
            self.loaders(path) for path in {e.needer for e in self.edges if e.via in unknown}
        )


def first_of_each(edges: Iterable[Edge]) -> Iterator[tuple[Edge, str]]:
    """Yield the first of very many edges of each file, and how many more there are, in words."""
    for _, group in groupby(edges, key=attrgetter("needer")):
        same = list(group)
        more = len(same) - _MOST_OF_A_FILE
        for edge in same[: _MOST_OF_A_FILE - 1]:
            yield edge, ""
        for edge in same[_MOST_OF_A_FILE - 1 : _MOST_OF_A_FILE]:
            yield edge, f"; so it is with {more} more of its needed names" if more > 0 else ""


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
    ignore: tuple[str, ...] = ()
    """Globs of files of the wheel that are not judged."""
    in_place: tuple[str, ...] = ()
    """Globs of files of the wheel that are judged and not changed: nothing is bundled for them."""

    def left(self, name: str) -> Via | None:
        """Return how a needed name is left to the machine, ``None`` if it is not."""
        if fits(name, self.include):
            return None
        if fits(name, self.system):
            return Via.SYSTEM
        return Via.EXCLUDED if fits(name, self.exclude) else None


def fits_path(path: str, globs: Iterable[str]) -> bool:
    """Say whether a glob fits a path in the wheel; one without a slash, whether it fits the name.

    ``*`` stands for slashes too.
    """
    name = path.rpartition("/")[2]
    return any(_fits_one(path if "/" in glob else name, glob) for glob in globs)


def fits(name: str, globs: Iterable[str]) -> bool:
    """Say whether a name is one of the globs, or matched by one."""
    return any(_fits_one(name, glob) for glob in globs)


def _fits_one(name: str, glob: str) -> bool:
    if _WILD.isdisjoint(glob):
        return name == glob
    from fnmatch import fnmatchcase  # most globs are names

    return fnmatchcase(name, glob)
