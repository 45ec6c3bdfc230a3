"""The dependency graph of a wheel's ELF files, as values; :mod:`resolve` creates them.

There are two kinds of path, both as text: a path inside the wheel (``demo/_core.so``, from the root
of the archive) and an absolute path on the machine that builds (``/usr/lib/libfoo.so.1``).
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Concatenate, Final, NamedTuple, ParamSpec, Protocol, TypeVar

from muslbackend.elf.info import extension_suffix, names_library
from muslbackend.loader.loads import Loads, union
from muslbackend.wheel.package import Package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Set

    from muslbackend.elf.info import ElfInfo

    _Arguments = ParamSpec("_Arguments")
    _Result = TypeVar("_Result")

    class Files(Protocol):
        """The files that the resolver can read."""

        @property
        def package(self) -> Package:
            """Facts from the Python files and the metadata of the wheel."""

        def wheel_paths(self) -> tuple[str, ...]:
            """Return the path of every ELF file in the wheel, sorted."""

        def look(self, path: str) -> ElfInfo | str | None:
            """Return an ELF file, the reason why it cannot be loaded, or ``None`` if it is absent.

            A path in the wheel is the installed path or the path in the archive.
            """

        def folders_with(self, name: str) -> Set[str]:
            """Return the folders of the installed wheel that contain a file or folder of a name.

            The root is ``.``; ``name`` contains no slash.
            """

        def real(self, path: str) -> str:
            """Return a path with all symlinks resolved."""


#: The answer of :meth:`Files.look` for a folder.
FOLDER: Final = "is a folder"
#: Needed names of a file that are reported one by one; the others are counted.
_MOST_OF_A_FILE: Final = 20
#: Characters that make a glob more than a name.
_WILD: Final = frozenset("*?[")


class Via(Enum):
    """The way in which a needed name is satisfied."""

    LOADER = "loader"
    """musl's loader finds it inside the wheel as the files are now."""
    WHEEL = "wheel"
    """It is in the wheel, in a folder that the loader does not search."""
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
    """The reason why a file of the right name cannot be used."""

    GLIBC = "was linked against glibc"
    ARCH = "is for another machine"
    BROKEN = "cannot be loaded"
    LIBC = "is a libc, which is never bundled"


class Rejected(NamedTuple):
    """A file that has the needed name and cannot be used."""

    path: str
    why: Unfit
    detail: str
    """The reason as a phrase that follows the path in a message."""


class Edge(NamedTuple):
    """One needed name of one file."""

    needer: str
    name: str
    via: Via
    provider: str | None = None
    searched: tuple[str, ...] = ()
    """The folders that were searched, in order; only if the name is missing."""
    rejected: tuple[Rejected, ...] = ()
    """External files of that name that cannot be used, in the order of the search."""


class Aside(NamedTuple):
    """ELF files of the wheel that are treated differently, all by path."""

    data: Mapping[str, str] = {}
    """Files that nothing loads, and a description of each; they are in no other field."""
    ignored: Mapping[str, bool] = {}
    """Files that the settings exclude from judgement, likewise; ``True`` if the loader or the
    kernel of the target could map the file."""
    needed: Mapping[str, str] = {}
    """Files that are judged although the settings ignore them, each with the name of a file that
    requires it."""
    in_place: frozenset[str] = frozenset()
    """Files that are judged and not changed."""


class _Fields(NamedTuple):
    """The fields of a graph."""

    wheel: tuple[str, ...]
    """ELF files of the wheel, sorted."""
    elf: Mapping[str, ElfInfo]
    """By path, the wheel's files and the external libraries that they require."""
    broken: Mapping[str, str]
    """Damaged ELF files, with the reason."""
    loads: Mapping[str, tuple[str, ...]]
    """For each file that is opened by name (extension, program, lone library), the file itself and
    the files loaded with it, in musl's order. ``loading`` is cheaper for large graphs."""
    edges: tuple[Edge, ...]
    """Sorted by needer, then in file order; musl itself is not listed."""
    package: Package = Package()
    aside: Aside = Aside()
    assumed: tuple[str, ...] = ()
    """Globs of symbols that external libraries define, according to the settings."""
    ours: bool = False
    """The tag is written by muslbackend: it depends on the files and the settings alone."""


class Graph(_Fields):
    """Every file that is loaded, and every needed name of each."""

    @cached_property
    def _computed(self) -> dict[object, Any]:
        """The results of :meth:`once`; a changed copy of the graph starts without any."""
        return {}

    def once(
        self,
        function: Callable[Concatenate[Graph, _Arguments], _Result],
        *arguments: _Arguments.args,
        **none: _Arguments.kwargs,
    ) -> _Result:
        """Return ``function(graph, *arguments)``, computed once: several rules ask for the same.

        The arguments must be hashable.
        """
        key = (function, arguments)
        if key not in self._computed:
            self._computed[key] = function(self, *arguments, **none)
        result: _Result = self._computed[key]
        return result

    def outside(self) -> tuple[str, ...]:
        """Return the external libraries, sorted."""
        return tuple(
            sorted({e.provider for e in self.edges if e.via is Via.OUTSIDE and e.provider})
        )

    @cached_property
    def loading(self) -> Loads:
        """``loads`` as bit sets: which files are loaded together, without a list of them."""
        return Loads.of(self.loads)

    def loaders(self, path: str) -> int:
        """Return the roots that load a file, as bits."""
        return self.loading.loaders().get(path, 0)

    @cached_property
    def not_programs(self) -> int:
        """The roots that ``import`` or ``dlopen`` opens, as bits."""
        return self.loading.mask(root for root in self.loads if not self.is_program(root))

    def is_program(self, path: str) -> bool:
        """Return whether a file is a program, not a library that can also be started.

        Some libraries have a PT_INTERP because they print their version when started.
        """
        named = names_library(path) or extension_suffix(path) is not None
        return self.elf[path].executable and not named

    def is_plugin(self, path: str) -> bool:
        """Return whether ``dlopen`` opens a file, possibly after files that define its symbols.

        It is neither a program nor, by name and content, an extension module.
        """
        elf = self.elf[path]
        extension = elf.modules or extension_suffix(path) or path in self._imported
        return not (elf.executable or extension)

    @cached_property
    def _imported(self) -> frozenset[str]:
        """The roots whose init function is defined by a file that they load.

        ``dlsym`` searches the dependencies too (``do_dlsym``, ldso/dynlink.c).
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

    @cached_property
    def plugins(self) -> int:
        """The plugins among the roots, as bits."""
        return self.loading.mask(root for root in self.loads if self.is_plugin(root))

    @cached_property
    def opened(self) -> tuple[str, ...]:
        """The files that ``import`` or ``dlopen`` opens or loads, sorted.

        Files that only a program loads are not included.
        """
        roots = self.not_programs
        return tuple(sorted(p for p, mask in self.loading.loaders().items() if mask & roots))

    def is_open(self, root: str) -> bool:
        """Return whether a library that is loaded with ``root`` has unknown symbols."""
        return bool(self._with_unknown & self.loading.mask([root]))

    def loads_unknown(self, path: str) -> bool:
        """Return whether a file is loaded with an unknown library, which may define its symbols."""
        return bool(self._with_unknown & self.loaders(path))

    @cached_property
    def _with_unknown(self) -> int:
        unknown = (Via.EXCLUDED, Via.SYSTEM, Via.MISSING)
        return union(
            self.loaders(path) for path in {e.needer for e in self.edges if e.via in unknown}
        )


def first_of_each(edges: Iterable[Edge]) -> Iterator[tuple[Edge, str]]:
    """Yield the first edges of each file, the last of them with the number of the others."""
    for _, group in groupby(edges, key=attrgetter("needer")):
        same = list(group)
        more = len(same) - _MOST_OF_A_FILE
        for edge in same[: _MOST_OF_A_FILE - 1]:
            yield edge, ""
        for edge in same[_MOST_OF_A_FILE - 1 : _MOST_OF_A_FILE]:
            yield edge, f"; the same applies to {more} more of its needed names" if more > 0 else ""


class Supply(NamedTuple):
    """The sources of libraries to bundle."""

    directories: tuple[str, ...] = ()
    """Absolute folders, in order of preference."""
    follow_rpath: bool = False
    """Search the absolute rpath entries that the linker left in the files too."""
    foreign: bool = False
    """The wheel was built elsewhere: absolute paths in its files are not followed."""
    exclude: tuple[str, ...] = ()
    """Globs of names that the system provides."""
    system: tuple[str, ...] = ()
    """Globs of names that every machine provides."""
    include: tuple[str, ...] = ()
    """Globs of names that are bundled, even if another glob matches."""
    sysroot: str = ""
    """The folder that libraries below it use as the root of the file system."""
    installed: bool = False
    """The folders are the default search path of the user's machine: nothing is bundled."""
    ignore: tuple[str, ...] = ()
    """Globs of files of the wheel that are not judged."""
    in_place: tuple[str, ...] = ()
    """Globs of files of the wheel that are judged and not changed; nothing is bundled for them."""

    def left(self, name: str) -> Via | None:
        """Return the setting that leaves a needed name to the machine, else ``None``."""
        if fits(name, self.include):
            return None
        if fits(name, self.system):
            return Via.SYSTEM
        return Via.EXCLUDED if fits(name, self.exclude) else None


def fits_path(path: str, globs: Iterable[str]) -> bool:
    """Return whether a glob matches a path in the wheel, or the file name if it has no slash.

    ``*`` matches slashes too.
    """
    name = path.rpartition("/")[2]
    return any(_fits_one(path if "/" in glob else name, glob) for glob in globs)


def fits(name: str, globs: Iterable[str]) -> bool:
    """Return whether a glob matches a name."""
    return any(_fits_one(name, glob) for glob in globs)


def _fits_one(name: str, glob: str) -> bool:
    if _WILD.isdisjoint(glob):
        return name == glob
    from fnmatch import fnmatchcase  # most globs are names

    return fnmatchcase(name, glob)
