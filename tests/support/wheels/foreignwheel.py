"""Wheels as other backends make them, of small libraries that are linked for the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from packaging.tags import parse_tag

from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member
from muslbackend.wheel.name import WheelName
from support.loaders.samples import Library, extension, function, lay_out
from support.wheels.builders import gcc_library

if TYPE_CHECKING:
    from pathlib import Path

TAG: Final = "cp311-cp311-linux_x86_64"
WHEEL_FILE: Final = "Wheel-Version: 1.0\nGenerator: other (1.2)\nRoot-Is-Purelib: {}\nTag: {}\n"
METADATA: Final = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"
CORE: Final = "demo/_core.so"
NEEDY: Final = extension("f", needs=("libf.so.1",))
MANY: Final = "".join(f"int g{n}(int x) {{ return x + {n}; }}\n" for n in range(50))


def debugging() -> bytes:
    """Return a libf.so.1 with much in it that strip takes out."""
    return gcc_library(function("f").source + MANY, "-g", "-shared")


def make(  # noqa: PLR0913
    folder: Path,
    files: dict[str, Library | bytes],
    cache: Path,
    tag: str = TAG,
    *,
    purelib: str = "false",
    distribution: str = "demo-1.0",
) -> Path:
    """Return the wheel that another backend would have made of the files."""
    tree = lay_out(files, folder / "tree", cache)
    found = [
        Member(p.relative_to(tree).as_posix(), p, executable=p.suffix == "")
        for p in sorted(tree.rglob("*"))
        if p.is_file()
    ]
    found += [
        Member(
            f"{distribution}.dist-info/METADATA", METADATA.format(*distribution.split("-")).encode()
        ),
        Member(f"{distribution}.dist-info/WHEEL", WHEEL_FILE.format(purelib, tag).encode()),
    ]
    return write_wheel(folder / "in", WheelName(distribution, "", parse_tag(tag)), found).path
