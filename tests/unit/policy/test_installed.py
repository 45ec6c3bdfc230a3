"""Whether installers take a wheel, and where they put its files.

The same wheels go through pip, uv and installer in ``tests/e2e/test_installers.py``.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli import main
from muslbackend.policy.check import check_wheel
from support.wheels import wheels
from support.wheels.hostile import counted, soon, sparing
from support.wheels.installed import DEEPER, FILE, NAMES, PLACES, WHEEL_FILES, Case

if TYPE_CHECKING:
    from pathlib import Path

EVERY: Final = {**WHEEL_FILES, **NAMES, **PLACES, **DEEPER}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_said_of_a_wheel(name: str, tmp_path: Path) -> None:
    case = EVERY[name]
    found = check_wheel(case.write(tmp_path)).verdict.findings
    said = [f"{f.severity.value}[{f.code}] {f.message}" for f in found]
    if case.says:
        assert any(line.startswith(case.says) for line in said), said
    else:
        assert said == []


def test_other_data_folders_than_the_wheels_own_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["check", str(PLACES["a folder that nobody knows"].write(tmp_path))]) == 1
    assert "error[MB143] demo-1.0.data: contains files that are not in" in capsys.readouterr().out
    assert main.main(["check", str(PLACES["a folder of another wheel"].write(tmp_path))]) == 1
    assert f"error[MB143] {FILE}: contains other-1.0.data besides" in capsys.readouterr().out


@pytest.mark.parametrize("name", EVERY)
def test_repair_writes_nothing_of_what_installers_refuse(name: str, tmp_path: Path) -> None:
    case = EVERY[name]
    (tmp_path / "given").mkdir()
    words = ["repair", str(case.write(tmp_path / "given")), "--output", str(tmp_path / "out")]
    refused = case.says.startswith("error")
    assert main.main(words) == (1 if refused else 0)
    assert (tmp_path / "out").exists() != refused


def test_a_thousand_files_in_the_places_of_others_are_a_few_findings(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    once = {f"demo/{n}": "" for n in range(1000)}
    twice = {f"demo-1.0.data/platlib/demo/{n}": "" for n in range(1000)}
    path = wheels.write(tmp_path / FILE, once | twice)
    with counted(pytestconfig), soon(), sparing():
        assert main.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.count("error[MB142]") == 6
    assert (f"{FILE}: has 995 more files that are installed to the path of another file") in out


@pytest.mark.parametrize("line", ["a:\n", "a: b\n c\n", "Tag: a-b-c\n"])
def test_a_file_of_nothing_but_fields_takes_little(
    line: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    many = line * (1_000_000 // len(line))
    case = Case("", "", about=many, metadata=many * 10)
    path = str(case.write(tmp_path))
    with counted(pytestconfig):
        with soon():
            assert main.main(["check", path]) == 1
        with sparing():
            main.main(["check", path])


def test_record_may_have_a_dot_in_front_of_its_paths(tmp_path: Path) -> None:
    files = wheels.whole(FILE, {"demo/__init__.py": "", "demo/a,b": ""})
    record = files["demo-1.0.dist-info/RECORD"].decode().splitlines(keepends=True)
    dotted = "".join(f'"./{row[1:]}' if row[0] == '"' else f"./{row}" for row in record)
    files["demo-1.0.dist-info/RECORD"] = dotted.encode()
    path = wheels.write(tmp_path / FILE, files)
    assert check_wheel(path).verdict.findings == ()
    assert main.main(["repair", str(path), "--output", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("demo-1.0-py3-none-any.whl", ""),
        ("demo-1.0-py3-none-any.whl", "Tag: py3-none-win32\n"),
        ("demo-1.0-py2.py3-none-any.whl", "Tag: py2.py3-none-any\n"),
        ("demo-1.0-py3-none-musllinux_1_2_x86_64.whl", "Tag: py3-none-any\n"),
        ("demo-1.0-py3-none-macosx_11_0_arm64.whl", "Tag: py3-none-any\n"),
    ],
)
def test_repair_writes_the_tags_of_the_name_where_nothing_else_is_to_be_done(
    name: str, tags: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{tags}"
    files = {"demo/__init__.py": "", "demo-1.0.dist-info/WHEEL": about}
    path = str(wheels.write(tmp_path / name, files))
    assert main.main(["check", path]) == 0
    assert "MB140" in capsys.readouterr().out
    if "macosx" in name:
        return  # no wheel that repair takes
    assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0
    assert main.main(["check", str(tmp_path / "out" / name)]) == 0
    assert "MB140" not in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "out" / name) as archive:
        made = archive.read("demo-1.0.dist-info/WHEEL").decode()
        assert archive.read("demo/__init__.py") == b""
    assert "Root-Is-Purelib: true\n" in made
    assert set(path.partition("-py")[2]) and made.count("Tag: ") == name.count("py")
