"""Machines that are made up, and machines that are real and bare, for the tests of doctor."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from muslbackend.cli.doctor.diagnosis import Ability, Compiling, Machine, Python, Running, Tool
from muslbackend.musl.releases import ARCHITECTURES

SCHEMA: Final[dict[str, Any]] = json.loads(
    resources.files("muslbackend").joinpath("report/schemas/doctor.schema.json").read_text("utf-8")
)
TOOLS: Final = ("zig", "cmake", "ninja", "make", "strip", "patchelf", "zlib-ng")
ZIG: Final = Compiling("zig 0.17.0", ("c", "c++"))
PYTHON: Final = Python(
    *("/usr/bin/python3", "3.11.2", "cpython", "linux", "x86_64", "glibc", "2.36"),
    *(".cpython-311-x86_64-linux-gnu.so", "/usr/include/python3.11"),
    None,
    "",
)
RUN: Final = Running("/lib/ld-musl.so.1", "", "1.2.5", None)


def machine(**changes: Any) -> Machine:  # noqa: ANN401 - any field of it
    """Return one that has all, but for what is said."""
    tools = tuple(Tool(name, f"/usr/bin/{name}", "1.0") for name in TOOLS)
    able = dict.fromkeys(ARCHITECTURES, Ability(ZIG, None, RUN))
    return Machine(PYTHON, None, tools, (), "apt", able)._replace(**changes)


def without(*names: str) -> tuple[Tool, ...]:
    """Return its tools, some of them missing."""
    return tuple(Tool(tool.name) if tool.name in names else tool for tool in machine().tools)


def able(arch: str = "", **changes: Any) -> dict[str, Ability]:  # noqa: ANN401 - any field of it
    """Return what is there for one architecture, or each, but for what is said."""
    whole = machine().abilities
    return {n: a._replace(**changes) if arch in ("", n) else a for n, a in whole.items()}
