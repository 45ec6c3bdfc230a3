"""A wheel as another backend makes it: an extension that needs a library it does not have."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from packaging.tags import parse_tag

from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member
from muslbackend.wheel.name import WheelName
from support.loaders.samples import Library, lay_out

if TYPE_CHECKING:
    from pathlib import Path

CORE: Final = "demo/_core.cpython-3{}-x86_64-linux-musl.so"
SOURCE: Final = "int words(void); void *PyInit__core(void) { words(); return 0; }\n"


def linked_wheel(folder: Path, path: str, cache: Path, library: str = "libwords.so.1") -> None:
    """Make a wheel at a path below ``folder``, and the library in ``third-party/lib``."""
    name = PurePosixPath(path).name.removesuffix(".whl")
    distribution, tag = name.rsplit("-", 3)[0], "-".join(name.rsplit("-", 3)[1:])
    core = CORE.format(tag[3:5])
    needy = Library(SOURCE, needs=(library,))
    tree = lay_out({core: needy}, folder / "tree", cache)
    words = Library("int words(void) { return 1; }\n", soname=library)
    lay_out({library: words}, folder / "third-party/lib", cache)
    info, says = f"{distribution}.dist-info", f"Wheel-Version: 1.0\nTag: {tag}\n"
    own, _, version = distribution.partition("-")
    metadata = f"Metadata-Version: 2.1\nName: {own}\nVersion: {version}\n"
    members = [
        Member(core, tree / core),
        Member(f"{info}/METADATA", metadata.encode()),
        Member(f"{info}/WHEEL", f"{says}Generator: other (1.2)\nRoot-Is-Purelib: false\n".encode()),
    ]
    write_wheel((folder / path).parent, WheelName(distribution, "", parse_tag(tag)), members)
