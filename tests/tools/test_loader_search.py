"""How needed libraries are found: we promise what musl's loaders do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from packaging.tags import Tag

from muslbackend.policy.check import check_wheel
from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member
from muslbackend.wheel.name import WheelName
from support.loaders.loaders import dlopen
from support.loaders.samples import (
    EXTENSION,
    Library,
    Maker,
    Patched,
    Sample,
    assert_by_rule,
    function,
    lay_out,
    members,
)
from support.wheels.patching import DT_RPATH, DT_SONAME, retagged

if TYPE_CHECKING:
    from pathlib import Path

    from support.loaders.samples import Compare

CORE: Final = "demo/_core.so"
BESIDE: Final = "demo/libx.so.1"
APART: Final = "demo.libs/libx.so.1"
ANY: Final = "1.1.0"
NEW_TAG: Final = "-Wl,--enable-new-dtags"

ABI3: Final = "demo/_core.abi3.so"
#: As much of an object file as the loader reads.
OBJECT: Final = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + b"\1\0\x3e\0".ljust(48, b"\0")

F: Final = function("f")
G: Final = function("g")


def core(
    *needs: str, rpath: str = "", options: tuple[str, ...] = (), maker: Maker = Maker.GNU
) -> dict[str, Library | bytes]:
    return {CORE: Library(EXTENSION, needs or ("libx.so.1",), rpath, options, maker)}


def by_rpath(rpath: str, since: str | None = ANY, at: str = BESIDE) -> Sample:
    """Return an extension with this rpath that needs the library at `at`."""
    return Sample(f"the rpath {rpath} leads to {at}", since, {**core(rpath=rpath), at: F})


def two_rpaths(new: str, old: str) -> Patched:
    """Return an extension with both kinds of rpath, as linkers once wrote them."""
    library = Library(EXTENSION, ("libx.so.1",), new, (NEW_TAG,), Maker.GNU, soname=old)
    return Patched(library, lambda data: retagged(data, (DT_SONAME, DT_RPATH)))


def reserved(name: str) -> Sample:
    return Sample(f"{name} is needed, which musl takes for itself", ANY, core(name))


def absent(name: str) -> Sample:
    return Sample(f"{name} is needed and nowhere", None, core(name, rpath="$ORIGIN"))


RPATHS: Final = (
    by_rpath("$ORIGIN"),
    by_rpath("${ORIGIN}"),
    by_rpath("$ORIGIN/."),
    by_rpath("$ORIGIN/../demo.libs", at=APART),
    by_rpath("$ORIGIN/../demo.libs/", at=APART),
    by_rpath("$ORIGIN/../demo/../demo.libs", at=APART),
    by_rpath("/nowhere:$ORIGIN/../demo.libs", at=APART),
    by_rpath("$ORIGIN:$ORIGIN/../demo.libs", at=APART),
    by_rpath("::$ORIGIN"),
    by_rpath("$ORIGIN/../demo.libs", since=None),
    by_rpath("$ORIGIN/$LIB:$ORIGIN", since=None),
    by_rpath("$ORIGIN:$PLATFORM", since=None),
    by_rpath("/nowhere", since=None),
    by_rpath("/nowhere\n$ORIGIN"),
    by_rpath("$ORIGIN\n$ORIGIN/$LIB", since=None),
    by_rpath("$ORIGIN/_core.so:$ORIGIN"),
    by_rpath("$ORIGIN/gone:$ORIGIN"),
    by_rpath("$ORIGIN/../gone/../demo.libs", since=None, at=APART),
    by_rpath("$ORIGIN/_core.so/../../demo.libs", since=None, at=APART),
    Sample(
        "the rpath goes through a folder of the wheel",
        ANY,
        {**core(rpath="$ORIGIN/../data/../demo.libs"), APART: F, "data/empty.txt": b""},
    ),
    Sample(
        "of two rpaths the new one leads there",
        ANY,
        {CORE: two_rpaths("$ORIGIN", "/nowhere"), BESIDE: F},
    ),
    Sample(
        "of two rpaths the old one leads there",
        None,
        {CORE: two_rpaths("/nowhere", "$ORIGIN"), BESIDE: F},
    ),
    Sample("no rpath leads to the library beside", None, {**core(), BESIDE: F}),
    Sample(
        "the rpath is of the new kind",
        ANY,
        {**core(rpath="$ORIGIN", options=(NEW_TAG,)), BESIDE: F},
    ),
    Sample(
        "the rpath is written by lld", ANY, {**core(rpath="$ORIGIN", maker=Maker.ZIG), BESIDE: F}
    ),
)

CHAINS: Final = (
    Sample(
        "the rpath holds for what the library needs",
        ANY,
        {**core(rpath="$ORIGIN"), BESIDE: function("f", needs=["liby.so"]), "demo/liby.so": G},
    ),
    Sample(
        "a new kind of rpath holds for it too",
        ANY,
        {
            **core(rpath="$ORIGIN/../demo.libs", options=(NEW_TAG,)),
            APART: function("f", needs=["liby.so"]),
            "demo.libs/liby.so": G,
        },
    ),
    Sample(
        "the rpath of a library does not hold for what needs it",
        None,
        {
            **core("libx.so.1", "liby.so", rpath="$ORIGIN"),
            BESIDE: function("f", rpath="$ORIGIN/../demo.libs"),
            "demo.libs/liby.so": G,
        },
    ),
    Sample(
        "a library was found before by its name",
        ANY,
        {
            **core("liby.so", "libz.so", rpath="$ORIGIN/../demo.libs"),
            "demo.libs/liby.so": G,
            "demo.libs/libz.so": function("z", needs=["liby.so"], rpath="$ORIGIN/../demo"),
        },
    ),
    Sample(
        "a library will be found later by its name",
        ANY,
        {
            **core("liby.so", "libz.so", rpath="$ORIGIN"),
            "demo/liby.so": function("y", needs=["libz.so"]),
            "demo/libz.so": function("z"),
        },
    ),
    Sample(
        "the nearest of two files of one name is wrong",
        None,
        {
            **core(rpath="$ORIGIN:$ORIGIN/../demo.libs"),
            CORE: Library("int f();\nint PyInit_demo(void) { return f(); }\n", ("libx.so.1",),
                          "$ORIGIN:$ORIGIN/../demo.libs"),
            BESIDE: G,
            APART: F,
        },
    ),
    Sample(
        "libraries need each other",
        ANY,
        {
            **core(rpath="$ORIGIN"),
            BESIDE: function("f", calls="g", needs=["liby.so"]),
            "demo/liby.so": function("g", calls="f", needs=["libx.so.1"]),
        },
    ),
    Sample(
        "what is opened is no extension and a library inherits its rpath",
        ANY,
        {
            "demo/native.so": function("native", needs=["libx.so.1"], rpath="$ORIGIN"),
            BESIDE: function("f", needs=["liby.so"]),
            "demo/liby.so": G,
        },
        opens="demo/native.so",
    ),
    Sample(
        "a library needs the extension",
        ANY,
        {**core(rpath="$ORIGIN"), BESIDE: function("f", needs=["_core.so"])},
    ),
)  # fmt: skip

NAMES: Final = (
    Sample("a needed library is nowhere", None, core("libx.so.1", rpath="$ORIGIN")),
    Sample(
        "only the SONAME is the needed name",
        None,
        {**core(rpath="$ORIGIN"), "demo/libx.so.1.2.3": function("f", soname="libx.so.1")},
    ),
    Sample(
        "only the file has the needed name",
        ANY,
        {**core(rpath="$ORIGIN"), BESIDE: function("f", soname="liby.so.9")},
    ),
    *map(reserved, ("libc.so", "libc.so.6", "libm.so.6", "libpthread.so.0", "librt.so.1")),
    *map(reserved, ("libdl.so.2", "libutil.so.9", "libxnet.so", "libc.musl-x86_64.so.1")),
    *map(absent, ("libcrypt.so.1", "libm-abc123.so.6", "libresolv.so.2", "libp.so.1")),
    *map(absent, ("libgcc_s.so.1", "ld-linux-x86-64.so.2", "libcx.so", "libC.so.6")),
    *map(absent, ("libnsl.so.1", "libanl.so.1", "libmvec.so.1", "libthread_db.so.1")),
    *map(absent, ("libstdc++.so.6", "ld-musl-aarch64.so.1")),
    Sample(
        "a name is there that is nearly musl's",
        ANY,
        {**core("libm-abc123.so.6", rpath="$ORIGIN"), "demo/libm-abc123.so.6": F},
    ),
    Sample(
        "a library has a name that musl takes for itself",
        None,
        {
            CORE: Library("int f();\nint PyInit_demo(void) { return f(); }\n", ("libutil.so.3",),
                          "$ORIGIN"),
            "demo/libutil.so.3": F,
        },
    ),
    Sample(
        "the name is a path from where nobody stands",
        None,
        {**core("demo/libx.so.1", rpath="$ORIGIN/.."), BESIDE: F},
    ),
    Sample(
        "the name is a path from the file",
        None,
        {**core("$ORIGIN/libx.so.1", rpath="$ORIGIN"), BESIDE: F},
    ),
    Sample(
        "a text file is found first",
        None,
        {**core(rpath="$ORIGIN:$ORIGIN/../demo.libs"), BESIDE: b"INPUT(-lx)\n", APART: F},
    ),
    Sample(
        "a damaged file is found first",
        None,
        {**core(rpath="$ORIGIN:$ORIGIN/../demo.libs"), BESIDE: b"\x7fELF", APART: F},
    ),
    Sample(
        "a folder is found first",
        None,
        {**core(rpath="$ORIGIN:$ORIGIN/../demo.libs"), f"{BESIDE}/a.txt": b"", APART: F},
    ),
    Sample(
        "an object file is found first",
        None,
        {**core(rpath="$ORIGIN:$ORIGIN/../demo.libs"), BESIDE: OBJECT, APART: F},
    ),
    Sample("what is opened is a text file", None, {ABI3: b"Not found\n"}, ABI3),
    Sample("what is opened is an object file", None, {ABI3: OBJECT}, ABI3),
    Sample("what is opened is empty", None, {ABI3: b""}, ABI3),
    Sample("only a text file is found", None, {**core(rpath="$ORIGIN"), BESIDE: b"INPUT(-lx)\n"}),
)  # fmt: skip


@pytest.mark.parametrize("sample", [*RPATHS, *CHAINS, *NAMES], ids=str)
def test_we_promise_what_the_loader_does(
    sample: Sample, compare: Compare, real_loader: tuple[str, Path]
) -> None:
    assert_by_rule(sample, real_loader[0], compare)


@pytest.mark.parametrize("rpath", ["", "$ORIGIN"])
def test_check_says_of_a_library_in_the_wheel_whether_it_is_found(
    rpath: str, real_loader: tuple[str, Path], cache: Path, tmp_path: Path
) -> None:
    folder = lay_out({**core(rpath=rpath), BESIDE: F}, tmp_path / "site-packages", cache)
    name = WheelName("demo-1", "", frozenset({Tag("py3", "none", "musllinux_1_2_x86_64")}))
    about = {"WHEEL": b"Wheel-Version: 1.0\n", "METADATA": b"Name: demo\nVersion: 1\n"}
    info = [Member(f"demo-1.dist-info/{part}", text) for part, text in about.items()]
    checked = check_wheel(write_wheel(tmp_path, name, [*members(folder), *info]).path)
    state = dlopen(real_loader[1], folder / CORE, cache=cache).state
    assert state == ("loads" if rpath else "refuses")
    assert checked.ok == (state == "loads")
