"""Which Python sources open libraries with RTLD_GLOBAL: a call does, a word does not."""

from __future__ import annotations

import pytest

from muslbackend.loader.openers import openers, opens
from muslbackend.wheel.package import MOST_SOURCE
from support.wheels.hostile import soon, sparing

CALL = b"ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)"


@pytest.mark.parametrize(
    "source",
    [
        "ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)",
        "ctypes.CDLL(path, ctypes.RTLD_GLOBAL)",
        "ctypes.PyDLL(path, mode=RTLD_GLOBAL)",
        "from ctypes import CDLL as Library, RTLD_GLOBAL as ALL\nLibrary(path, ALL)",
        "from ctypes import *\nlibrary = CDLL(path, RTLD_GLOBAL)",
        "CDLL(path, mode=os.RTLD_NOW | os.RTLD_GLOBAL)",
        "CDLL(path, mode=os.RTLD_NOW + os.RTLD_GLOBAL)",
        "CDLL(path, RTLD_GLOBAL if linux else RTLD_LOCAL)",
        "CDLL(path, mode=getattr(ctypes, 'RTLD_GLOBAL', 0))",
        "sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL)",
        "from sys import setdlopenflags as flags\nflags(RTLD_GLOBAL)",
        "flags = sys.getdlopenflags()\nflags |= os.RTLD_GLOBAL\nsys.setdlopenflags(flags)",
        "_ctypes.dlopen(path, os.RTLD_GLOBAL)",
        "ffi.dlopen(path, ffi.RTLD_LAZY | ffi.RTLD_GLOBAL)",
        "ffi.dlopen(path, flags=ffi.RTLD_GLOBAL)",
        "loader.LoadLibrary(path, os.RTLD_GLOBAL)",
        "mode = ctypes.RTLD_GLOBAL\nfor path in paths: CDLL(path, mode)",
        "mode: int = ctypes.RTLD_GLOBAL\nCDLL(path, mode)",
        "CDLL(path, mode=(mode := RTLD_GLOBAL) and mode)\nCDLL(path, mode)",
        "def opened(path, mode=ctypes.RTLD_GLOBAL):\n    return CDLL(path, mode)",
        "def opened(path, *, mode=ctypes.RTLD_GLOBAL):\n    return CDLL(path, mode=mode)",
        "if False:\n    pass\nelse:\n    CDLL(path, RTLD_GLOBAL)",
        "if True:\n    CDLL(path, RTLD_GLOBAL)",
        "if linux:\n    CDLL('libfoo.so', RTLD_GLOBAL)",
        "\ufeffctypes.CDLL(path, RTLD_GLOBAL)",
        "# coding: no-such-codec\nctypes.CDLL(path, RTLD_GLOBAL)",
        "pattern = '\\d'\nctypes.CDLL(path, RTLD_GLOBAL)",
    ],
)
def test_a_call_that_opens_for_all(source: str) -> None:
    assert opens(source.encode())


@pytest.mark.parametrize(
    "source",
    [
        "# ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)",
        "'''ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)'''",
        "import os\nprint('RTLD_GLOBAL', os.RTLD_GLOBAL)",
        "RTLD_GLOBAL = 0x100\nctypes.CDLL(path)",
        "ctypes.CDLL(RTLD_GLOBAL)",
        "ctypes.CDLL(path, winmode=RTLD_GLOBAL)",
        "ctypes.CDLL(path, mode='RTLD_GLOBAL')",
        "ctypes.CDLL(path, mode=RTLD_LOCAL)  # not RTLD_GLOBAL",
        "sys.setdlopenflags(sys.getdlopenflags() & ~os.RTLD_GLOBAL)",
        "sys.setdlopenflags(flags ^ os.RTLD_GLOBAL)",
        "ctypes.CDLL(path, mode=mode_without(RTLD_GLOBAL))",
        "opened(path, mode=ctypes.RTLD_GLOBAL)",
        "from ctypes import RTLD_LOCAL as RTLD_GLOBAL\nCDLL(path, RTLD_GLOBAL)",
        "def CDLL(path, mode=RTLD_GLOBAL): pass\nctypes.CDLL(path, other)",
        "ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL",
        "if False:\n    ctypes.CDLL(path, RTLD_GLOBAL)",
        "while 0:\n    ctypes.CDLL(path, RTLD_GLOBAL)",
        "if typing.TYPE_CHECKING:\n    ctypes.CDLL(path, RTLD_GLOBAL)",
        "if TYPE_CHECKING:\n    mode = RTLD_GLOBAL\nctypes.CDLL(path, mode)",
        "ctypes.CDLL(None, ctypes.RTLD_GLOBAL)",
        "ctypes.CDLL(name=None, mode=ctypes.RTLD_GLOBAL)",
        "ctypes.CDLL('libc.so', mode=ctypes.RTLD_GLOBAL)",
        "print 'RTLD_GLOBAL'; ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)",
    ],
)
def test_a_word_that_opens_nothing(source: str) -> None:
    assert not opens(source.encode())


def test_sources_are_told_by_their_paths() -> None:
    assert openers([("a.py", CALL), ("b.py", b"#" + CALL), ("c.py", CALL)]) == ("a.py", "c.py")


@pytest.mark.parametrize(
    "source",
    [
        b"a=" + b"-" * 50_000 + b"1\n" + CALL,
        b"a" + b"+a" * 25_000 + b"\n" + CALL,
        b"a" + b".a" * 25_000 + b"\n" + CALL,
        b"(" * 50_000 + CALL,
        b"a\n" * 30_000 + b"#" + CALL,
        b"[" + b"a," * 30_000 + b"]#" + CALL,
        b"def f():\n" + b" " * 50_000 + CALL + b"\x00",
        b"9" * 50_000 + b"\n" + CALL,
        b"\xff\xfe" + CALL,
        b"if a:\n" * 10_000 + CALL,
    ],
    ids=[
        "signs",
        "sums",
        "attributes",
        "brackets",
        "lines",
        "list",
        "zero",
        "digits",
        "bytes",
        "if",
    ],
)
def test_what_somebody_wrote_to_tire_a_parser_is_no_evidence(source: bytes) -> None:
    assert len(source) <= MOST_SOURCE
    with soon():
        assert not opens(source)
    with sparing():
        opens(source)
