from __future__ import annotations

from muslbackend.loader.needs import Reason, asked_of_musl, needs
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from support.wheels.builders import X86_64, elf_info, extension, graph_of

V = MuslVersion.parse
CORE = "demo/_core.so"


def imports(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_each_symbol_of_musl_is_needed_since_its_release() -> None:
    core = extension(imports=imports("statx", "malloc", "qsort_r"))
    lib = elf_info(imports=imports("gettid"))
    assert needs(graph_of({CORE: core, "demo/liba.so": lib}), X86_64) == (
        Reason(CORE, "malloc", V("1.1.0")),
        Reason(CORE, "qsort_r", V("1.2.3")),
        Reason(CORE, "statx", V("1.2.5")),
        Reason("demo/liba.so", "gettid", V("1.2.2")),
    )


def test_the_architecture_decides_which_release_it_is() -> None:
    graph = graph_of({CORE: extension(imports=imports("__time64"))})
    assert needs(graph, X86_64) == ()
    assert needs(graph, ARCHITECTURES["i686"]) == (Reason(CORE, "__time64", V("1.2.0")),)


def test_packed_relocations_need_a_release_too() -> None:
    graph = graph_of({CORE: extension(relr=True, imports=imports("statx"))})
    assert needs(graph, X86_64) == (
        Reason(CORE, "DT_RELR", V("1.2.4"), "packed relative relocations (DT_RELR)"),
        Reason(CORE, "statx", V("1.2.5")),
    )


def test_what_the_closure_defines_is_not_asked_of_musl() -> None:
    files = {
        CORE: extension(needed=("liba.so",), rpath=("$ORIGIN",), imports=imports("statx", "own")),
        "demo/liba.so": elf_info(imports=imports("back"), exports=imports("statx", "own")),
    }
    assert asked_of_musl(graph_of(files)) == {"demo/liba.so": {"back"}}


def test_a_file_may_define_what_it_imports_itself() -> None:
    core = extension(imports=imports("both"), exports=imports("both"))
    assert asked_of_musl(graph_of({CORE: core})) == {}


def test_another_closure_of_the_wheel_does_not_count() -> None:
    files = {
        "demo/one.so": extension(imports=imports("shared")),
        "demo/two.so": extension(exports=imports("shared")),
    }
    assert asked_of_musl(graph_of(files)) == {"demo/one.so": {"shared"}}


def test_every_closure_must_define_what_a_shared_library_imports() -> None:
    files = {
        "demo/one.so": extension(
            needed=("liba.so",), rpath=("$ORIGIN",), exports=imports("callback")
        ),
        "demo/two.so": extension(needed=("liba.so",), rpath=("$ORIGIN",)),
        "demo/liba.so": elf_info(imports=imports("callback")),
    }
    assert asked_of_musl(graph_of(files)) == {"demo/liba.so": {"callback"}}


def test_the_interpreter_defines_pythons_symbols() -> None:
    python = imports("PyList_New", "_PyObject_New", "_Py_NoneStruct", "Py_Initialize")
    core = extension(imports=python | imports("Pylon", "_Pyx", "pyx", "xPyList_New"))
    asked = asked_of_musl(graph_of({CORE: core}))
    assert asked == {CORE: {"Pylon", "_Pyx", "pyx", "xPyList_New"}}


def test_a_library_outside_is_asked_for_its_needs_too() -> None:
    files = {
        CORE: extension(needed=("liba.so",)),
        "/lib/liba.so": elf_info(imports=imports("statx")),
    }
    graph = graph_of(files, "/lib")
    assert needs(graph, X86_64) == (Reason("/lib/liba.so", "statx", V("1.2.5")),)


def test_a_graph_is_asked_once_and_a_changed_one_anew() -> None:
    graph = graph_of({CORE: extension(imports=imports("statx"))})
    assert needs(graph, X86_64) is needs(graph, X86_64)
    other = graph._replace(elf={CORE: extension(imports=imports("gettid"))})
    assert needs(other, X86_64) == (Reason(CORE, "gettid", V("1.2.2")),)
    assert needs(graph, X86_64) == (Reason(CORE, "statx", V("1.2.5")),)


def test_libraries_that_many_load_lack_only_what_some_of_these_do_not_define() -> None:
    files = {
        f"demo/{name}.so": extension(
            needed=("liba.so", "libb.so"), rpath=("$ORIGIN",), exports=imports(*defined)
        )
        for name, defined in (("one", ["x", "y"]), ("two", ["y"]), ("three", ["x", "y", "z"]))
    }
    files["demo/liba.so"] = elf_info(imports=imports("x", "y", "z", "b"), exports=imports("a"))
    files["demo/libb.so"] = elf_info(imports=imports("a"), exports=imports("b"))
    assert asked_of_musl(graph_of(files)) == {"demo/liba.so": {"x", "z"}}
