"""What is fuzzed: each target reads bytes as the program does, and has sound ones to begin with.

A target returns what kind of answer it got: an input that gets a new one is mutated further.
"""

from __future__ import annotations

import io
import re
import tomllib
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from fuzz.elffields import with_field
from fuzz.mutating import mutated
from muslbackend.build.settings import parse_settings
from muslbackend.elf.edit import Edit, edited
from muslbackend.elf.reader import read_elf
from muslbackend.errors import MalformedError, MuslBackendError
from muslbackend.musl.tags import Facts
from muslbackend.policy.check import check_wheel
from muslbackend.repair.options import Options
from muslbackend.repair.repair import repair_wheel
from support.wheels.builders import SOURCE, findings_of, gcc_library, zig_library
from support.wheels.wheels import whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

_WHEEL: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
_CORE: Final = "demo/_core.cpython-311-x86_64-linux-musl.so"
_PATHS: Final = ("-Wl,--hash-style=both", "-Wl,-rpath,$ORIGIN/x")
_VERSIONS: Final = "V1 { global: old; local: *; }; V2 { global: public; } V1;"
_VERSIONED: Final = """\
int inner(void) { return 1; }
int *old(void) { static int a, *p = &a; return p; }
int public(void) { return inner(); }
"""
_HERE: Final = Facts("linux", ".cpython-311-x86_64-linux-gnu.so")
_EDIT: Final = Edit(
    "demo/x.so",
    soname="libx-0123abcd.so.1",
    needed=(("libc.so", "libc-fedcba98.so"),),
    rpath=("$ORIGIN/../demo.libs",),
    expand=True,
)


class Elf:
    """One ELF file: read; judged; rewritten and read again."""

    name: Final = "elf"

    def __init__(self, folder: Path) -> None:
        del folder  # nothing is written

    def seeds(self) -> list[bytes]:
        """Return sound files of several machines and linkers."""
        small = ("-Wl,-s",)
        return [
            zig_library("x86_64", *small, *_PATHS),
            zig_library("i686", *small, *_PATHS),
            zig_library("s390x", *small, "-Wl,--hash-style=sysv"),
            zig_library("aarch64", *small, source="int PyInit_x(void) { return 0; }"),
            gcc_library(_VERSIONED, "-shared", "-s", "-Wl,-z,noseparate-code", script=_VERSIONS),
            gcc_library(SOURCE, "-shared", "-s", "-Wl,-z,pack-relative-relocs"),
        ]

    def mutate(self, data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
        """Return a file that is a little different; half of them in a few fields."""
        changed = with_field(data, chance) if chance.random() < 0.5 else None
        return changed or mutated(data, others, chance)

    def run(self, data: bytes) -> str:
        """Read a file, and if that can be done, judge and rewrite it."""
        info = read_elf(data)
        told = f"{info.bits}{info.byteorder} {len(info.exports) > 0} {len(info.imports)}"
        told += " ".join(sorted(finding.code for finding in findings_of({_CORE: info})))
        try:
            new = b"".join(edited(data, _EDIT).blocks(data))
        except MalformedError as error:
            return told + kind(error)
        again = read_elf(new)
        if again.relr or again.soname not in (info.soname, _EDIT.soname):
            msg = f"was not rewritten: {again.soname}"
            raise AssertionError(msg)
        return told


class Wheel:
    """A wheel: checked, and some of them repaired."""

    name: Final = "wheel"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / _WHEEL
        self._count = 0

    def seeds(self) -> list[bytes]:
        """Return sound wheels, packed in several ways."""
        core = zig_library("x86_64", "-Wl,-s", source="int PyInit__core(void) { return 0; }")
        files: dict[str, bytes | str] = {_CORE: core, "demo/__init__.py": "import os\n"}
        found = []
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w", method) as archive:
                for name, content in whole(_WHEEL, files).items():
                    archive.writestr(zipfile.ZipInfo(name), content, method)
            found.append(stream.getvalue())
        return found

    def mutate(self, data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
        """Return an archive that is a little different, or has members that are."""
        changed = (
            mutated(data, others, chance) if chance.random() < 0.5 else _repacked(data, chance)
        )
        if chance.random() < 0.3:  # what stands in the directory, at the end
            tail = mutated(changed[-900:], others, chance)
            changed = changed[:-900] + tail
        return changed

    def run(self, data: bytes) -> str:
        """Check a wheel; repair some."""
        self._path.write_bytes(data)
        checked = check_wheel(self._path)
        told = " ".join(sorted({f"{f.code}{_digits(f.message)}" for f in checked.verdict.findings}))
        self._count += 1
        if self._count % 4:
            return told
        output = self._folder / "output"
        try:
            repair_wheel(self._path, Options(), _HERE, output)
        except MuslBackendError as error:
            told += kind(error)
            if output.exists():
                msg = "something was written although it failed"
                raise AssertionError(msg) from error
        else:
            for file in output.iterdir():
                file.unlink()
            output.rmdir()
        left = {path.name for path in self._folder.iterdir()} - {_WHEEL}
        if left:
            msg = f"{left} was left behind"
            raise AssertionError(msg)
        return told


def _repacked(data: bytes, chance: Random) -> bytes:
    """Return an archive whose members are changed and its checksums right."""
    stream = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
            infos = old.infolist()
            unlucky = chance.randrange(len(infos)) if infos else 0
            for number, info in enumerate(infos):
                content = old.read(info)
                if number == unlucky and content:
                    content = mutated(content, [content], chance)
                new.writestr(info, content, info.compress_type)
    # Whatever zipfile says of what is damaged already.
    except (zipfile.BadZipFile, ValueError, OSError, zlib.error, NotImplementedError, EOFError):
        return data
    except (RuntimeError, OverflowError, KeyError, IndexError, UnicodeError):
        return data
    return stream.getvalue()


class SettingsReader:
    """``[tool.muslbackend]``, ``-C`` keys and the environment."""

    name: Final = "settings"

    def __init__(self, folder: Path) -> None:
        del folder

    def seeds(self) -> list[bytes]:
        """Return tables as pyproject.toml may have them."""
        texts = (
            'target = "x86_64"\nfloor = "1.2.3"\nstrict = true\nmax-size = "50MB"\n',
            'library-dirs = ["a", "b/c"]\nexclude = ["libz.so*"]\nsystem-libraries = []\n',
            'strip = false\ncompression-level = 9\nmax-unpacked = "1.5GiB"\nverify = true\n',
            'target = "musllinux_1_2_aarch64"\nbundled-licenses = ["libx*=COPYING"]\n',
            'sysroot = "root"\ntoolchain-file = "t.cmake"\nloader = "lib/ld-musl.so.1"\n',
        )
        return [text.encode() for text in texts]

    def mutate(self, data: bytes, others: Sequence[bytes], chance: Random) -> bytes:
        """Return a text that is a little different; sometimes with a word of another."""
        changed = mutated(data, others, chance)
        if chance.random() < 0.3:
            words = re.split(rb"(\W+)", changed)
            words[chance.randrange(len(words))] = chance.choice(re.split(rb"(\W+)", data))
            changed = b"".join(words)
        return changed

    def run(self, data: bytes) -> str:
        """Read a table, and its lines as keys and variables."""
        text = data.decode("utf-8", "replace")
        lines = [line.partition("=") for line in text.splitlines()]
        config = {f"musl.{key.strip()}": value.strip(' "') for key, _, value in lines}
        environ = {f"MUSLBACKEND_{k[5:].upper().replace('-', '_')}": v for k, v in config.items()}
        told = []
        for keys, variables in ((config, {}), ({}, environ)):
            try:
                parse_settings({}, keys, variables)
            except MuslBackendError as error:
                told.append(kind(error))
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            return "".join(told)
        parse_settings(table, {}, {})
        return f"{told} {len(table)}"


TARGETS: Final = {target.name: target for target in (Elf, Wheel, SettingsReader)}


def kind(error: MuslBackendError) -> str:
    """Return what kind of answer an error is."""
    return f"{type(error).__name__} {_digits(error.message)}"


def _digits(message: str) -> str:
    """Return what a message says, whatever numbers and names are in it."""
    return re.sub(r"[\dxa-f]{2,}|\d|'.*?'", "#", message)[:60]
