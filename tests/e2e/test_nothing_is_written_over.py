"""Files that repair adds to a wheel: they have unused names, and replace no others."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from muslbackend.cli.main import main
from support.loaders.loaders import dlopen, loader
from support.projects.building import assert_record_is_true, members
from support.wheels import wheels
from support.wheels.builders import zig_library
from support.wheels.unpacked import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
DONE: Final = "demo-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
CORE: Final = "demo/_core.so"
SBOM: Final = "demo-1.0.dist-info/sboms/muslbackend.cdx.json"


def library(folder: Path, name: str, *flags: str, source: str = "") -> Path:
    """Make a library that defines a function of one letter."""
    folder.mkdir(exist_ok=True)
    path = folder / f"lib{name}.so.1"
    source = source or f"int {name}(void) {{ return 1; }}\n"
    path.write_bytes(zig_library("x86_64", f"-Wl,-soname,{path.name}", *flags, source=source))
    return path


def needy(lib: Path, function: str = "f", module: str = "_core") -> bytes:
    source = f"int {function}(void);\nint PyInit_{module}(void) {{ return {function}(); }}\n"
    return zig_library("x86_64", str(lib), source=source)


def repaired(folder: Path, files: Mapping[str, bytes | str], lib: Path | None = None) -> Path:
    """Return the repaired wheel with these files; check must accept it."""
    folder.mkdir(exist_ok=True)
    given = wheels.write(folder / FILE, files)
    output = ["-o", str(folder / "out"), "--library-dir", str(lib or folder / "lib")]
    assert main(["repair", str(given), *output]) == 0
    (made,) = (folder / "out").iterdir()
    assert main(["check", str(made)]) == 0
    assert_record_is_true(made)
    assert files.keys() <= members(made).keys()
    return made


def bundled(wheel: Path) -> list[str]:
    return [name for name in members(wheel) if name.rpartition("/")[2].startswith("libf-")]


def test_the_name_of_a_bundled_library_is_in_use(tmp_path: Path, cache: Path) -> None:
    """The name of a bundled library is predictable from the library."""
    core = needy(library(tmp_path / "lib", "f"))
    (name,) = bundled(repaired(tmp_path / "one", {CORE: core}, tmp_path / "lib"))
    # musl would confuse the two even in different folders.
    elsewhere = f"demo/{name.rpartition('/')[2].upper()}"
    there: dict[str, bytes | str] = {CORE: core, name: "taken", elsewhere: "taken"}
    made = repaired(tmp_path / "two", there, tmp_path / "lib")
    (old, new) = sorted(bundled(made), key=lambda n: n != name)
    assert (old, members(made)[old]) == (name, b"taken")
    assert new != name
    unpack(made, tmp_path / "site")
    (core_file,) = (tmp_path / "site").rglob("_core.so")
    outcome = dlopen(loader("1.2.5", cache), core_file, cache=cache)
    assert outcome.state == "loads", outcome.words


@pytest.mark.parametrize("file", ["demo.libs", "DEMO.libs", "demo-1.0.data/platlib/demo.libs"])
def test_a_file_at_the_path_of_the_library_folder(file: str, tmp_path: Path, cache: Path) -> None:
    core = needy(library(tmp_path / "lib", "f"))
    made = repaired(tmp_path, {CORE: core, file: "a file", "demo.libs-2": "another"})
    (name,) = bundled(made)
    assert name.startswith("demo.libs-3/libf-")
    unpack(made, tmp_path / "site")
    (core_file,) = (tmp_path / "site").rglob("_core.so")
    outcome = dlopen(loader("1.2.5", cache), core_file, cache=cache)
    assert outcome.state == "loads", outcome.words


@pytest.mark.parametrize("file", ["demo-1.0.dist-info/sboms", "demo-1.0.dist-info/licenses"])
def test_a_wheel_that_cannot_be_installed_is_not_written(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core = needy(library(tmp_path / "lib", "f"))
    (tmp_path / "COPYING").write_text("the text")
    given = wheels.write(tmp_path / FILE, {CORE: core, file: "a file"})
    options = ["--library-dir", f"{tmp_path}/lib", "--bundled-license", f"{tmp_path}/COPYING"]
    assert main(["repair", str(given), "-o", str(tmp_path / "out"), *options]) == 1
    said = capsys.readouterr().err
    fact = f"has a file that is also a folder: '{file}'"
    assert f"{DONE} would be a wheel that installers refuse: {fact}; nothing was written" in said
    assert "hint  rename or leave out the files that are named here" in said
    assert not (tmp_path / "out").exists()


def components(wheel: Path) -> dict[str, dict[str, Any]]:
    data = members(wheel)[SBOM]
    complaint = JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode())
    assert complaint is None, complaint
    return {part["name"]: part for part in json.loads(data)["components"]}


def digest(part: Mapping[str, Any]) -> str:
    (found,) = part["hashes"]
    return str(found["content"])


def again(folder: Path, wheel: Path, more: Mapping[str, bytes | str], *options: str) -> Path:
    """Add files to a repaired wheel, and repair that."""
    files = {name: data for name, data in members(wheel).items() if not name.endswith("/RECORD")}
    given = wheels.write(folder / DONE, {**files, **more})
    command = ["repair", str(given), "-o", str(folder / "again"), *options]
    assert main([*command, "--library-dir", f"{folder}/lib"]) == 0
    (made,) = (folder / "again").iterdir()
    assert_record_is_true(made)
    return made


def test_a_second_repair_keeps_the_sbom_of_the_first(tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    core = needy(library(lib, "f", source="int f(void) { return 1; }\n"))
    foreign = {"demo-1.0.dist-info/sboms/other.spdx.json": "{}"}
    first = repaired(tmp_path, {CORE: core, **foreign})
    before = components(first)
    assert before.keys() == {"libf.so.1"}
    other = needy(library(lib, "g"), "g", "_other")
    second = again(tmp_path, first, {"demo/_other.so": other})
    after = components(second)
    assert after.keys() == {"libf.so.1", "libg.so.1"}
    assert after["libf.so.1"] == before["libf.so.1"]
    assert members(second)[next(iter(foreign))] == b"{}"
    content = json.loads(members(second)[SBOM])
    root, *rest = content["dependencies"]
    assert root["dependsOn"] == sorted(part["bom-ref"] for part in after.values())
    assert {part["ref"] for part in rest} == set(root["dependsOn"])


def test_the_sbom_describes_the_current_files(tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    first = repaired(tmp_path, {CORE: needy(library(lib, "f"))})
    (name,) = bundled(first)
    # It requires another library now, so the second repair rewrites it.
    inner = library(lib, "g")
    flags = (f"-Wl,-soname,{name.rpartition('/')[2]}", str(inner))
    source = "int g(void);\nint f(void) { return g(); }\n"
    changed = zig_library("x86_64", *flags, source=source)
    second = again(tmp_path, first, {name: changed})
    part = components(second)["libf.so.1"]
    shipped = members(second)[name]
    assert shipped != changed
    assert digest(part) == sha256(shipped).hexdigest()
    assert {"name": "muslbackend:size", "value": str(len(shipped))} in part["properties"]
    loads = {p["ref"]: p["dependsOn"] for p in json.loads(members(second)[SBOM])["dependencies"]}
    assert loads[name] == [components(second)["libg.so.1"]["bom-ref"]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not JSON", "Expecting value"),
        ("[]", "it is not a CycloneDX document with components"),
        ('{"bomFormat": "SPDX", "components": []}', "it is not a CycloneDX document"),
        ('{"bomFormat": "CycloneDX", "components": [1]}', "it has components that muslbackend"),
        (100_000 * "[", "it is nested too deeply"),
        ((17 << 20) * " ", "it has more than 16777216 bytes"),
        (b"\xff\xfe\xff", "codec can't decode"),
    ],
    ids=["text", "list", "another format", "numbers", "deep", "large", "bytes"],
)
def test_a_foreign_sbom_is_not_overwritten(
    text: str | bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core = needy(library(tmp_path / "lib", "f"))
    given = wheels.write(tmp_path / FILE, {CORE: core, SBOM: text})
    command = ["repair", str(given), "-o", str(tmp_path / "out")]
    assert main([*command, "--library-dir", f"{tmp_path}/lib"]) == 1
    said = capsys.readouterr().err
    assert f"{SBOM} is not an SBOM that muslbackend wrote: " in said
    assert says in said
    assert "hint  remove it from the wheel, or rename it" in said
    assert not (tmp_path / "out").exists()
