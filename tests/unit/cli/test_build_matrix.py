"""The build matrix: requested architectures and Pythons, installed ones, and the project's."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from muslbackend.build.cross.compilers import ZIG_TARGETS
from muslbackend.cli.multibuild import matrix
from muslbackend.cli.multibuild.matrix import Interpreter
from muslbackend.cli.options import config_settings
from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, ON_PYPI

ANY = SpecifierSet()


def python(
    minor: int, folder: str = "/usr/bin", *missing: str, free: bool = False, kind: str = "cpython"
) -> Interpreter:
    program = f"{folder}/python3.{minor}{'t' if free else ''}"
    return Interpreter(program, (3, minor, 4), kind, free, missing)


def tags(pythons: tuple[Interpreter, ...]) -> list[str]:
    return [interpreter.tag for interpreter in pythons]


def test_all_means_the_architectures_of_pypi_that_zig_supports() -> None:
    assert set(ON_PYPI) <= set(ZIG_TARGETS) & set(ARCHITECTURES)
    assert set(ZIG_TARGETS) - set(ON_PYPI) == {"loongarch64", "armv6l"}
    assert matrix.architectures(["all"], "x86_64") == ON_PYPI


def test_lists_split_at_commas_and_spaces_without_repeats() -> None:
    asked = matrix.words(["x86_64, aarch64", "i686 x86_64", ""])
    assert asked == ("x86_64", "aarch64", "i686")
    assert matrix.architectures(asked, "s390x") == asked
    assert matrix.architectures(["s390x", "all"], "x86_64")[:2] == ("s390x", "x86_64")
    assert len(matrix.architectures(["s390x", "all"], "x86_64")) == len(ON_PYPI)


def test_the_machines_own_architecture_is_the_default() -> None:
    assert matrix.architectures([], "riscv64") == ("riscv64",)
    with pytest.raises(SettingsError, match="this machine is sparc64; musllinux wheels"):
        matrix.architectures([], "sparc64")


@pytest.mark.parametrize(
    ("word", "near"),
    [("arm64", "aarch64"), ("amd64", "x86_64"), ("x86_46", "x86_64"), ("al", "all")],
)
def test_an_unknown_architecture_is_an_error_with_a_suggestion(word: str, near: str) -> None:
    with pytest.raises(SettingsError) as caught:
        matrix.architectures(["x86_64", word], "x86_64")
    assert f"--arch {word}: unknown architecture" in str(caught.value)
    assert f"did you mean {near}? choose from all, x86_64, " in str(caught.value)


@pytest.mark.parametrize(
    ("word", "tag"),
    [
        ("3.12", "cp312"),
        ("cp312", "cp312"),
        ("3.13t", "cp313t"),
        ("cp313t", "cp313t"),
        ("3.12.1", None),
        ("2.7", None),
        ("312", None),
        ("./python", None),
    ],
)
def test_versions_are_written_in_two_ways(word: str, tag: str | None) -> None:
    assert matrix.version_tag(word) == tag


def test_the_oldest_comes_first_and_each_version_once() -> None:
    found = [python(13, free=True), python(13), python(11, "/a"), python(11, "/b")]
    chosen, notes = matrix.fitting(found, ANY, asked=False)
    assert [p.program for p in chosen] == [
        "/a/python3.11",
        "/usr/bin/python3.13",
        "/usr/bin/python3.13t",
    ]
    assert notes == ()
    assert matrix.fitting(found, ANY, asked=True)[1] == (
        "left out  /b/python3.11: same version as /a/python3.11",
    )


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (python(10), "it is 3.10.4; builds require 3.11 or later"),
        (python(12, kind="pypy"), "it is pypy, not CPython"),
        (python(12, "/usr/bin", "venv", "headers"), "it lacks venv and headers"),
        (python(14), "it is 3.14.4; requires-python is <3.14"),
    ],
)
def test_an_interpreter_that_cannot_build_is_skipped_or_an_error(
    bad: Interpreter, problem: str
) -> None:
    requires = SpecifierSet("<3.14")
    chosen, notes = matrix.fitting([bad, python(11)], requires, asked=False)
    assert tags(chosen) == ["cp311"]
    assert notes == (f"left out  {bad.program}: {problem}",)
    with pytest.raises(SettingsError) as caught:
        matrix.fitting([bad, python(11)], requires, asked=True)
    assert str(caught.value).startswith(f"{bad.program} cannot build this project: {problem}\n")


def test_missing_parts_have_an_install_command() -> None:
    with pytest.raises(SettingsError, match=r"apt install python3\.12-venv python3\.12-dev"):
        matrix.fitting([python(12, "/usr/bin", "headers")], ANY, asked=True)


ALL = (python(11), python(12), python(13), python(13, free=True), python(15, free=True))


@pytest.mark.parametrize(
    ("py_api", "makers"),
    [
        ("", ["cp311", "cp312", "cp313", "cp313t", "cp315t"]),
        ("cp311", ["cp311", "cp313t", "cp315t"]),
        # Older ones than the stable ABI make wheels of their own.
        ("cp312", ["cp311", "cp312", "cp313t", "cp315t"]),
        ("cp314", ["cp311", "cp312", "cp313", "cp313t", "cp315t"]),
        ("cp312.cp313t", ["cp311", "cp312", "cp313t"]),
        ("py3", ["cp311"]),
        ("py2.py3", ["cp311"]),
    ],
)
def test_one_wheel_for_many_pythons_is_made_once(py_api: str, makers: list[str]) -> None:
    chosen, notes = matrix.makers(ALL, py_api)
    assert tags(chosen) == makers
    assert len(notes) == len(ALL) - len(makers)


def test_a_note_names_the_interpreter_that_builds_the_wheel() -> None:
    _, notes = matrix.makers((python(11), python(12), python(13)), "cp312")
    assert notes == ("left out  cp313: uses the wheel of cp312 (cp312)",)


def test_py_api_is_read_from_the_places_of_scikit_build_core() -> None:
    table = {"wheel": {"py-api": "cp311"}}
    assert matrix.wheel_api({}, {}, {}) == ""
    assert matrix.wheel_api({}, table, {}) == "cp311"
    assert matrix.wheel_api({"wheel.py-api": "py3"}, table, {}) == "py3"
    assert matrix.wheel_api({"skbuild.wheel.py-api": "py3"}, table, {}) == "py3"
    environ = {"SKBUILD_WHEEL_PY_API": "cp312"}
    assert matrix.wheel_api({"wheel.py-api": "py3"}, table, environ) == "cp312"


def test_every_architecture_is_built_with_every_interpreter() -> None:
    made = matrix.jobs(("x86_64", "i686"), (python(11), python(13, free=True)))
    assert [job.name for job in made] == [
        "x86_64-cp311",
        "x86_64-cp313t",
        "i686-cp311",
        "i686-cp313t",
    ]


def test_repeated_settings_become_a_list() -> None:
    given = config_settings(["a=1", "b=x=y", "a=2", "a=3", "c"])
    assert given == {"a": ["1", "2", "3"], "b": "x=y", "c": ""}


def test_a_job_sets_its_target_and_is_strict() -> None:
    config = config_settings(["musl.floor=1.2.3", "musl.target=i686"])
    assert matrix.job_settings(config, "s390x", verify=False) == {
        "musl.strict": "true",
        "musl.floor": "1.2.3",
        "musl.target": "s390x",
    }
    lax = {"musl.strict": "false"}
    assert matrix.job_settings(lax, "s390x", verify=True) == {
        "musl.strict": "false",
        "musl.verify": "true",
        "musl.target": "s390x",
    }
