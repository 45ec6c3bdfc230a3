"""Packages of PyPI, each installed into a folder of its own that goes in front of all others."""

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import muslbackend
from support.projects.building import ON_MUSL
from support.tools.debian import Pin, cached, run, wheel

_VERSION: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"


def for_this_python(requirement: str, on_glibc: str, on_musl: str) -> Pin:
    """Return a package of which there is a wheel for glibc and one for musl, by its hash."""
    return Pin(requirement, on_musl if ON_MUSL else on_glibc)


CMAKES: Final = {
    version: for_this_python(f"cmake=={version}", *hashes)
    for version, hashes in {
        "3.25.2": (
            "f9587645cea5298d5eb20649f58a83cc53c9efa7d57b0716449a39f366a74986",
            "48d9a496eb1b1da375b98753009f3c69a59a207e61ecdb13d2bf06e33491dad3",
        ),
        "4.4.5": (
            "85625a9b6d5e88ff99c7eb79123d85570844e77ac076366cf75c609cc0b1b579",
            "56851f57f3017d81187793fa61f269d583c500c2904aff99cf5208cd341dec79",
        ),
    }.items()
}
CYTHON: Final = (
    Pin("cython==3.3.1", "61abc7feedd20dac6c4ff7ab3a30e17136a067b242ab9253e2b4a6d9a72c2b61"),
    Pin("cython-cmake==0.3.0", "67ac5c790316b0e7f8f196328cf76479a2f181a67205f305b36e44e1559978ba"),
)
NANOBIND: Final = Pin(
    "nanobind==3.1.0", "96984dbe8154ffb86e653b1b60aaeed6985c710c5e75ad0279eb87943c66292d"
)
PYBIND11: Final = {
    "2.13.6": Pin(
        "pybind11==2.13.6", "237c41e29157b962835d356b370ededd57594a26d5894a795960f0047cb5caf5"
    ),
    "3.1.0": Pin(
        "pybind11==3.1.0", "b8488090f8acffbcb6b5d6a85571a6827a0a2981ffb75e5a0b27b87c4a6b7dd0"
    ),
}
#: What has wheels for a Python, and their hashes: for glibc, whose headers cross builds take, and
#: for musl.
_NUMPY: Final = {
    "3.11": (
        "numpy==2.2.6",
        "ba10f8411898fc418a521833e014a77d3ca01c15b0c6cdcce6a0d2897e6dbbdf",
        "9551a499bf125c1d4f9e250377c1ee2eddd02e01eac6644c080162c0c51778ab",
    ),
    "3.12": (
        "numpy==2.2.6",
        "fd83c01228a688733f1ded5201c678f0c53ecc1006ffbc404db9f7a899ac6249",
        "fe27749d33bb772c80dcd84ae7e8df2adc920ae8297400dabec45f0dedb3f6de",
    ),
    "3.13": (
        "numpy==2.2.6",
        "1bc23a79bfabc5d056d106f9befb8d50c31ced2fbc70eedb8155aec74a45798f",
        "b4f13750ce79751586ae2eb824ba7e1e8dba64784086c98cdbbcc6a42112ce0d",
    ),
    "3.14": (
        "numpy==2.5.5",
        "c48960d420e90cf305cb1fde0d4e6082cc90512cda87a9acf0b6e04e91cf4abe",
        "e10e81d1db6c8fa507f61bebfd1ea383971dbc40c2005ed4db88fac5538b1ef6",
    ),
    "3.15": (
        "numpy==2.5.5",
        "9c3e1ac3cd5d3329f4d38709ff4c21f0621bbe8779c094d6de8ec8347246fcdc",
        "bea7de36bb304a850710c1dfbb35e7cdb9a005928106a3adfc6dc3a753469dec",
    ),
}
NUMPY, NUMPY_ON_MUSL = (Pin(_NUMPY[_VERSION][0], hashed) for hashed in _NUMPY[_VERSION][1:])
if ON_MUSL:
    NUMPY = NUMPY_ON_MUSL
#: Wheels for this interpreter are taken under these names.
_PLATFORMS: Final = (
    "musllinux_1_2_x86_64.musllinux_1_1_x86_64"
    if ON_MUSL
    else "manylinux2014_x86_64.manylinux_2_28_x86_64"
)


def installed(pin: Pin, cache: Path) -> Path:
    """Return a folder with one package, without those that it needs."""

    def fill(folder: Path) -> None:
        file = wheel(pin, _PLATFORMS, _VERSION, cache)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
        run([*pip, "--target", folder, file], "see whether this Python has a pip")

    # Its programs name the interpreter of the environment that installs it.
    place = hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]
    name = f"installed-{pin.requirement.replace('==', '-')}-{pin.sha256[:8]}-{place}"
    return cached(cache / name, fill)


def links(pins: Iterable[Pin], platform_tag: str, folder: Path, cache: Path) -> None:
    """Put wheels of packages for this X.Y into a folder, for pip to find them there."""
    for pin in pins:
        file = wheel(pin, platform_tag, _VERSION, cache)
        (folder / file.name).symlink_to(file)


def environment(pins: Iterable[Pin], cache: Path) -> dict[str, str]:
    """Return what makes Pythons import these packages, and shells find their programs."""
    folders = [installed(pin, cache) for pin in pins]
    programs = [*(f"{folder}/bin" for folder in folders), os.environ["PATH"]]
    before = os.environ.get("PYTHONPATH")
    modules = [*map(str, folders), *([before] if before else [])]
    return {"PYTHONPATH": os.pathsep.join(modules), "PATH": os.pathsep.join(programs)}


def lent(pins: Iterable[Pin], cache: Path) -> dict[str, str]:
    """Return the same for a Python of another kind, with what this environment can lend it.

    That is muslbackend and all packages without compiled code: what a build needs.
    """
    variables = environment(pins, cache)
    ours = (str(Path(muslbackend.__file__).parents[1]), sysconfig.get_path("purelib"))
    return {**variables, "PYTHONPATH": os.pathsep.join([variables["PYTHONPATH"], *ours])}
