"""The target Python's ``pyconfig.h``, compared with that of a CPython configured for musl."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from muslbackend.build.cross.python import pyconfig_overlay, read_host_python
from muslbackend.musl.releases import ARCHITECTURES

if TYPE_CHECKING:
    from pathlib import Path

#: Macros about the libraries of an interpreter, not about its libc.
CHOICES = re.compile(
    r"\w*CURSES\w*|WINDOW_HAS_FLAGS|MVWDELCH_IS_EXPRESSION|Py_ENABLE_SHARED|WITH_DTRACE"
    r"|WITH_DOC_STRINGS|Py_RL_STARTUP_HOOK_TAKES_ARGS|HAVE_DYNAMIC_LOADING"
    r"|PY_HAVE_PERF_TRAMPOLINE|_Py_HAVE_LIBGCC_EH_FRAME_REGISTRATION|_Py_HAVE_PR_SET_VMA_ANON_NAME"
)


def defined(pyconfig: Path) -> dict[str, str]:
    """Return the macros of a ``pyconfig.h``, as a compiler for musl reads them."""
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
    command = [*compiler, "-E", "-dM", str(pyconfig)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"(?m)^#define (\w+) ?(.*)$", text))


def test_macros_used_by_python_headers_match_a_musl_python(
    musl_python: Path, tmp_path: Path
) -> None:
    host = read_host_python()
    ours = tmp_path / "pyconfig.h"
    overlay = pyconfig_overlay(ARCHITECTURES["x86_64"])
    ours.write_text(host.pyconfig.read_text(encoding="utf-8") + overlay, encoding="utf-8")
    theirs = musl_python.parent.parent / "include" / f"python{host.version}" / "pyconfig.h"
    here, there = defined(ours), defined(theirs)
    headers = (p for p in host.include.rglob("*.h") if p.name != "pyconfig.h")
    words = {w for p in headers for w in re.findall(r"\w+", p.read_text(errors="replace"))}
    asked = {name for name in words & {*here, *there} if not CHOICES.fullmatch(name)}
    different = {n: (here.get(n), there.get(n)) for n in asked if here.get(n) != there.get(n)}
    assert different == {}
    assert {"SIZEOF_LONG", "SIZEOF_WCHAR_T", "HAVE_CLOCK_GETTIME"} <= asked
