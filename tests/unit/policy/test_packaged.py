"""Rules about the wheel as a package: tags, folders, what its Python code opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muslbackend.policy.findings import Finding, Severity
from muslbackend.policy.verdict import judge
from muslbackend.wheel.package import MOST_SOURCE, Package, Texts, describe, telling, tells
from support.wheels.builders import elf_info, extension, findings_of, graph_of, target_for

if TYPE_CHECKING:
    from muslbackend.elf.info import ElfInfo

CORE = "demo/_core.so"
ANY_MACHINE = Package(any_machine=True)
PURE = Package(root_is_purelib=True)
OPENING = b"ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)"
OPENS = Package(sources=(("demo/__init__.py", OPENING),))


def imports(*names: str) -> ElfInfo:
    return extension(imports=frozenset(names))


def codes(found: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in found]


def test_mb121_an_extension_in_a_wheel_for_any_machine() -> None:
    assert findings_of(extension(), package=ANY_MACHINE) == (
        Finding(
            "MB121",
            Severity.ERROR,
            CORE,
            "is x86_64 code, but the tag of the wheel promises any machine",
            hint=("leave wheel.platlib to scikit-build-core, or leave the file out of the wheel"),
        ),
    )


def test_mb121_a_file_that_may_be_data_is_a_warning() -> None:
    interpreter = extension()._replace(executable=True)  # it has modules built in
    for data in (elf_info(), interpreter):
        (found,) = findings_of({"demo/sample.bin": data}, package=ANY_MACHINE)
        assert (found.code, found.severity) == ("MB121", Severity.WARNING)


def test_mb121_a_wheel_for_some_machine_is_none() -> None:
    assert findings_of(extension()) == ()


@pytest.mark.parametrize(
    ("path", "package", "found"),
    [
        (CORE, PURE, ["MB127"]),
        (CORE, Package(), []),
        ("demo-1.0.data/purelib/demo/_core.so", Package(), ["MB127"]),
        ("demo-1.0.data/purelib/demo/_core.so", PURE, ["MB127"]),
        ("demo-1.0.data/platlib/demo/_core.so", Package(), []),
        ("demo-1.0.data/platlib/demo/_core.so", PURE, []),
        # One finding for one mistake: such a wheel has no folder for native code.
        (CORE, Package(any_machine=True, root_is_purelib=True), ["MB121"]),
    ],
)
def test_mb127_native_code_among_pure_python(path: str, package: Package, found: list[str]) -> None:
    assert codes(findings_of({path: extension()}, package=package)) == found


def test_mb126_a_symbol_that_a_library_opened_before_may_have() -> None:
    assert findings_of(imports("nk_dot"), package=OPENS) == (
        Finding(
            "MB126",
            Severity.WARNING,
            CORE,
            "requires nk_dot, expected from a library that demo/__init__.py opens "
            "first with RTLD_GLOBAL",
            hint="depend on the package that provides the library, or link it to the file",
            symbol="nk_dot",
        ),
    )


@pytest.mark.parametrize("symbol", ["__cxa_thread_atexit_impl", "__isoc23_strtol", "__strdup"])
def test_mb126_no_library_has_what_is_glibcs_or_was_musls(symbol: str) -> None:
    assert codes(findings_of(imports(symbol), package=OPENS)) == ["MB102"]


def test_mb126_where_nothing_is_opened_the_symbol_is_missing() -> None:
    assert codes(findings_of(imports("nk_dot"))) == ["MB102"]


def test_mb126_of_several_openers_the_first_is_named() -> None:
    opening = Package(sources=tuple((name, OPENING) for name in ("a.py", "b.py", "c.py")))
    (found,) = findings_of(imports("x"), package=opening)
    assert "that a.py or one of 2 more files opens" in found.message


def test_mb126_of_a_word_that_opens_nothing_there_is_none() -> None:
    comment = Package(sources=(("demo/__init__.py", b"# RTLD_GLOBAL, as CDLL takes it"),))
    assert codes(findings_of(imports("nk_dot"), package=comment)) == ["MB102"]


def test_mb126_symbols_of_one_file_are_one_finding() -> None:
    (found,) = findings_of(imports("nk_dot", "nk_add"), package=OPENS)
    assert (found.code, found.symbol) == ("MB126", "nk_add")
    assert found.symbols == ("nk_add", "nk_dot")
    assert "requires 2 symbols (nk_add, nk_dot), expected from a library that" in found.message


def of_ours(elf: ElfInfo, package: Package | None = None, *assumed: str) -> tuple[Finding, ...]:
    """Return what is said of a wheel whose tag we write."""
    graph = graph_of({CORE: elf}, package=package)._replace(assumed=assumed, ours=True)
    return judge(graph, target_for()).findings


def test_mb126_no_tag_that_we_write_rests_on_what_is_opened() -> None:
    (found,) = of_ours(imports("nk_dot"), OPENS)
    assert (found.code, found.severity) == ("MB126", Severity.ERROR)
    assert "assume-symbols = ['nk_dot']" in found.hint


@pytest.mark.parametrize("package", [None, OPENS])
def test_mb145_what_the_settings_take_for_given_is_told(package: Package | None) -> None:
    elf = imports("nk_add", "nk_dot", "getpid")
    assert of_ours(elf, package, "other", "nk_*") == (
        Finding(
            "MB145",
            Severity.NOTE,
            CORE,
            "requires 2 symbols (nk_add, nk_dot), assumed to be present "
            "(assume-symbols): it loads only after a library that defines them",
            hint="depend on the package that provides the library",
            symbol="nk_add",
            symbols=("nk_add", "nk_dot"),
        ),
    )


def test_mb145_what_no_glob_fits_is_missing() -> None:
    found = of_ours(imports("nk_dot", "no_such"), None, "nk_*")
    assert [(f.code, f.symbol) for f in found] == [("MB102", "no_such"), ("MB145", "nk_dot")]
    assert "nk_dot, assumed to be present" in found[1].message


def told(**files: bytes) -> Texts:
    """Return what members tell; of their names `__` is a slash, `_py` an ending."""
    texts = Texts()
    for name, text in files.items():
        path = name.replace("__", "/").replace("_py", ".py")
        texts.add(path, telling(path, [text]))
    return texts


def test_what_a_wheel_says_of_itself() -> None:
    texts = told(demo__init_py=OPENING, demo__other_py=b"import os")
    texts.add(
        "demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\r\nRoot-Is-Purelib: true\r\nTag: x\r\n"
    )
    assert describe(["any"], texts) == Package(True, True, (("demo/init.py", OPENING),))
    assert describe(["any", "linux_x86_64"], Texts()) == Package(any_machine=True)
    assert describe(["linux_x86_64"], Texts()) == Package()
    platlib = Texts()
    platlib.add("demo-1.0.dist-info/WHEEL", b"Root-Is-Purelib: false\n")
    assert describe(["linux_x86_64"], platlib) == Package()


@pytest.mark.parametrize(
    "text",
    [b"RTLD_GLOBAL = 256", b"CDLL(x, RTLD_LOCAL)", OPENING + b" " * MOST_SOURCE],
    ids=["nothing is opened", "another mode", "too large"],
)
def test_a_source_that_can_open_nothing_is_not_kept(text: bytes) -> None:
    half = len(text) // 2
    assert telling("demo/x.py", iter([text[:half], text[half:]])) == b""


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_of_many_sources_the_same_are_kept_in_whatever_order(order: tuple[int, ...]) -> None:
    sizes = MOST_SOURCE // 2, MOST_SOURCE, MOST_SOURCE // 4
    files = [(f"{name}.py", OPENING.ljust(size)) for name, size in zip("abc", sizes, strict=True)]
    texts = Texts()
    for place in order:
        texts.add(*files[place])
    assert [path for path, _ in texts.sources()] == ["a.py"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("demo/__init__.py", True),
        ("demo-1.0.dist-info/WHEEL", True),
        ("demo/vendored.dist-info/WHEEL", False),
        ("demo/_core.so", False),
        ("demo-1.0.dist-info/METADATA", False),
    ],
)
def test_members_that_tell_something(path: str, wanted: bool) -> None:
    assert tells(path) is wanted


def test_mb135_two_files_of_one_build() -> None:
    twin = elf_info(build_id="ab12", exports=frozenset({"f"}))
    assert findings_of({"demo/liba.so": twin, "demo/libb.so": twin}) == (
        Finding(
            "MB135",
            Severity.NOTE,
            "demo/libb.so",
            ("is the same build as demo/liba.so: the wheel contains the library more than once"),
            hint="remove one of the two, and link the files that require it to the other",
        ),
    )


def test_mb135_files_without_an_id_or_of_other_builds_are_no_copies() -> None:
    one, two = elf_info(build_id="ab12"), elf_info(build_id="cd34")
    assert findings_of({"demo/a.so": one, "demo/b.so": two}) == ()
    assert findings_of({"demo/a.so": elf_info(), "demo/b.so": elf_info()}) == ()
    one, two = elf_info(checksum=1), elf_info(checksum=2)
    assert findings_of({"demo/a.so": one, "demo/b.so": two}) == ()


def test_mb135_of_one_build_are_those_that_export_the_same() -> None:
    one, other = (elf_info(build_id="ab12", exports=frozenset({name})) for name in "fg")
    files = {"demo/a.so": one, "demo/b.so": other, "demo/c.so": other, "demo/d.so": one}
    found = findings_of(files)
    assert [finding.subject for finding in found] == ["demo/c.so", "demo/d.so"]
    assert "is the same build as demo/b.so" in found[0].message
    assert "is the same build as demo/a.so" in found[1].message


def test_mb135_says_what_the_copy_costs() -> None:
    twin = elf_info(checksum=7, size=1234567)
    (found,) = findings_of({"demo/a.so": twin, "demo/b.so": twin})
    assert found.message.endswith("contains the library more than once, which adds 1,234,567 bytes")


def test_mb135_says_how_to_leave_out_the_copy_of_a_symlink() -> None:
    twin = elf_info(checksum=7)
    (found,) = findings_of({"demo/libx.so": twin, "demo/libx.so.2": twin})
    assert (found.subject, found.hint) == (
        "demo/libx.so.2",
        ('if nothing opens it by that name, remove it with drop-copies = ["libx.so.2"]'),
    )


def test_mb135_without_an_id_the_same_bytes_are_copies() -> None:
    twin = elf_info(checksum=7)
    assert codes(findings_of({"demo/a.so": twin, "demo/b.so": twin})) == ["MB135"]
