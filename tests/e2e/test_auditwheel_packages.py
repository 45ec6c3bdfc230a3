"""The packages of auditwheel's integration tests that apply to musl.

They are built here for musl (`auditwheel_projects.py`), repaired, opened by real loaders and used
in a real musl CPython. What auditwheel 6.8.2 made of the very same wheels, on a glibc machine with
`LD_LIBRARY_PATH` and with its idea of the machine's libc set to musl (the same results), stands
in `auditwheel_packages.py`, and is expected of us; where we differ, this table says why. `#` is a
hash.

| package | auditwheel 6.8.2 | muslbackend | why |
|---|---|---|---|
| internal_rpath | bundles libb-#.so, leaves liba.so where it is, tags musllinux_1_2 | the same | |
| multiple_top_level | bundles liba-#.so and libb-#.so below it, `$ORIGIN/NAME.libs` | the same | |
| testrpath, no rpath | bundles liba-#.so, and libb-#.so with `$ORIGIN` | the same | |
| testrpath, DT_RPATH | the same; libb's own rpath goes | the same | |
| testrpath, DT_RUNPATH | the same, all rpaths written as DT_RPATH | the same | |
| testrpath, `--exclude liba.so` | nothing bundled; a line in the log | nothing bundled; MB109, a \
warning | what is left to the system may be missing there |
| testpartialresolution | changes nothing | the same | |
| nonpy_rpath | changes nothing | the same | |
| testdependencies | bundles libdependency-#.so | the same | |
| testdependencies, linked by zig | `ValueError`: "libc.so" could not be located; leaves a wheel \
tagged linux_x86_64 in the output folder, with the library in it | bundles libdependency-#.so | \
`libc.so` is musl itself: its loader never opens a file of that name |
| testpackage (programs, tagged any) | retagged py3-none-musllinux_1_2, in platlib; what is in \
scripts is moved and started through `sysconfig.get_path("platlib")` | the same tag; started from \
where the distribution's files are | that path is another one with `pip install --user` or \
`--target` |
| sample_extension | only the tag | the same | |
| all that bundle | no SBOM: no package of the machine owns the libraries | an SBOM with their \
digests, and a note (MB133) that no license text was found | PEP 770; most licenses ask for it |
| musllinux_1_2/testsimple, 7 machines | musllinux_1_2_ARCH | the same | |
| musllinux_1_2/testsimple, armv6l | linux_armv6l.musllinux_1_2_armv7l | musllinux_1_2_armv6l | \
it knows no armv6l; ours is what pip looks for on such a machine |
| musllinux_1_2/testsimple, cp310 | `InvalidLibcError`, a traceback: no file names a libc, and the \
suffix is `-linux-gnu.so` | musllinux_1_2_x86_64 | CPython for musl looks for that suffix up to \
3.10, and nothing in the file needs glibc |
| cffi, fpewheel, testzlib, python_snappy, glibc/testsimple (all for glibc) | manylinux, or an \
error | errors: MB105, MB107 | they can never be musl's |
| plumbum (pure) | exit status 1, nothing written | copied, exit status 0 | a folder of wheels can \
be repaired as a whole |

Names differ in the hash: ours covers what the library needs too, so that two wheels never mean
different files by one name. The ELF files are of the same size; our zip has no entries for folders.
Left out, as musl has nothing of the kind: test_glibcxx_3_4_25, test_mvec and
test_aarch64_glibc_blacklist (glibc's symbols), android. testdependencies with WITH_ARCH marks files
as for newer processors, which zig cannot (`-mneeded`); both refuse them (MB130).
numpy is among the real wheels of `tests/truth/test_unrepaired.py`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.policy.check import check_wheel
from support.loaders.loaders import RELEASES, dlopen, dlopen_in, loader
from support.loaders.machines import DEBIAN_EXPORTS, MACHINES
from support.projects.auditwheel_packages import PACKAGES
from support.projects.auditwheel_projects import SUFFIX, Built, File, Project, build, bundled_wheel
from support.projects.building import assert_record_is_true, members, pip_install

if TYPE_CHECKING:
    from pathlib import Path

    from muslbackend.loader.graph import Graph
    from support.projects.auditwheel_packages import Contents, Package

pytestmark = [pytest.mark.network]

HASH: Final = re.compile(r"-[0-9a-f]{8}(?=\.so)")
SLOW: Final = {"nonpy_rpath"}
"""C++, for which zig compiles its standard library once."""


def repair(built: Built, output: Path, *options: str) -> Path:
    """Repair a wheel with the libraries of its project; return the new wheel."""
    folders = [word for folder in built.folders for word in ("--library-dir", str(folder))]
    assert main(["repair", str(built.wheel), "-o", str(output), *folders, *options]) == 0
    (made,) = output.iterdir()
    return made


def graph_of(wheel: Path) -> Graph:
    graph = check_wheel(wheel).graph
    assert graph is not None
    return graph


def contents(graph: Graph) -> Contents:
    """Return the contents of a wheel, in the terms of `auditwheel_packages.py`."""
    return {
        HASH.sub("-#", path).removesuffix(SUFFIX): (
            [HASH.sub("-#", name) for name in graph.elf[path].needed],
            ":".join(graph.elf[path].rpath),
        )
        for path in graph.wheel
    }


def unzip(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(package, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, package in PACKAGES.items()
    ],
)
def test_the_repaired_package_matches_auditwheel_and_works(
    package: Package,
    cache: Path,
    tmp_path: Path,
    musl_python: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    built = build(package.project, tmp_path, cache, musl_python)
    made = repair(built, tmp_path / "out", *package.options)
    codes = re.findall(r"\[(MB\d+)\]", capsys.readouterr().out)
    assert made.name == f"{package.project.name}-0.0.1-{package.tag}.whl"
    assert_record_is_true(made)
    graph = graph_of(made)
    assert contents(graph) == package.contents
    bundled = [path for path in graph.wheel if ".libs/" in path]
    # One note for each library: these projects name no license.
    assert codes == [*package.codes, *["MB133"] * len(bundled)]
    assert any(name.endswith("sboms/muslbackend.cdx.json") for name in members(made)) == bool(
        bundled
    )
    assert repair(Built(made, tmp_path, ()), tmp_path / "again", *package.options).read_bytes() == (
        made.read_bytes()
    )
    if not package.call:
        return
    shutil.rmtree(built.outside, ignore_errors=True)
    site = unzip(made, tmp_path / "site")
    script = f"import sys; sys.path.insert(0, {str(site)!r}); {package.call}"
    done = subprocess.run([musl_python, "-I", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == f"{package.answer}\n"
    wanted = frozenset().union(*(elf.imports for elf in graph.elf.values()))
    for release in RELEASES:
        if wanted & DEBIAN_EXPORTS.get(release, (set(), set()))[1]:
            continue  # nonpy_rpath wants crypt, which Debian's musl 1.2.3 was built without
        for root in graph.loads:
            outcome = dlopen_in(musl_python, loader(release, cache), site / root)
            assert outcome.state == "loads", f"{root} on musl {release}: {outcome.words}"


def test_programs_of_a_wheel_tagged_any_run_after_installation(
    cache: Path, tmp_path: Path, musl_python: Path, musl_venv: Path
) -> None:
    gsl = ("libgsl.so.27", "libgslcblas.so.0")
    scripts = "testpackage-0.0.1.data/scripts"
    programs = [
        File(f"{place}/{name}", f"testpackage/{name}.c", needs, program=True)
        for place in ("testpackage", scripts)
        for name, needs in (("testprogram", gsl), ("testprogram_nodeps", ()))
    ]
    libraries = (File(gsl[1], "gsl/cblas.c"), File(gsl[0], "gsl/gsl.c"))
    python = {"testpackage/__init__.py": "testpackage/__init__.py"}
    project = Project("testpackage", tuple(programs), libraries, python, "py3-none-any")
    built = build(project, tmp_path, cache, musl_python)
    made = repair(built, tmp_path / "out")
    assert made.name == "testpackage-0.0.1-py3-none-musllinux_1_2_x86_64.whl"
    files = members(made)
    assert b"Root-Is-Purelib: false\n" in files["testpackage-0.0.1.dist-info/WHEEL"]
    assert files[f"{scripts}/testprogram"].startswith(b"#!python\n")
    assert (
        files[f"{scripts}/testprogram_nodeps"]
        == members(built.wheel)[f"{scripts}/testprogram_nodeps"]
    )
    found = contents(graph_of(made))
    for path in ("testpackage/testprogram", "testpackage.scripts/testprogram"):
        needed, rpath = found[path]
        assert needed[:2] == ["libgsl-#.so.27", "libgslcblas-#.so.0"]
        assert rpath == "$ORIGIN/../testpackage.libs"
    shutil.rmtree(built.outside)
    pip_install(musl_venv, made)
    script = "from testpackage import runit; print(runit(1.5))"
    done = subprocess.run([musl_venv, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"2.25\n"
    for name in ("testprogram", "testprogram_nodeps"):
        done = subprocess.run([musl_venv.with_name(name), "4"], capture_output=True, check=True)
        assert done.stdout == b"16\n"


SIMPLE: Final = [*MACHINES, "armv6l"]


@pytest.mark.parametrize("arch", SIMPLE)
def test_a_finished_wheel_for_another_machine_gets_its_tag_and_loads(
    arch: str, cache: Path, tmp_path: Path
) -> None:
    wheel = bundled_wheel(f"musllinux_1_2/testsimple-0.0.1-cp312-cp312-linux_{arch}.whl", cache)
    made = repair(Built(wheel, tmp_path, ()), tmp_path / "out")
    assert made.name == f"testsimple-0.0.1-cp312-cp312-musllinux_1_2_{arch}.whl"
    graph = graph_of(made)
    site = unzip(made, tmp_path / "site")
    (root,) = graph.loads
    if arch in MACHINES:  # there is no machine for armv6l
        symbols = {name for name in graph.elf[root].imports if name.startswith(("Py", "_Py"))}
        there = loader("1.2.5", cache, arch)
        outcome = dlopen(there, site / root, python_symbols=symbols, cache=cache)
        assert outcome.state == "loads", outcome.words


def test_before_3_11_extensions_for_musl_have_a_gnu_suffix(cache: Path, tmp_path: Path) -> None:
    name = "testsimple-0.0.1-cp310-cp310-{}_x86_64.whl"
    wheel = bundled_wheel(f"musllinux_1_2/{name.format('linux')}", cache)
    made = repair(Built(wheel, tmp_path, ()), tmp_path / "out")
    assert made.name == name.format("musllinux_1_2")


GLIBC: Final = [
    ("cffi-1.5.0-cp27-none-linux_x86_64.whl", "MB105"),
    ("fpewheel-0.0.0-cp35-cp35m-linux_x86_64.whl", "MB105"),
    ("testzlib-0.0.1-cp310-cp310-linux_x86_64.whl", "MB105"),
    ("python_snappy-0.5.2-pp260-pypy_41-linux_x86_64.whl", "MB105"),
    ("glibc/testsimple-0.0.1-cp313-cp313-linux_x86_64.whl", "MB107"),
]


@pytest.mark.parametrize(("name", "code"), GLIBC)
def test_a_wheel_built_for_glibc_is_refused_and_not_written(
    name: str, code: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert main(["repair", str(bundled_wheel(name, cache)), "-o", str(output)]) == 1
    assert f"error[{code}]" in capsys.readouterr().err
    assert not output.exists()


def test_a_pure_wheel_is_copied(cache: Path, tmp_path: Path) -> None:
    wheel = bundled_wheel("plumbum-1.6.8-py2.py3-none-any.whl", cache)
    made = repair(Built(wheel, tmp_path, ()), tmp_path / "out")
    assert (made.name, made.read_bytes()) == (wheel.name, wheel.read_bytes())
