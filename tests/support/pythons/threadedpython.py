"""A free-threaded CPython, compiled from Debian's source: no package of it has one.

One for glibc, to cross-build with, and one for musl, to build in and to run what was built.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from support.loaders.loaders import loader
from support.pythons.compiledpython import compile_python, compiler_for_musl
from support.tools.debian import cached, say

VERSION: Final = "3.13"
#: What builds need, and no more; the rest is left out for the time it takes.
OPTIONS: Final = ("--disable-gil", "--without-ensurepip", "--disable-test-modules")


def make(cache: Path) -> Path:
    """Return a python3.13t, with headers; compiling it takes some minutes the first time."""
    return _make(cache.absolute() / f"python-{VERSION}t", {"CC": "gcc"}, cache)


def make_for_musl(cache: Path) -> Path:
    """Return one for musl, whose programs this machine runs: they name a loader in ``cache``."""
    prefix = cache.absolute() / f"python-{VERSION}t-musl"
    if prefix.is_dir():
        return _program(prefix)
    flag = f'-Wl,--dynamic-linker="{loader("1.2.5", cache.absolute())}"'
    return _make(prefix, compiler_for_musl(prefix, flag), cache)


def _program(prefix: Path) -> Path:
    return prefix / f"bin/python{VERSION}t"


def _make(prefix: Path, environment: Mapping[str, str], cache: Path) -> Path:
    def fill(folder: Path) -> None:
        say(f"compiling {prefix.name}")
        compile_python(VERSION, prefix, OPTIONS, environment, cache, folder)

    return _program(cached(prefix, fill))
