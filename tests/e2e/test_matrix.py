"""Each machine: examples in C and C++ are cross-built, and opened by its real loader.

For x86_64 and aarch64 there is a real musl CPython, which installs and uses them as well. Marked
`matrix` is what takes too long for every run: zig compiles its C++ library for each machine.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from elftools.elf.enums import ENUM_E_MACHINE

from support.loaders.elforacle import oracle
from support.loaders.loaders import dlopen, loader
from support.loaders.places import OLDEST, RELEASES
from support.projects.building import (
    PROJECT,
    PY,
    PipWheel,
    assert_record_is_true,
    build,
    members,
    pip_install,
    python,
)
from support.wheels.unpacked import SITE, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Machine(NamedTuple):
    """The expected properties of the files for a machine, independent of our own tables."""

    suffix: str
    kind: str
    bits: int
    byteorder: str
    flags: int
    """ARM: EABI 5, hard float. POWER: ABI 2. RISC-V: compressed code, double precision."""


MACHINES: Final = {
    "x86_64": Machine("x86_64-linux-musl", "EM_X86_64", 64, "little", 0),
    "aarch64": Machine("aarch64-linux-musl", "EM_AARCH64", 64, "little", 0),
    "i686": Machine("i386-linux-musl", "EM_386", 32, "little", 0),
    "armv7l": Machine("arm-linux-musleabihf", "EM_ARM", 32, "little", 0x5000400),
    "ppc64le": Machine("powerpc64le-linux-musl", "EM_PPC64", 64, "little", 2),
    "s390x": Machine("s390x-linux-musl", "EM_S390", 64, "big", 0),
    "riscv64": Machine("riscv64-linux-musl", "EM_RISCV", 64, "little", 5),
}
#: Machines with a real musl CPython.
USED: Final = ("x86_64", "aarch64")


class Example(NamedTuple):
    """A project, the expected contents of its wheel, and the output."""

    folder: str
    package: str
    """It has one extension, with the same name after an underscore."""
    script: str
    printed: str
    libraries: frozenset[str] = frozenset()
    """The bundled libraries, without the hash in their names."""
    opened: str = ""
    """The output when the extension is opened."""


#: Printed by a constructor, so that the code runs without a Python, too.
RAN: Final = "2 3, no real root of -9.000000, 4 taken"
BINDING_SCRIPT: Final = """
import roots
try:
    roots.roots([16, -1])
except ValueError as error:
    print(roots.roots([25]), error, roots.taken())
"""
EXAMPLES: Final = {
    "plain": Example(
        "examples/plain", "plain", "import plain; print(plain.hypotenuse(3, 4))", "5.0\n"
    ),
    "private-library": Example(
        "examples/private-library",
        "motto",
        "import motto; print(motto.motto())",
        "The tag is a promise\n",
        frozenset({"libmotto.so.1", "libwords.so.2"}),
    ),
    "binding": Example(
        "tests/binding",
        "roots",
        BINDING_SCRIPT,
        f"{RAN}\n[5.0] no real root of -1.000000 7\n",
        opened=RAN,
    ),
}
IN_C: Final = ("plain", "private-library")
IN_CXX: Final = ("binding",)


class Crossed(NamedTuple):
    arch: str
    example: Example
    wheel: Path


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Return the wheel of an example for a machine, which is built once."""

    @functools.cache
    def wheel(arch: str, example: str) -> Path:
        project = tmp_path_factory.mktemp(arch) / "project"
        shutil.copytree(PROJECT / EXAMPLES[example].folder, project)
        return build(project, f"musl.target={arch}").wheel

    return wheel


@pytest.fixture(
    params=[
        pytest.param((arch, name), id=f"{arch}-{name}", marks=marks)
        for names, marks in ((IN_C, ()), (IN_CXX, pytest.mark.matrix))
        for arch in MACHINES
        for name in names
    ]
)
def crossed(request: pytest.FixtureRequest, cross: Callable[[str, str], Path]) -> Crossed:
    """An example that was cross-built on this machine."""
    arch, name = request.param
    return Crossed(arch, EXAMPLES[name], cross(arch, name))


def without_hash(name: str) -> str:
    return re.sub(r"-[0-9a-f]{8}(?=\.so)", "", name)


def test_the_wheel_is_for_that_machine_and_musl(crossed: Crossed) -> None:
    machine, package = MACHINES[crossed.arch], crossed.example.package
    assert crossed.wheel.name == f"{package}-1.0-{PY}-{PY}-musllinux_1_2_{crossed.arch}.whl"
    assert_record_is_true(crossed.wheel)
    contents = members(crossed.wheel)
    elf = {name: oracle(data) for name, data in contents.items() if data[:4] == b"\x7fELF"}
    assert {without_hash(name) for name in elf} == {
        f"{package}/_{package}.cpython-{PY[2:]}-{machine.suffix}.so",
        *(f"{package}.libs/{library}" for library in crossed.example.libraries),
    }
    for name, info in elf.items():
        expected = (ENUM_E_MACHINE[machine.kind], machine.bits, machine.byteorder, machine.flags)
        assert (info.machine, info.bits, info.byteorder, info.flags) == expected, name
        assert not info.version_needs, name  # glibc's symbols have versions, musl's have none
    needed = {without_hash(name) for info in elf.values() for name in info.needed}
    assert needed == crossed.example.libraries | {"libc.so"}  # zig's name for musl's libc


def test_loaders_of_that_machine_open_each_file(
    crossed: Crossed, cache: Path, tmp_path: Path
) -> None:
    unpack(crossed.wheel, tmp_path)
    files = [f for f in (tmp_path / SITE).rglob("*.so*") if f.read_bytes()[:4] == b"\x7fELF"]
    assert len(files) == 1 + len(crossed.example.libraries)
    for release in {"1.2.5", *RELEASES}:
        if release < OLDEST.get(crossed.arch, ""):
            continue
        real = loader(release, cache, crossed.arch)
        for file in files:
            outcome = dlopen(real, file, stub_python=True, cache=cache)
            opened = (outcome.state, outcome.words)
            assert opened == ("loads", crossed.example.opened), (release, file)


@pytest.fixture(scope="module")
def interpreter(
    musl_python: Path, emulated_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return the python of a virtual environment on a machine, with the pip of its base."""

    @functools.cache
    def venv(arch: str) -> Path:
        base, folder = {"x86_64": musl_python, "aarch64": emulated_python}[arch], tmp_path_factory
        made = folder.mktemp("venv")
        # A separate pip would be compiled again, which takes a minute in QEMU.
        options = ["--without-pip", "--system-site-packages"]
        subprocess.run([base, "-m", "venv", *options, made], check=True)
        return made / "bin/python"

    return venv


@pytest.mark.parametrize(
    "names", [pytest.param(IN_C, id="C"), pytest.param(IN_CXX, marks=pytest.mark.matrix, id="C++")]
)
@pytest.mark.parametrize("arch", USED)
def test_a_musl_python_of_that_machine_installs_and_uses_the_wheel(
    arch: str,
    names: tuple[str, ...],
    cross: Callable[[str, str], Path],
    interpreter: Callable[[str], Path],
) -> None:
    there = interpreter(arch)
    assert python(there, "import platform; print(platform.machine())") == f"{arch}\n"
    said = pip_install(there, *(cross(arch, name) for name in names))
    for example in (EXAMPLES[name] for name in names):
        assert f"{example.package}-1.0" in said[said.index("Successfully installed") :]
        assert python(there, example.script) == example.printed


@pytest.mark.matrix
def test_the_emulated_python_makes_whole_environments(
    emulated_python: Path, tmp_path: Path, cross: Callable[[str, str], Path]
) -> None:
    subprocess.run([emulated_python, "-m", "venv", tmp_path / "venv"], check=True)
    there = tmp_path / "venv/bin/python"
    pip_install(there, cross("aarch64", "plain"))
    assert python(there, EXAMPLES["plain"].script) == EXAMPLES["plain"].printed


@pytest.mark.network
@pytest.mark.parametrize(
    "name", ["private-library", pytest.param("binding", marks=pytest.mark.matrix)]
)
def test_crossed_and_native_wheels_have_the_same_files(
    name: str, cross: Callable[[str, str], Path], pip_wheel: PipWheel, tmp_path: Path
) -> None:
    """Of bundled libraries the name has a part made of their bytes, which are each compiler's own.

    Which libraries there are and where is a matter of the project alone.
    """
    project = tmp_path / "project"
    shutil.copytree(PROJECT / EXAMPLES[name].folder, project)
    native, crossed = pip_wheel(project).wheel, cross("x86_64", name)
    assert native.name == crossed.name
    here, there = (list(map(without_hash, members(wheel))) for wheel in (native, crossed))
    assert here == there
