"""The output of ``check --json`` matches its schema; test_reference.py tests the page."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from muslbackend.cli.main import main
from support.wheels.builders import zig_library
from support.wheels.wheels import write

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final[dict[str, Any]] = json.loads(
    resources.files("muslbackend").joinpath("report/schemas/check.schema.json").read_text("utf-8")
)
CALLS: Final = "extern int {0}(void); int PyInit__core(void) {{ return {0}(); }}"


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> str:
    return str(write(folder / name, files))


@pytest.fixture
def wheels(tmp_path: Path) -> list[str]:
    """Wheels: sound, for a later musl, damaged in two ways, pure Python, and not a wheel."""
    tag = "1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
    core = "demo/_core.so"
    sound, late = (zig_library("x86_64", source=CALLS.format(s)) for s in ("getpid", "statx"))
    needy = zig_library(
        "x86_64", "-Wl,-rpath,$ORIGIN/x", "-Wl,-soname,a.so", source=CALLS.format("x")
    )
    return [
        wheel(tmp_path, f"sound-{tag}", {core: sound}),
        wheel(tmp_path, f"late-{tag}", {core: late, "demo/a.so": needy}),
        wheel(tmp_path, f"cut-{tag}", {core: sound[:700]}),
        wheel(tmp_path, "pure-1.0-py3-none-any.whl", {"demo.py": b"x = 1"}),
        str(tmp_path / "gone-1.0-py3-none-any.whl"),
    ]


def printed(wheels: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    main(["check", "--json", *wheels])
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_output_matches_the_schema(
    wheels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed(wheels, capsys)
    assert len(found) == len(wheels)
    jsonschema.validate(found, SCHEMA)


@pytest.mark.parametrize(("key", "value"), [("floor", "1.2"), ("news", 1), ("ok", None)])
def test_the_schema_is_strict(
    key: str, value: object, wheels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed(wheels[:1], capsys)
    found[0][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA)
