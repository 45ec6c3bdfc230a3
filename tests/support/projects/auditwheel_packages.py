"""The packages of auditwheel's integration tests, and what auditwheel made of their wheels."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from support.projects.auditwheel_projects import ALPINES_LIBC, SUFFIX, ZIGS_LIBC, File, Project

#: Path in the repaired wheel: what it needs, and its rpath; hashes are `#`, suffixes left out.
Contents = dict[str, tuple[list[str], str]]


@dataclass(frozen=True)
class Package:
    """A project, and what auditwheel made of its wheel."""

    project: Project
    call: str
    """Python that prints `answer`."""
    answer: str
    contents: Contents
    options: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    """Of findings that stay."""

    @property
    def tag(self) -> str:
        """What the wheel is to be tagged."""
        return re.sub(r"linux_x86_64$|any$", "musllinux_1_2_x86_64", self.project.tag)


def rpath_project(rpath: str, *, runpath: bool = False) -> Project:
    """Return one of the three kinds of testrpath."""
    return Project(
        "testrpath",
        (File(f"testrpath/testrpath{SUFFIX}", "src/testrpath/testrpath.c", ("a/liba.so",)),),
        (
            File("b/libb.so", "b/b.c", (), rpath, runpath),
            File("a/liba.so", "a/a.c", ("b/libb.so",), rpath, runpath),
        ),
        {"testrpath/__init__.py": "src/testrpath/__init__.py"},
    )


def both_bundled(name: str, tops: Contents) -> Contents:
    """Return what is in a wheel that has liba, which needs libb, and in front of them `tops`."""
    libs = f"{name}.libs"
    return {
        **tops,
        f"{libs}/liba-#.so": (["libb-#.so"], "$ORIGIN"),
        f"{libs}/libb-#.so": ([], ""),
    }


RPATH_TREE: Final = both_bundled(
    "testrpath", {"testrpath/testrpath": (["liba-#.so"], "$ORIGIN/../testrpath.libs")}
)
RPATH_CALL: Final = "from testrpath import testrpath; print(testrpath.func())"
CRYPT: Final = f"nonpy_rpath/lib_cryptexample{SUFFIX}"
PARTIAL: Final = "testpartialresolution"
DEPENDENCIES: Final = Package(
    Project(
        "testdependencies",
        (
            File(
                f"testdependencies{SUFFIX}",
                "testdependencies.c",
                ("libdependency.so",),
                options=("-D_GNU_SOURCE", "-DWITH_DEPENDENCY"),
            ),
        ),
        (File("libdependency.so", "dependency.c", options=("-D_GNU_SOURCE",)),),
    ),
    "import testdependencies as t; print(t.run(), t.set_tres(), t.run())",
    "0 1 1",
    {
        "testdependencies": (["libdependency-#.so", ALPINES_LIBC], "$ORIGIN/testdependencies.libs"),
        "testdependencies.libs/libdependency-#.so": ([], ""),
    },
)

PACKAGES: Final = {
    "internal_rpath": Package(
        Project(
            "internal_rpath",
            (
                File("internal_rpath/liba.so", "lib-src/a/a.c"),
                File(
                    f"internal_rpath/example_a{SUFFIX}",
                    "src/example_a.pyx",
                    ("internal_rpath/liba.so",),
                    "$ORIGIN",
                    runpath=True,
                ),
                File(f"internal_rpath/example_b{SUFFIX}", "src/example_b.pyx", ("b/libb.so",)),
            ),
            (File("b/libb.so", "lib-src/b/b.c"),),
            {"internal_rpath/__init__.py": "internal_rpath/__init__.py"},
        ),
        "from internal_rpath import example_a, example_b; "
        "print(example_a.example_a(), example_b.example_b())",
        "11 10",
        {
            "internal_rpath/example_a": (["liba.so", ALPINES_LIBC], "$ORIGIN"),
            "internal_rpath/example_b": (
                ["libb-#.so", ALPINES_LIBC],
                "$ORIGIN/../internal_rpath.libs",
            ),
            "internal_rpath/liba.so": ([], ""),
            "internal_rpath.libs/libb-#.so": ([], ""),
        },
    ),
    "multiple_top_level": Package(
        Project(
            "multiple_top_level",
            tuple(
                File(f"example_{x}{SUFFIX}", f"src/example_{x}.pyx", ("a/liba.so",)) for x in "ab"
            ),
            (
                File("b/libb.so", "lib-src/b/b.c"),
                File("a/liba.so", "lib-src/a/a.c", ("b/libb.so",)),
            ),
        ),
        "import example_a, example_b; print(example_a.example_a(), example_b.example_b())",
        "11 110",
        both_bundled(
            "multiple_top_level",
            {
                f"example_{x}": (["liba-#.so", ALPINES_LIBC], "$ORIGIN/multiple_top_level.libs")
                for x in "ab"
            },
        ),
    ),
    "testrpath": Package(rpath_project(""), RPATH_CALL, "11", RPATH_TREE),
    "testrpath-rpath": Package(rpath_project("$ORIGIN/../b"), RPATH_CALL, "11", RPATH_TREE),
    "testrpath-runpath": Package(
        rpath_project("$ORIGIN/../b", runpath=True), RPATH_CALL, "11", RPATH_TREE
    ),
    "testrpath-exclude": Package(
        rpath_project(""),
        "",
        "",
        {"testrpath/testrpath": (["liba.so"], "")},
        ("--exclude", "liba.so"),
        codes=("MB109",),
    ),
    "testpartialresolution": Package(
        Project(
            PARTIAL,
            (
                File(f"{PARTIAL}/libb.so", "b/b.c"),
                File(f"{PARTIAL}/liba.so", "a/a.c", (f"{PARTIAL}/libb.so",)),
                File(
                    f"{PARTIAL}/{PARTIAL}{SUFFIX}",
                    f"src/{PARTIAL}/{PARTIAL}.c",
                    (f"{PARTIAL}/liba.so",),
                    "$ORIGIN",
                ),
            ),
            python={f"{PARTIAL}/__init__.py": f"src/{PARTIAL}/__init__.py"},
        ),
        f"from {PARTIAL} import {PARTIAL}; print({PARTIAL}.func())",
        "11",
        {
            f"{PARTIAL}/liba.so": (["libb.so"], ""),
            f"{PARTIAL}/libb.so": ([], ""),
            f"{PARTIAL}/{PARTIAL}": (["liba.so"], "$ORIGIN"),
        },
    ),
    "nonpy_rpath": Package(
        Project(
            "nonpy_rpath",
            (
                File(CRYPT, "extensions/testcrypt.cpp", (), "$ORIGIN", True, ("-lc++",)),
                File(
                    f"nonpy_rpath/_nonpy_rpath{SUFFIX}",
                    "nonpy_rpath.cpp",
                    (CRYPT,),
                    "$ORIGIN",
                    runpath=True,
                    options=("-lc++",),
                ),
            ),
            python={"nonpy_rpath/__init__.py": "nonpy_rpath/__init__.py"},
        ),
        "import nonpy_rpath; print(nonpy_rpath.crypt_something())",
        "*",
        {
            "nonpy_rpath/lib_cryptexample": ([ALPINES_LIBC], "$ORIGIN"),
            "nonpy_rpath/_nonpy_rpath": ([f"lib_cryptexample{SUFFIX}", ALPINES_LIBC], "$ORIGIN"),
        },
    ),
    "testdependencies": DEPENDENCIES,
    "testdependencies-zig": replace(
        DEPENDENCIES,
        project=replace(DEPENDENCIES.project, libc=ZIGS_LIBC),
        contents={
            path: ([n.replace(ALPINES_LIBC, ZIGS_LIBC) for n in needed], rpath)
            for path, (needed, rpath) in DEPENDENCIES.contents.items()
        },
    ),
    "sample_extension": Package(
        Project(
            "sample_extension", (File(f"sample_extension{SUFFIX}", "src/sample_extension.pyx"),)
        ),
        "import sample_extension; print(sample_extension.test_func(41))",
        "42",
        {"sample_extension": ([ALPINES_LIBC], "")},
    ),
}
