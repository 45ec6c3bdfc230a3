"""``muslbackend build``: many wheels by one command, as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from muslbackend.cli.main import main
from muslbackend.musl.releases import MuslVersion
from muslbackend.policy.check import check_wheel
from muslbackend.system.folders import scratch_folder
from support.projects.building import PROJECT, PY, Build, build, members, run, write_project
from support.pythons import muslpython

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHER = "3.13" if HERE == "3.12" else "3.12"
OTHER_PY = "cp" + OTHER.replace(".", "")
COMMAND = [sys.executable, "-m", "muslbackend", "build"]
BACKEND = '[build-system]\nrequires = ["muslbackend"]\nbuild-backend = "muslbackend"\n'
BROKEN = """\
#ifdef __aarch64__
#error not on this machine
#endif
"""


class Fleet:
    """Runs the command on a project; temporary files go to a folder that tests inspect."""

    def __init__(self, folder: Path, own_wheel: Path) -> None:
        self.output = folder / "out" / "wheels"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.environ = {
            "PIP_FIND_LINKS": str(own_wheel.parent),
            "TMPDIR": str(self.temporary),
            # One Python of each version, independent of this machine.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        }

    def command(self, project: Path, *options: str) -> list[str]:
        return [*COMMAND, str(project), "-o", str(self.output), *options]

    def __call__(self, project: Path, *options: str, **environ: str) -> Build:
        """Build with this interpreter alone, unless the options name another one."""
        python = () if any(o.startswith("--python") for o in options) else ("--python", HERE)
        command = self.command(project, *python, *options)
        return run(command, self.output, {**self.environ, **environ})

    @property
    def wheels(self) -> list[str]:
        """The names of all files in the output folder."""
        return sorted(path.name for path in self.output.iterdir()) if self.output.exists() else []

    @property
    def left(self) -> list[str]:
        """The remaining entries of the folder for temporary files."""
        return sorted(path.name for path in self.temporary.iterdir())


@pytest.fixture
def fleet(tmp_path: Path, own_wheel: Path) -> Fleet:
    return Fleet(tmp_path, own_wheel)


def rows(output: str) -> list[list[str]]:
    """Return the rows of the table at the end, without the headings."""
    table = output[output.index("arch  ") :].splitlines()
    assert re.split(r" {2,}", table[0]) == ["arch", "python", "seconds", "KB", "loads on", "wheel"]
    return [re.split(r" {2,}", line) for line in table[1:]]


@pytest.mark.parametrize("example", ["plain"], indirect=True)
def test_two_architectures_from_one_sdist(example: Path, fleet: Fleet) -> None:
    built = fleet(example, "--arch", "x86_64,aarch64", MUSLBACKEND_TARGET="s390x")
    assert built.status == 0, built.output
    assert fleet.wheels == [
        f"plain-1.0-{PY}-{PY}-musllinux_1_2_aarch64.whl",
        f"plain-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl",
    ]
    for line in (
        rf"^\[0/2\] sdist-{PY}: [\d.]+ s, plain-1\.0\.tar\.gz, 1 KB$",
        rf"^\[1/2\] x86_64-{PY}: started$",
        rf"^\[2/2\] aarch64-{PY}: started$",
        rf"^\[1/2\] x86_64-{PY}: [\d.]+ s, plain-1\.0-.*_x86_64\.whl, \d+ KB$",
        rf"^\[2/2\] aarch64-{PY}: [\d.]+ s, plain-1\.0-.*_aarch64\.whl, \d+ KB$",
    ):
        assert re.search(line, built.output, re.MULTILINE), built.output
    for row, arch in zip(rows(built.output), ("x86_64", "aarch64"), strict=True):
        name = f"plain-1.0-{PY}-{PY}-musllinux_1_2_{arch}.whl"
        checked = check_wheel(fleet.output / name)
        assert checked.ok
        assert (row[0], row[1], row[4], row[5]) == (arch, PY, f"musl {checked.verdict.floor}", name)
        assert int(row[3]) == max(1, round((fleet.output / name).stat().st_size / 1000))
    assert fleet.left == []
    assert os.listdir(fleet.output.parent) == ["wheels"]  # noqa: PTH208 - no logs
    # The same bytes as separate builds.
    alone = build(example, "musl.target=x86_64").wheel
    assert members(alone) == members(fleet.output / alone.name)


def test_a_failed_job_does_not_affect_the_others(tmp_path: Path, fleet: Fleet) -> None:
    source = BROKEN + (PROJECT / "examples/plain/src/plain.c").read_text().replace("plain", "demo")
    project = write_project(tmp_path / "project", {"demo.c": source})
    built = fleet(project, "--arch", "x86_64 aarch64", "--arch", "x86_64", "-j", "1")
    assert built.status == 1
    assert fleet.wheels == [f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"]
    log = fleet.output.parent / "wheels-logs" / f"aarch64-{PY}.log"
    assert os.listdir(log.parent) == [log.name]  # noqa: PTH208
    assert "#error not on this machine" in log.read_text()
    assert re.search(
        rf"^muslbackend: error: aarch64-{PY}: .*error: not on this machine$(\n  .*)*"
        rf"\n  log   {re.escape(str(log))}$",
        built.output,
        re.MULTILINE,
    ), built.output
    good, bad = rows(built.output)
    assert good[0] == "x86_64"
    assert bad[0] == "aarch64"
    assert bad[3].startswith("failed: ")
    assert bad[3].endswith(f"error: not on this machine (log: {log})")
    assert fleet.left == []


def test_the_recipe_for_ci_is_green_with_a_later_floor(tmp_path: Path, fleet: Fleet) -> None:
    source = (PROJECT / "examples/plain/src/plain.c").read_text().replace("plain", "demo")
    source += "\n#include <sys/uio.h>\nlong more(void) { return preadv2(0, 0, 0, 0, 0); }\n"
    settings = '\n[tool.muslbackend]\nfloor = "1.2.5"\n'
    files = {"demo.c": "#define _GNU_SOURCE\n" + source}
    project = write_project(tmp_path / "project", files, settings)
    built = fleet(project, "--arch", "x86_64")
    assert built.status == 0, built.output
    recipe = (PROJECT / "examples/ci/github.yml").read_text()
    assert "run: muslbackend check dist/*.whl\n" in recipe
    (name,) = fleet.wheels
    assert main(["check", str(fleet.output / name)]) == 0
    assert check_wheel(fleet.output / name).declared == MuslVersion(1, 2, 5)


def test_findings_are_shown_and_nothing_is_written(tmp_path: Path, fleet: Fleet) -> None:
    source = (PROJECT / "examples/plain/src/plain.c").read_text().replace("plain", "demo")
    source += "\n#include <sys/uio.h>\nlong more(void) { return preadv2(0, 0, 0, 0, 0); }\n"
    project = write_project(tmp_path / "project", {"demo.c": "#define _GNU_SOURCE\n" + source})
    logs = tmp_path / "logs"
    built = fleet(project, "--arch", "x86_64", "--log-dir", str(logs))
    assert built.status == 1
    error = rf"^muslbackend: error: x86_64-{PY}: the wheel cannot be tagged musllinux_1_2_x86_64; "
    assert re.search(error + "nothing was written$", built.output, re.MULTILINE), built.output
    assert "\n  error[MB103] demo/_demo." in built.output
    assert not fleet.output.exists()
    assert sorted(os.listdir(logs)) == [f"sdist-{PY}.log", f"x86_64-{PY}.log"]  # noqa: PTH208


def test_a_wheel_for_any_machine_is_written_once(tmp_path: Path, fleet: Fleet) -> None:
    settings = '[tool.scikit-build]\nwheel.cmake = false\nwheel.packages = ["demo"]\n'
    project = write_project(tmp_path / "project", {}, settings)
    built = fleet(project, "--arch", "x86_64,aarch64", "-j1")
    assert built.status == 0, built.output
    assert fleet.wheels == ["demo-1.0-py3-none-any.whl"]
    first, second = rows(built.output)
    assert first[4:] == ["any", "demo-1.0-py3-none-any.whl"]
    assert second[5] == f"demo-1.0-py3-none-any.whl (already written by x86_64-{PY})"


def test_a_setting_that_does_not_exist_stops_before_any_wheel(tmp_path: Path, fleet: Fleet) -> None:
    project = write_project(tmp_path / "project", {})
    built = fleet(project, "-C", "musl.flor=1.2.3", "--arch", "all")
    assert built.status == 2
    assert "musl.flor is not a setting of muslbackend" in built.output
    assert "hint  did you mean musl.floor?" in built.output
    assert "started" not in built.output


def test_requirements_that_cannot_be_installed_are_a_tool_error(
    tmp_path: Path, fleet: Fleet
) -> None:
    project = write_project(tmp_path / "project", {})
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    built = fleet(project, **nowhere)
    assert built.status == 3
    assert "muslbackend: error: sdist-" in built.output
    assert "pip failed, see the log" in built.output
    log = fleet.output.parent / "wheels-logs" / f"sdist-{PY}.log"
    assert "No matching distribution found for muslbackend" in log.read_text()


@pytest.fixture(scope="session")
def other_python(cache: Path) -> Path:
    """A CPython of the version ``OTHER``, which was built for musl."""
    return muslpython.make(cache / f"python-{OTHER}", OTHER, cache)


def test_the_stable_abi_is_built_once_from_an_sdist(
    tmp_path: Path, fleet: Fleet, other_python: Path
) -> None:
    tags = sorted((PY, OTHER_PY))
    cmake = """\
cmake_minimum_required(VERSION 3.26...4.4)
project(demo LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Interpreter Development.SABIModule)
Python_add_library(_demo MODULE USE_SABI 3.11 WITH_SOABI demo.c)
install(TARGETS _demo DESTINATION demo)
"""
    settings = '[tool.scikit-build]\nwheel.py-api = "cp311"\n'
    project = write_project(tmp_path / "project", {"CMakeLists.txt": cmake}, settings)
    sdist = build(project, kind="sdist").wheel
    built = fleet(sdist, "--arch", "aarch64", "--python", f"{HERE},{other_python}")
    assert built.status == 0, built.output
    assert fleet.wheels == ["demo-1.0-cp311-abi3-musllinux_1_2_aarch64.whl"]
    assert f"left out  {tags[1]}: uses the wheel of {tags[0]} (cp311)" in built.output
    assert [row[:2] for row in rows(built.output)] == [["aarch64", tags[0]]]


def test_every_interpreter_on_path_builds_its_own_wheel(
    tmp_path: Path, fleet: Fleet, other_python: Path
) -> None:
    project = write_project(tmp_path / "project", {})
    path = [tmp_path / "first", other_python.parent, Path(sys.executable).parent]
    # An interpreter that does not start (a pyenv shim of an inactive version) hides no other.
    path[0].mkdir()
    (path[0] / other_python.name).write_text("#!/bin/sh\nexit 127\n")
    (path[0] / other_python.name).chmod(0o755)
    fleet.environ["PATH"] = os.pathsep.join([*map(str, path), os.defpath])
    command = fleet.command(project, "--arch", "aarch64")
    built = run(command, fleet.output, fleet.environ)
    assert built.status == 0, built.output
    assert {PY, OTHER_PY} <= {row[1] for row in rows(built.output)}
    names = {f"demo-1.0-{tag}-{tag}-musllinux_1_2_aarch64.whl" for tag in (PY, OTHER_PY)}
    assert names <= set(fleet.wheels)


SLOW = """\
cmake_minimum_required(VERSION 3.18...4.4)
project(demo LANGUAGES C)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  execute_process(COMMAND sh -c "echo $$ > '{marker}' && sleep 600; true")
endif()
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
Python_add_library(_demo MODULE WITH_SOABI demo.c)
install(TARGETS _demo DESTINATION demo)
"""


DEFAULT = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_jobs_and_keeps_finished_wheels(
    tmp_path: Path, fleet: Fleet, number: signal.Signals
) -> None:
    marker = tmp_path / "marker"
    project = write_project(
        tmp_path / "project", {"CMakeLists.txt": SLOW.replace("{marker}", str(marker))}
    )
    archs = ("--arch", "x86_64,aarch64,i686", "-j1")
    process = subprocess.Popen(
        # A process in the background ignores SIGINT, and the child would inherit that.
        [sys.executable, "-c", DEFAULT, *fleet.command(project, "--python", HERE, *archs)],
        env={**os.environ, **fleet.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (marker.exists() and marker.read_text().strip()):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, output
    assert f"muslbackend: ended by {number.name}; finished wheels are in {fleet.output}" in output
    assert fleet.wheels == [f"demo-1.0-{PY}-{PY}-musllinux_1_2_x86_64.whl"]
    assert state(marker.read_text().strip()) in ("gone", "Z")
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if names(p, fleet.temporary)]
    assert fleet.left == []
    assert os.listdir(fleet.output.parent) == ["wheels"]  # noqa: PTH208 - no logs
    assert "i686" not in output


def state(process: str) -> str:
    """Return the state of a process; ``Z`` is a zombie."""
    try:
        return Path("/proc", process, "stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "gone"


def names(command_line: Path, folder: Path) -> bool:
    """Return whether a running program has an argument from a folder."""
    try:
        return os.fsencode(folder) in command_line.read_bytes()
    except OSError:  # it has ended
        return False


def test_zig_is_installed_once_for_all_jobs(tmp_path: Path, fleet: Fleet) -> None:
    project = write_project(tmp_path / "project", {})
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.util\nreal = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'ziglang' else real(n, p)\n"
    )
    logs = tmp_path / "logs"
    paths = os.pathsep.join([str(hide), os.environ.get("PYTHONPATH", "")])
    # Without this environment's zig: the interpreter is named by its path.
    built = fleet(
        project,
        *("--arch", "x86_64,aarch64", "--log-dir", str(logs), f"--python={sys.executable}"),
        PYTHONPATH=paths,
        PATH=os.defpath,
    )
    assert built.status == 0, built.output
    assert len(fleet.wheels) == 2
    installed = [
        p.name for p in logs.iterdir() if "Successfully installed ziglang-" in p.read_text()
    ]
    assert len(installed) == 1


def test_a_missing_build_package_is_one_message(tmp_path: Path, own_wheel: Path) -> None:
    project = write_project(tmp_path / "project", {})
    # As a namespace package, it could be mistaken for that package.
    (project / "build").mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", str(own_wheel)]
    subprocess.run(pip, check=True)
    program = python.with_name("muslbackend")
    for command in ([str(program)], [str(python), "-m", "muslbackend"]):
        done = run(["env", "-C", str(project), *command, "build"], tmp_path, {"PYTHONPATH": ""})
        assert done.status == 3
        assert done.output == (
            "muslbackend: error: muslbackend build requires the package build, which is not "
            "installed\n  hint  pip install 'muslbackend[build]'\n"
        )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--arch", "arm64"],
            "--arch arm64: unknown architecture\n  hint  did you mean aar",
        ),
        (["--python", "3.99"], "--python 3.99: not found on PATH"),
        (["--python", "three"], "--python three: neither a version nor a path"),
        (["--python", "/no/python"], "--python /no/python: not a working Python interpreter"),
        (["--python", "/bin/sh"], "--python /bin/sh: not a working Python interpreter"),
        (["--jobs", "0"], "argument -j/--jobs: not a positive integer: '0'"),
        (["--archs", "all"], "unrecognized arguments: --archs"),
    ],
)
def test_wrong_usage_stops_before_any_build(
    options: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(write_project(tmp_path / "project", {}))
    try:
        status = main(["build", *options])
    except SystemExit as left:
        status = int(left.code or 0)
    assert status == 2
    assert complaint in capsys.readouterr().err
    assert not Path("dist").exists()


@pytest.mark.parametrize(
    ("pyproject", "code", "complaint"),
    [
        (None, 2, ": contains no pyproject.toml"),
        ("[", 2, "pyproject.toml cannot be read: "),
        ("", 2, "the build-backend is setuptools, which does not build wheels for musl"),
        (
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
            2,
            "the build-backend is hatchling.build, which does not build wheels for musl\n  hint",
        ),
        (BACKEND + "[project]\nrequires-python = 'new'\n", 2, "requires-python = 'new'\n  hint"),
        (BACKEND + "[project]\nrequires-python = '<3'\n", 3, "no Python on PATH can build "),
    ],
)
def test_a_project_that_cannot_be_built_is_refused(
    pyproject: str | None,
    code: int,
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    assert main(["build", str(tmp_path)]) == code
    assert complaint in capsys.readouterr().err


def test_a_file_that_is_not_an_sdist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo-1.0.tar.gz").write_text("no archive")
    assert main(["build", str(tmp_path / "demo-1.0.tar.gz")]) == 1
    assert "demo-1.0.tar.gz: cannot unpack the sdist: " in capsys.readouterr().err
    assert main(["build", str(tmp_path / "missing")]) == 1
    assert "missing: cannot unpack the sdist: " in capsys.readouterr().err
    with tarfile.open(tmp_path / "other-1.0.tar.gz", "w:gz") as archive:
        archive.add(__file__, "other-1.0/setup.py")
    assert main(["build", str(tmp_path / "other-1.0.tar.gz")]) == 1
    assert "it does not contain exactly one */pyproject.toml" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project", {})
    (tmp_path / "out").touch()
    assert main(["build", str(project), "-o", str(tmp_path / "out"), "--python", HERE]) == 3
    assert f"{tmp_path / 'out'}: cannot create the folder: File exists" in capsys.readouterr().err


def test_the_folder_of_a_project_has_one_name_and_one_user_at_a_time(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as first:
        (first / "x86_64").mkdir()
        with scratch_folder(tmp_path) as second, scratch_folder(tmp_path / "other") as third:
            assert len({first, second, third}) == 3
            assert second.is_dir()
    assert not any(path.exists() for path in (first, second, third))
    with scratch_folder(tmp_path) as again:
        assert again == first
        assert not list(again.iterdir())


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    assert "0 every wheel was built, 1 some builds failed, 2 usage" in capsys.readouterr().out
