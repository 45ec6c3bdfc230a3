"""Symbols that a library opened with RTLD_GLOBAL brings: what a real musl CPython makes of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.loader.graph import Supply
from muslbackend.loader.resolve import resolve
from muslbackend.loader.scan import Scan
from muslbackend.policy.verdict import judge
from support.loaders.samples import X86_64, Library, extension, function, lay_out, members
from support.wheels.builders import target_for

if TYPE_CHECKING:
    from pathlib import Path

OPENS: Final = "import ctypes\nctypes.CDLL({library!r}, mode=ctypes.{mode})\n"
IMPORTS: Final = "ctypes.CDLL({extension!r})\n"


@pytest.mark.parametrize("mode", ["RTLD_GLOBAL", "RTLD_LOCAL"])
def test_what_is_opened_for_all_serves_what_is_opened_later(
    mode: str, musl_python: Path, cache: Path, tmp_path: Path
) -> None:
    other = lay_out({"libother.so": function("nk_dot")}, tmp_path / "other", cache) / "libother.so"
    opener = OPENS.format(library=str(other), mode=mode)
    files: dict[str, Library | bytes] = {
        "demo/_core.so": extension("nk_dot"),
        "demo/__init__.py": opener.encode(),
    }
    folder = lay_out(files, tmp_path / "site-packages", cache)
    program = opener + IMPORTS.format(extension=str(folder / "demo" / "_core.so"))
    done = subprocess.run([musl_python, "-c", program], capture_output=True, text=True, check=False)
    graph = resolve(Scan.of_members(members(folder)), X86_64, Supply())
    codes = {finding.code for finding in judge(graph, target_for()).findings}
    if mode == "RTLD_GLOBAL":
        assert (done.returncode, codes) == (0, {"MB126"}), done.stderr
    else:
        assert "nk_dot: symbol not found" in done.stderr
        assert codes == {"MB102"}


#: A library, a plugin that calls it, and two plugins that call each other.
PLUGINS: Final = {
    "demo/libhost.so": function("host_api"),
    "demo/plugin.so": function("plugin_start", calls="host_api"),
    "demo/one.so": function("one", calls="two"),
    "demo/two.so": function("two", calls="one"),
}


def opened(musl_python: Path, folder: Path, *files: tuple[str, str]) -> str:
    """Return what is said when an interpreter opens files in some modes, one after the other."""
    lines = [f"ctypes.CDLL({str(folder / name)!r}, ctypes.{mode})" for name, mode in files]
    script = "\n".join(["import ctypes", *lines])
    done = subprocess.run([musl_python, "-c", script], capture_output=True, text=True, check=False)
    return done.stderr


def test_a_plugin_is_loaded_after_its_host_and_not_before(
    musl_python: Path, cache: Path, tmp_path: Path
) -> None:
    folder = lay_out(PLUGINS, tmp_path, cache)
    plugin = ("demo/plugin.so", "RTLD_LOCAL")
    assert opened(musl_python, folder, ("demo/libhost.so", "RTLD_GLOBAL"), plugin) == ""
    for before in ([], [("demo/libhost.so", "RTLD_LOCAL")]):
        said = opened(musl_python, folder, *before, plugin)
        assert "plugin.so: host_api: symbol not found" in said
    for first, second in (("one", "two"), ("two", "one")):
        files = [(f"demo/{name}.so", "RTLD_GLOBAL") for name in (first, second)]
        assert f"{first}.so: {second}: symbol not found" in opened(musl_python, folder, *files)
    assert found(folder) == {
        ("demo/plugin.so", "MB144"),
        ("demo/one.so", "MB102"),
        ("demo/two.so", "MB102"),
    }


def found(folder: Path) -> set[tuple[str, str]]:
    graph = resolve(Scan.of_members(members(folder)), X86_64, Supply())
    return {(f.subject, f.code) for f in judge(graph, target_for()).findings}
