"""What ``verify`` makes of files that our rules are not asked about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.build.cross.emulation import find_emulation
from muslbackend.errors import MuslBackendError, ToolError
from muslbackend.musl.releases import MuslVersion
from muslbackend.musl.tags import Target
from muslbackend.repair import verify
from muslbackend.repair.verify import Opened, Opener, open_all
from support.loaders.loaders import loader
from support.loaders.samples import X86_64, graph_of, members
from support.tools.debian import compile_c
from support.tools.marks import CROSSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TARGET: Final = Target(X86_64, MuslVersion(1, 2, 0), native=False, strict=True)
ANY: Final = "int nothing;\n"
#: What musl 1.2.3 does not have.
LATER: Final = "int preadv2(void); int main(void) { return preadv2(); }\n"
HANGS: Final = """\
int pause(void);
__attribute__((constructor)) static void start(void) { for (;;) pause(); }
"""
ENDS: Final = """\
#include <unistd.h>
__attribute__((constructor)) static void start(void) { _exit(0); }
"""


#: What the host's programs can preload, and musl cannot.
GLIBC_ONLY: Final = "extern int gnu_get_libc_version; int *needs = &gnu_get_libc_version;\n"


@pytest.fixture
def opener(cache: Path, tmp_path: Path) -> Opener:
    """A loader of musl 1.2.3, and a compiler as our toolchain has one."""
    compiler = tmp_path / "cc"
    compiler.write_text(
        f'#!/bin/sh\nexec {sys.executable} -m ziglang cc -target x86_64-linux-musl -dynamic "$@"\n'
    )
    compiler.chmod(0o755)
    return find_emulation(X86_64, loader("1.2.3", cache)).opener(compiler)


@pytest.fixture
def wheel(cache: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make the folder of a wheel with one file of that source."""

    def make(name: str, source: str, *options: str) -> Path:
        folder = tmp_path / "wheel/demo"
        folder.mkdir(parents=True)
        (tmp_path / "wheel/source.c").write_text(source)
        compile_c(folder / name, [*(options or ("-shared", "-fPIC")), "../source.c"], cache)
        return folder.parent

    return make


def opened(opener: Opener, wheel: Path) -> Opened:
    return open_all(opener, members(wheel), graph_of(wheel), TARGET)


def test_a_program_is_relocated_and_not_started(opener: Opener, wheel: Callable[..., Path]) -> None:
    with pytest.raises(MuslBackendError, match=r"demo/it: .* preadv2: symbol not found") as caught:
        opened(opener, wheel("it", LATER, "-dynamic"))
    assert caught.value.hint.startswith("unless the file's own code is the cause")


def test_a_static_program_has_no_loader(opener: Opener, wheel: Callable[..., Path]) -> None:
    static = wheel("it", "void _start(void) {}\n", "-static", "-nostdlib")
    assert opened(opener, static) == Opened(MuslVersion(1, 2, 3), "", 0)


def test_a_file_that_ends_the_process_by_itself(opener: Opener, wheel: Callable[..., Path]) -> None:
    with pytest.raises(MuslBackendError, match=r"\n  demo/it\.so: ends with exit status 0\n"):
        opened(opener, wheel("it.so", ENDS))


def test_a_file_that_does_not_end(
    opener: Opener, wheel: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PATIENCE", 2)
    with pytest.raises(MuslBackendError, match=r"demo/it\.so: did not end within 2 seconds"):
        opened(opener, wheel("it.so", HANGS))


@CROSSES
def test_what_the_host_preloads_does_not_get_into_it(
    opener: Opener,
    wheel: Callable[..., Path],
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "library.c").write_text(GLIBC_ONLY)
    compile_c(tmp_path / "host.so", ["-shared", "-fPIC", "library.c"], cache)
    made = wheel("it.so", ANY)
    monkeypatch.setenv("LD_PRELOAD", f"{tmp_path}/host.so")
    assert opened(opener, made) == Opened(MuslVersion(1, 2, 3), "", 1)


def test_a_compiler_that_fails(opener: Opener, wheel: Callable[..., Path]) -> None:
    assert opener.compiler is not None
    opener.compiler.write_text("#!/bin/sh\necho no such target >&2\nexit 1\n")
    with pytest.raises(ToolError, match="that opens the files cannot be compiled: no such target"):
        opened(opener, wheel("it.so", ANY))
