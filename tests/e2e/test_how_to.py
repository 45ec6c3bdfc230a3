"""The recipes of ``docs/how-to.md``, except for CI engines: run, with the outputs compared."""

from __future__ import annotations

import io
import os
import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from dockerfile_parse import DockerfileParser

from muslbackend.build.settings import parse_settings
from muslbackend.build.target import read_facts
from muslbackend.cli.main import main, parser
from muslbackend.musl.releases import ON_PYPI
from muslbackend.repair.repair import repair_wheel
from support.loaders.loaders import loader
from support.loaders.machines import MACHINES, qemu
from support.loaders.samples import Library, lay_out
from support.projects import building, frontends
from support.projects.building import EXTENSION, PY, build, members, write_project
from support.projects.howto import ENGINES, PAGE, TASKS
from support.pythons import muslpython
from support.tools.debian import compile_c
from support.tools.marks import CROSSES
from support.tools.page import alike
from support.wheels import foreignwheel
from support.wheels.craftedelf import Crafted
from support.wheels.linked import linked_wheel

if TYPE_CHECKING:
    from support.pythons.hosts import Host
    from support.tools.page import Block

pytestmark = pytest.mark.network

LOOK, CHANGE, EXCLUDE, ASIDE, STRIP, FLOOR = TASKS[:6]
CROSS, NESTED, FAILED, TEST, ROOT, MANY, REPAIR, PUBLISH = TASKS[6:]

CORE: Final = "demo/_demo.cpython-313-x86_64-linux-musl.so"
NAME: Final = "demo-1.0-cp313-cp313-{}_x86_64.whl"
LATE: Final = EXTENSION.format(declare="", call="preadv2(0, NULL, 0, 0, 0)")
VERIFY: Final = PAGE.take(
    CROSS,
    "$ python -m build --wheel -C musl.target=aarch64 -C musl.sysroot=alpine-root "
    "-C musl.verify=true",
)
TWINE: Final = Path(frontends.__file__).with_name("twine.txt")


@PAGE.given(LOOK, "$ muslbackend doctor")
def test_doctor_lists_the_possible_builds(
    snippets: list[Block], debian_user: Host, tmp_path: Path
) -> None:
    write_project(tmp_path / "path/to/project", {})
    said = debian_user.shell(snippets[0].commands, tmp_path)
    assert "\nWheels for musl can be built here, for x86_64, aarch64, " in said
    assert "musllinux_1_2_aarch64, else an error\n" in said
    assert "target            aarch64  -C musl.target\n" in said
    assert said.endswith("\nThe wheel can be built here.\n")


@PAGE.given(CHANGE, "$ muslbackend init")
def test_init_converts_a_project(snippets: list[Block], debian_user: Host, tmp_path: Path) -> None:
    file = write_project(tmp_path / "project", {}) / "pyproject.toml"
    ours = file.read_text()
    before = ours.replace('["muslbackend"]', '["scikit-build-core"]')
    file.write_text(before.replace('"muslbackend"\n', '"scikit_build_core.build"\n'))
    assert file.read_text() != ours
    said = debian_user.shell(snippets[0].commands, file.parent)
    assert '\n-requires = ["scikit-build-core"]\n' in said
    assert file.read_text() == ours
    workflow = file.parent / ".github/workflows/wheels.yml"
    assert "muslbackend build" in workflow.read_text()


@PAGE.given(
    EXCLUDE,
    "pyproject.toml, excludes a library",
    f"warning[MB109] {CORE}: requires libGL.so.1, which is left to the system; "
    "the wheel works only where that library is installed",
)
def test_a_build_leaves_a_library_to_the_system(
    snippets: list[Block], tmp_path: Path, cache: Path
) -> None:
    settings, warning = snippets
    source = EXTENSION.format(declare="int glGetError(void);", call="glGetError()")
    link = "target_link_libraries(_demo PRIVATE ${CMAKE_SOURCE_DIR}/libGL.so)\n"
    files = {"demo.c": source, "extra.cmake": link, "gl.c": "int glGetError(void) { return 0; }\n"}
    project = write_project(tmp_path / "project", files, settings.text)
    options = ["-shared", "-Wl,-soname,libGL.so.1", "gl.c"]
    compile_c(project / "libGL.so", options, cache)
    result = build(project, "musl.target=x86_64")
    assert alike(warning.text) in alike(result.output)
    assert not [name for name in members(result.wheel) if "libGL" in name]


@PAGE.given(EXCLUDE, "$ muslbackend repair dist/*.whl -o wheelhouse --exclude 'libGL.so*'")
def test_repair_leaves_a_library_to_the_system(
    snippets: list[Block], debian_user: Host, tmp_path: Path, cache: Path
) -> None:
    linked_wheel(tmp_path, f"dist/{NAME.format('linux')}", cache, "libGL.so.1")
    said = debian_user.shell(snippets[0].commands, tmp_path)
    assert "warning[MB109]" in said
    assert (tmp_path / "wheelhouse" / NAME.format("musllinux_1_2")).is_file()


CHAIN: Final = ("demo/libdemo.so", "demo/libdemo.so.1", "demo/libdemo.so.1.2")


def shipping_wheel(folder: Path, name: str, cache: Path) -> Path:
    """Make a wheel with code for a signal processor, a program and copies of a library."""
    skel = Crafted(bits=32, machine=164).file()
    words = Library("int words(void) { return 1; }\n", soname="libwords.so.1")
    words_path = lay_out({"libwords.so.1": words}, folder / "third-party/lib", cache)
    source, program = folder / "run.c", folder / "run"
    source.write_text("int words(void);\nint main(void) { return !words(); }\n")
    compile_c(program, [str(source), str(words_path / "libwords.so.1")], cache)
    files: dict[str, Library | bytes] = {
        CORE: Library(),
        "demo/dsp/skel.so": skel,
        "demo/bootloader/run": program.read_bytes(),
    }
    copies = dict.fromkeys(CHAIN, (words_path / "libwords.so.1").read_bytes())
    made = foreignwheel.make(folder, {**files, **copies}, cache, name)
    (folder / "dist").mkdir()
    return made.rename(folder / "dist" / made.name)


@PAGE.given(
    ASIDE,
    "pyproject.toml, sets files aside",
    "$ muslbackend repair dist/*.whl -o wheelhouse --ignore 'demo/dsp/*.so' "
    "--keep-in-place demo/bootloader/run",
)
def test_files_of_the_wheel_are_set_aside(
    snippets: list[Block], debian_user: Host, tmp_path: Path, cache: Path
) -> None:
    settings, commands = snippets
    wheel = shipping_wheel(tmp_path, "cp313-cp313-linux_x86_64", cache)
    said = debian_user.shell(commands.commands, tmp_path)
    made = tmp_path / "wheelhouse" / NAME.format("musllinux_1_2")
    for contents in (members(wheel), members(made)):
        assert contents["demo/bootloader/run"] == (tmp_path / "run").read_bytes()
        assert contents.keys() >= {"demo/dsp/skel.so", *CHAIN}
    assert "note[MB147] demo/dsp/skel.so: is not checked, because it matches ignore" in said
    # The settings in pyproject.toml have the same effect.
    table = tomllib.loads(settings.text)["tool"]["muslbackend"]
    parsed = parse_settings(table, {}, {}).repair
    assert parsed.ignore == ("demo/dsp/*.so",)
    facts = read_facts()
    name = str(repair_wheel(wheel, parsed, facts, tmp_path / "one").name)
    assert len(members(tmp_path / "one" / name).keys() & {*CHAIN}) == 1


@PAGE.given(
    STRIP, "$ muslbackend repair dist/*.whl -o wheelhouse --strip-debug --debug-info-dir debug"
)
def test_debugging_information_is_in_a_separate_folder(
    snippets: list[Block], debian_user: Host, tmp_path: Path, cache: Path
) -> None:
    files: dict[str, Library | bytes] = {"demo/libf.so": foreignwheel.debugging()}
    wheel = foreignwheel.make(tmp_path, files, cache)
    (tmp_path / "dist").mkdir()
    wheel.rename(tmp_path / "dist" / wheel.name)
    debian_user.shell(snippets[0].commands, tmp_path)
    (made,) = (tmp_path / "wheelhouse").iterdir()
    assert (tmp_path / "debug" / made.stem / "demo/libf.so.debug").is_file()


@PAGE.given(
    FLOOR,
    "$ python -m build --wheel -C musl.target=x86_64 -C musl.floor=1.1.20",
    f"muslbackend: {NAME.format('musllinux_1_1')}",
)
def test_an_older_musl_is_promised(
    snippets: list[Block], debian_user: Host, tmp_path: Path
) -> None:
    console, shown = snippets
    project = write_project(tmp_path / "project", {})
    assert f"\n{alike(shown.text)}" in alike(debian_user.shell(console.commands, project))


@PAGE.given(
    FLOOR,
    (
        f"error[MB103] {CORE}: requires preadv2, available since musl 1.2.5; the "
        "wheel must load on musl 1.2.0"
    ),
    "pyproject.toml, promises less",
    f"muslbackend: {NAME.format('musllinux_1_2')}",
    f"warning[MB148] {NAME.format('musllinux_1_2')}: musllinux_1_2 promises "
    "musl 1.2.0, but the wheel requires 1.2.5 (Alpine 3.20): pip installs it "
    "on older releases too",
    f"{NAME.format('musllinux_1_2')}: ok, loads on musl 1.2.5 and later (Alpine 3.20 and later), "
    f"because of preadv2 in {CORE}",
)
def test_a_later_musl_is_promised_if_a_function_requires_it(
    snippets: list[Block], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused, settings, shown, warning, judged = snippets
    project = write_project(tmp_path / "before", {"demo.c": LATE})
    assert f"\n{alike(refused.text)}" in alike(build(project, "musl.target=x86_64").output)
    project = write_project(tmp_path / "after", {"demo.c": LATE}, settings.text)
    result = build(project, "musl.target=x86_64")
    assert f"\n{alike(shown.text)}" in alike(result.output)
    assert f"\n{alike(warning.text)}" in alike(result.output)
    assert main(["check", str(result.wheel)]) == 0
    assert alike(judged.text) in alike(capsys.readouterr().out)


@CROSSES
@pytest.mark.parametrize("example", ["private-library"], indirect=True)
@PAGE.given(CROSS, "muslbackend: zig 0.17.0 compiles for musl on aarch64")
def test_a_project_is_cross_built_with_a_sysroot_and_verified(
    snippets: list[Block], example: Path, debian_user: Host, cache: Path
) -> None:
    machine = MACHINES["aarch64"]
    (example / "alpine-root/lib").mkdir(parents=True)
    real = loader("1.2.5", cache, "aarch64")
    shutil.copy(real, example / "alpine-root/lib" / machine.loader)
    path = f"{qemu(machine.qemu, cache).parent}{os.pathsep}{debian_user.environ['PATH']}"
    user = replace(debian_user, environ={**debian_user.environ, "PATH": path})
    said = user.shell(VERIFY.commands, example)
    before, _, after = snippets[0].text.partition("0.17.0")
    assert any(line.startswith(before) and line.endswith(after[:-1]) for line in said.splitlines())
    assert "opened by musl 1.2.5 through qemu-aarch64: 3 files" in " ".join(PAGE.text.split())
    assert "\n  opened by musl 1.2.5 through qemu-aarch64: 3 files\n" in said


@CROSSES
@PAGE.given(
    CROSS,
    "muslbackend: error: the build passes a flag that zig does not support, or that targets the "
    "build machine: --defsym (CMakeLists.txt:12)",
)
def test_a_flag_that_zig_does_not_support_is_named(snippets: list[Block], tmp_path: Path) -> None:
    lines = building._CMAKE.splitlines()
    lines += [""] * (11 - len(lines))
    lines.append("target_link_options(_demo PRIVATE -Wl,--defsym,answer=0)")
    project = write_project(tmp_path / "project", {"CMakeLists.txt": "\n".join(lines)})
    result = build(project, "musl.target=x86_64")
    assert (result.status != 0, snippets[0].text in result.output) == (True, True), result.output


@PAGE.given(ROOT, "$ pip install 'muslbackend[sysroot]'")
def test_alpine_packages_are_unpacked_by_one_command(snippets: list[Block]) -> None:
    """test_sysroot_alpine.py runs it against a repository of its own."""
    install, unpack, build_it = snippets[0].commands.splitlines()
    assert install == "pip install 'muslbackend[sysroot]'"
    words = unpack.split()[1:]
    options = parser(words).parse_args(words)
    assert options.command == "sysroot"
    assert build_it.endswith(f" -C musl.sysroot={options.folder}")


@PAGE.given(
    ROOT,
    "alpine.dockerfile",
    "$ docker build --platform linux/arm64 --output alpine-root - < alpine.dockerfile",
)
def test_docker_commands_create_the_sysroot_that_builds_use(snippets: list[Block]) -> None:
    """Docker is not run: there is no engine here."""
    dockerfile, console = snippets
    structure = DockerfileParser(fileobj=io.BytesIO(dockerfile.text.encode())).structure
    lines = [line["instruction"] for line in structure if line["instruction"] != "COMMENT"]
    assert lines == ["FROM", "RUN"]
    words = console.commands.split()
    assert (words[:2], words[-3:]) == (["docker", "build"], ["-", "<", dockerfile.caption])
    folder = words[words.index("--output") + 1]
    assert f"musl.sysroot={folder} " in VERIFY.commands


@PAGE.given(MANY, "$ pip install 'muslbackend[build]'")
def test_many_wheels_are_built_by_one_command(snippets: list[Block]) -> None:
    """test_how_to_ci.py and test_build_command.py run it with fewer wheels."""
    install, command = snippets[0].commands.splitlines()
    assert install == "pip install 'muslbackend[build]'"
    words = command.split()[1:]
    assert parser(words).parse_args(words).command == "build"


DRY, DONE = (
    f"$ muslbackend repair dist/{NAME.format('linux')} {how} --library-dir third-party/lib"
    for how in ("--dry-run", "-o wheelhouse")
)


@PAGE.given(REPAIR, DRY, f"not written: muslbackend: {NAME.format('musllinux_1_2')}", DONE)
def test_a_wheel_of_another_backend_is_checked_and_repaired(
    snippets: list[Block], debian_user: Host, tmp_path: Path, cache: Path
) -> None:
    dry, shown, done = snippets
    linked_wheel(tmp_path, f"dist/{NAME.format('linux')}", cache)
    assert alike(debian_user.shell(dry.commands, tmp_path)) == alike(shown.text)
    assert not (tmp_path / "wheelhouse").exists()
    debian_user.shell(done.commands, tmp_path)
    (made,) = (tmp_path / "wheelhouse").iterdir()
    assert made.name == NAME.format("musllinux_1_2")


@PAGE.given(PUBLISH, "$ pip install twine")
def test_twine_accepts_wheels_of_builds_and_of_repairs(
    snippets: list[Block], debian_user: Host, tmp_path: Path, cache: Path
) -> None:
    install, check, upload = snippets[0].commands.splitlines()
    assert (install, upload) == ("pip install twine", "twine upload dist/*")
    project = write_project(tmp_path / "project", {})
    built = build(project, "musl.target=x86_64").wheel
    linked_wheel(tmp_path, f"dist/{NAME.format('linux')}", cache)
    repair = f"muslbackend repair dist/*.whl -o {built.parent} --library-dir third-party/lib"
    debian_user.shell(repair, tmp_path)
    (built.parent / "other-1.0-py3-none-any.whl").write_bytes(b"no zip")
    twine = f'twine() {{ PYTHONPATH= {frontends.install(cache, TWINE)} -m twine "$@"; }}\n'
    with pytest.raises(AssertionError, match=r"other-1\.0"):
        debian_user.shell(twine + check, project)
    (built.parent / "other-1.0-py3-none-any.whl").unlink()
    said = debian_user.shell(twine + check, project)
    assert said.count("PASSED") == len({built.name, NAME.format("musllinux_1_2")})
    assert f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl" in said


def test_pypi_accepts_the_listed_architectures() -> None:
    named = ", ".join(ON_PYPI[:-1]) + f" and {ON_PYPI[-1]}"
    section = PAGE.text[PAGE.text.index(f"## {PUBLISH}") :]
    assert named in " ".join(section.split())


def _built(project: Path, arch: str = "x86_64") -> str:
    """Return the output of a cross build that fails, as on the page."""
    made = build(project, f"musl.target={arch}")
    assert made.status != 0
    said = made.output.replace(f"cpython-{PY[2:]}", "cpython-313")
    return re.sub(r"GCC [\d.]+ of \w+", "GCC 12.2.0 of Debian", said)


@CROSSES
@PAGE.given(
    NESTED,
    "muslbackend: error: demo/_demo.cpython-313-x86_64-linux-musl.so contains code compiled by "
    "GCC 12.2.0 of Debian, a compiler for glibc (MB151): dep.o",
)
def test_the_compiler_of_the_machine_is_named(snippets: list[Block], tmp_path: Path) -> None:
    extra = """\
execute_process(COMMAND gcc -c -fPIC ${CMAKE_CURRENT_SOURCE_DIR}/dep.c -o dep.o
  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY)
target_link_libraries(_demo PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/dep.o)
"""
    files = {"dep.c": "int dep(void) { return 1; }\n", "extra.cmake": extra}
    assert snippets[0].text in _built(write_project(tmp_path / "project", files))


@CROSSES
@PAGE.given(
    FAILED,
    "muslbackend: error: the library ZLIB was not found for the target "
    "(find_package in CMakeLists.txt:4)",
)
def test_a_library_that_is_not_there_is_named(snippets: list[Block], tmp_path: Path) -> None:
    lines = building._CMAKE.splitlines()
    lines.insert(3, "find_package(ZLIB REQUIRED)")
    files = {"CMakeLists.txt": "\n".join(lines)}
    assert snippets[0].text in _built(write_project(tmp_path / "project", files))


@CROSSES
@PAGE.given(
    CROSS,
    "muslbackend: error: the build imports modules that it compiled for musl: demo._ext",
)
def test_a_missing_python_for_the_target_is_named(snippets: list[Block], tmp_path: Path) -> None:
    extra = """\
set_target_properties(_demo PROPERTIES OUTPUT_NAME _ext LIBRARY_OUTPUT_DIRECTORY demo)
add_custom_command(TARGET _demo POST_BUILD COMMAND ${Python_EXECUTABLE} -c "import demo._ext")
"""
    project = write_project(tmp_path / "project", {"extra.cmake": extra})
    assert snippets[0].text in _built(project, "aarch64")


@CROSSES
@PAGE.given(
    TEST,
    "$ muslbackend test --python musl-python/bin/python3 --with pytest dist/*x86_64.whl "
    "-- pytest tests",
    "$ python tests/muslpython.py musl-python --python 3.13 --arch aarch64",
)
def test_a_wheel_is_tested(snippets: list[Block], tmp_path: Path, musl_python: Path) -> None:
    """The Python of the fixtures is made by the second command."""
    project = write_project(tmp_path / "project", {})
    (project / "tests").mkdir()
    test = "import demo\ndef test_it():\n    assert demo.run() == 42\n"
    (project / "tests/test_demo.py").write_text(test)
    assert build(project, "musl.target=x86_64").status == 0
    (project / "musl-python").symlink_to(musl_python.parents[1])
    words = ["env", "-C", str(project), "bash", "-euc", snippets[0].commands]
    done = building.run(words, project / "dist")
    assert done.status == 0, done.output
    assert "1 passed" in done.output
    options = snippets[1].commands.split()[2:]
    assert muslpython.parser().parse_args(options).arch == "aarch64"


def test_every_block_belongs_to_a_test() -> None:
    assert PAGE.left_over(TASKS) == []
    assert {b.section for b in PAGE.blocks} == {*TASKS, *ENGINES}
    assert len({(b.section, b.caption) for b in PAGE.blocks}) == len(PAGE.blocks)
