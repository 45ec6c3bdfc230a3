"""The page of the Python API, ``docs/api.md``: its example is run, its table is complete."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import muslbackend.api
from support.tools.page import Page
from support.wheels.builders import zig_library
from support.wheels.wheels import write

if TYPE_CHECKING:
    from pathlib import Path

    from support.tools.page import Block

PAGE: Final = Page("docs/api.md")
CALLS: Final = "int f(void);\nint PyInit__core(void) { return f(); }"


@PAGE.given("", "from muslbackend.api import FindingsError, check_wheel, repair_wheel")
def test_the_example_runs(snippets: list[Block], tmp_path: Path) -> None:
    (snippet,) = snippets
    folder = tmp_path / "third-party/lib"
    folder.mkdir(parents=True)
    library = folder / "libf.so.1"
    library.write_bytes(zig_library("x86_64", "-Wl,-soname,libf.so.1", source="int f(void) {}"))
    core = zig_library("x86_64", str(library), source=CALLS)
    write(tmp_path / "demo-1.0-cp311-cp311-linux_x86_64.whl", {"demo/_core.so": core})

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", snippet.text],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    found, made = run()
    assert found.startswith("MB101 demo/_core.so ")
    assert re.fullmatch(r"demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl works on musl 1\.\S+", made)
    library.unlink()
    assert run()[-1].endswith("['MB101']")


def test_every_public_name_and_field_is_in_the_table() -> None:
    rows = dict(re.findall(r"(?m)^\| `(\w+)([^|]*\|.*)\|$", PAGE.text))
    assert set(rows) == set(muslbackend.api.__all__)
    for name, row in rows.items():
        public = getattr(muslbackend.api, name)
        if dataclasses.is_dataclass(public):
            names = [field.name for field in dataclasses.fields(public)]
        elif inspect.isfunction(public):
            names = list(inspect.signature(public).parameters)
        else:
            continue
        assert [n for n in names if not re.search(rf"\b{n}\b", row)] == [], name


def test_every_block_belongs_to_a_test() -> None:
    assert PAGE.left_over() == []
