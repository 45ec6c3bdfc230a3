"""Our wheels, read by other tools; one core writes the same file as many."""

from __future__ import annotations

import functools
import hashlib
import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from packaging.tags import parse_tag

from muslbackend.repair.write import write_wheel
from muslbackend.wheel.member import Member, Scratch, Spliced
from muslbackend.wheel.name import WheelName
from muslbackend.wheel.reader import unpack
from support.tools.debian import wheel
from support.tools.debiantools import seven_zip, unzip
from support.wheels import splicer
from support.wheels.corpus import ROWS
from support.wheels.rawzip import RARE, STORED, raw, write_raw
from support.wheels.unrepair import unrepair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.projects.frontends import User

pytestmark = [pytest.mark.network]

FILE: Final = "demo-1.0-py3-none-any.whl"
NAME: Final = WheelName("demo-1.0", "", parse_tag("py3-none-any"))
ABOUT: Final = {
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "demo-1.0.dist-info/WHEEL": (
        b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ),
}
TEXT: Final = b"said again and again; " * 5000
NOISE: Final = hashlib.shake_256(b"noise").digest(3 << 20)
CONTENTS: Final = {
    "demo/__init__.py": b"",
    "demo/one.txt": b"1",
    "demo/text.txt": TEXT,
    "demo/noise.bin": NOISE,
    "demo/blocks.bin": TEXT * 30,
    "demo/naïve-日本-🐍.txt": b"not ASCII",
    'demo/odd, "name".txt': b"quoted in RECORD",
    "demo-1.0.data/scripts/demo-run": b"#!python\nprint('ran')\n",
}
EXECUTABLE: Final = "demo-1.0.data/scripts/demo-run"
TIMESTAMP: Final = b"UT\5\0\3" + bytes(4)


def plain(folder: Path) -> Path:
    """A wheel as a build writes it."""
    members = [Member(n, d, n == EXECUTABLE) for n, d in {**CONTENTS, **ABOUT}.items()]
    return write_wheel(folder, NAME, members).path


def kept(folder: Path) -> Path:
    """A wheel with reused compressed bytes of another tool, which uses every feature."""
    found = [raw(n, d) for n, d in {**CONTENTS, **ABOUT}.items() if n != EXECUTABLE]
    found += [
        raw("demo/streamed.bin", TEXT).streamed(),
        raw("demo/streamed-without-signature.bin", TEXT).streamed(signed=False),
        raw("demo/streamed-zip64.bin", TEXT).streamed(wide=True),
        raw("demo/stored.bin", TEXT, STORED),
        raw("demo/stored-empty.bin", b"", STORED),
        *(raw(f"demo/method-{n}.bin", TEXT, n) for n in RARE),
        raw("demo/quick.bin", TEXT, level=1).both(flags=6),
        raw("demo/timestamps.bin", TEXT).both(extra=TIMESTAMP),
        raw("demo/dos-é.bin", TEXT).both(name="demo/dos-é.bin".encode("cp437"), flags=0),
        replace(raw(EXECUTABLE, CONTENTS[EXECUTABLE]), mode=0o100755),
    ]
    given = write_raw(folder / FILE, found)
    with Scratch() as scratch:
        return write_wheel(folder / "new", *unpack(given, scratch)[:2]).path


def spliced(folder: Path) -> Path:
    """A wheel with partly replaced compressed bytes: blocks end and start at any bit."""
    members, bits = [], {"first": set[int](), "behind": set[int]()}
    for number in itertools.count():
        if bits["first"] == bits["behind"] == set(range(8)):
            break
        path = f"demo/spliced-{number}.so"
        member = splicer.spliced(
            folder / str(number),
            splicer.code(900_000, number),
            splicer.changes(900_000, number),
            path,
        )
        assert isinstance(member.content, Spliced)
        for stretch in member.content.stretches:
            bits["first"].add(stretch.first % 8)
            bits["behind"].add(stretch.behind % 8)
        members.append(member)
    rest = [Member(n, d, n == EXECUTABLE) for n, d in {**CONTENTS, **ABOUT}.items()]
    return write_wheel(folder, NAME, [*members, *rest]).path


@pytest.fixture(scope="module", params=[plain, kept, spliced])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = request.param(tmp_path_factory.mktemp("wheel"))
    return path


@pytest.fixture(scope="module")
def served(written: Path) -> Iterator[str]:
    """Its URL on a server; uv unpacks it while it downloads it, from front to back."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=written.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{written.name}"
        server.shutdown()


def expected(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {n: archive.read(n) for n in archive.namelist() if n.startswith("demo/")}


def assert_installed(user: User, python: Path, wheel: Path) -> None:
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    for name, data in expected(wheel).items():
        assert (site / name).read_bytes() == data
    assert user.run(site, python.with_name("demo-run")) == "ran\n"


def test_zipfile_unzip_and_7_zip_find_no_errors(written: Path, cache: Path) -> None:
    commands: dict[str, list[str | Path]] = {
        "Done testing\n": [sys.executable, "-m", "zipfile", "-t", written],
        "No errors detected in compressed data": [unzip(cache), "-t", written],
        "Everything is Ok": [seven_zip(cache), "t", written],
    }
    for says, command in commands.items():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert says in done.stdout
        assert "warning" not in (done.stdout + done.stderr).lower()


def test_unzip_reads_each_file_and_name(written: Path, cache: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([unzip(cache), "-q", written, "-d", tmp_path], env=environ, check=True)
    for name, data in expected(written).items():
        assert (tmp_path / name).read_bytes() == data
    assert (tmp_path / EXECUTABLE).stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "demo/one.txt").stat().st_mode & 0o777 == 0o644


def test_pip_installs_it(written: Path, user: User, tmp_path: Path) -> None:
    python = user.venv(tmp_path / "venv")
    user.pip(python, tmp_path, "install", "--no-index", written)
    assert_installed(user, python, written)
    assert "No broken requirements found" in user.pip(python, tmp_path, "check")


@pytest.mark.parametrize("where", ["file", "server"])
def test_uv_installs_it(written: Path, served: str, user: User, tmp_path: Path, where: str) -> None:
    python = user.venv(tmp_path / "venv")
    given = str(written) if where == "file" else f"demo @ {served}"
    install: list[str | Path] = [
        "pip",
        "install",
        "--no-cache",
        "--no-index",
        "--python",
        python,
        given,
    ]
    user.uv(tmp_path, *install)
    assert_installed(user, python, written)
    user.uv(tmp_path, "pip", "check", "--python", python)


#: Repairs a wheel in a process that is limited to a number of cores.
REPAIR: Final = """\
import json, os, sys
cores, *arguments = json.loads(sys.argv[1])
os.sched_setaffinity(0, cores)
from muslbackend.cli.main import main
sys.exit(main(arguments))
"""


def test_a_repair_on_one_core_writes_the_same_file_as_on_all_cores(
    cache: Path, tmp_path: Path
) -> None:
    every = sorted(os.sched_getaffinity(0))
    (row,) = (
        r
        for r in ROWS
        if (r.pin.requirement, r.platform) == ("shapely==2.2.0", "musllinux_1_2_x86_64")
    )
    given = unrepair(wheel(row.pin, row.platform, row.python, cache), tmp_path / "given")
    made = []
    for number, cores in enumerate((every[:1], every)):
        output = tmp_path / str(number)
        where = ["--library-dir", str(given.libraries), "--output", str(output)]
        arguments = json.dumps([cores, "repair", str(given.wheel), *where])
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([sys.executable, "-c", REPAIR, arguments], env=environ, check=True)
        (path,) = output.iterdir()
        made.append(path.read_bytes())
    assert len(every) > 1
    assert made[0] == made[1]
