"""``muslbackend sysroot``: files, records, the cache, and errors of its surroundings."""

from __future__ import annotations

import json
import socket
import sys
import tarfile
import tomllib
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli.main import main
from muslbackend.repair.package_db import find_owners
from support.projects.alpinerepository import (
    KEY,
    Package,
    entry,
    folder,
    hardlink,
    public,
    repository,
    served,
    symlink,
)

if TYPE_CHECKING:
    from pathlib import Path

MUSL: Final = Package(
    "musl",
    "1.2.5-r10",
    (folder("lib"), entry("lib/ld-musl-aarch64.so.1", b"loader")),
    provides="so:libc.musl-aarch64.so.1=1",
)
ZLIB: Final = Package(
    "zlib",
    "1.3.1-r2",
    (
        entry("usr/lib/libz.so.1.3.1", b"a library" * 1000),
        symlink("usr/lib/libz.so.1", "libz.so.1.3.1"),
    ),
    depends="so:libc.musl-aarch64.so.1",
    provides="so:libz.so.1=1.3.1",
)
DEV: Final = Package(
    "zlib-dev",
    "1.3.1-r2",
    (entry("usr/include/zlib.h", b"// zlib"), symlink("usr/lib/libz.so", "/usr/lib/libz.so.1.3.1")),
    depends="zlib=1.3.1-r2 pkgconfig /bin/sh",
    arch="noarch",
    kind="RSA256",
)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cache").mkdir()
    place = tmp_path / "mirror"
    repository(place, MUSL, ZLIB, DEV)
    return place


def sysroot(mirror: Path, *words: str, address: str = "") -> int:
    common = ["--arch", "aarch64", "--mirror", address or f"file:{mirror}", "--repository", "main"]
    key = ["--key", str(mirror / KEY), "--skip", "pkgconfig"]
    return main(["sysroot", str(mirror.parent / "root"), *common, *key, *words])


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def test_packages_and_their_requirements_are_unpacked(
    mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sysroot(mirror, "zlib-dev") == 0
    root = mirror.parent / "root"
    assert files(root) == [
        *(".muslbackend-sysroot.json", "etc/apk/arch", "etc/apk/world", "etc/os-release"),
        *("lib/apk/db/installed", "lib/ld-musl-aarch64.so.1", "usr/include/zlib.h"),
        *("usr/lib/libz.so", "usr/lib/libz.so.1", "usr/lib/libz.so.1.3.1"),
    ]
    link = root / "usr/lib/libz.so"
    assert str(link.readlink()) == "libz.so.1.3.1"
    assert link.read_bytes() == b"a library" * 1000
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["package", "zlib-dev", "zlib", "musl", "3"]
    assert lines[-3] == f"indexes: file:{mirror}/v3.22/main/aarch64 of 2023-11-14"
    assert lines[-2] == "left out: pkgconfig"
    assert tomllib.loads(lines[-1]) == {"sysroot": str(root)}


def test_owners_of_files_are_found(mirror: Path) -> None:
    assert sysroot(mirror, "zlib-dev", "-q") == 0
    owners = find_owners(["/usr/lib/libz.so.1", "/usr/include/zlib.h"], mirror.parent / "root")
    purls = {path: owner.purl for path, owner in owners.items()}
    assert purls == {
        "/usr/lib/libz.so.1": "pkg:apk/alpine/zlib@1.3.1-r2?arch=aarch64&distro=alpine-3.22",
        "/usr/include/zlib.h": "pkg:apk/alpine/zlib-dev@1.3.1-r2?arch=aarch64&distro=alpine-3.22",
    }


def test_the_record_has_the_digests(mirror: Path) -> None:
    assert sysroot(mirror, "zlib-dev") == 0
    record = json.loads((mirror.parent / "root/.muslbackend-sysroot.json").read_text())
    assert record["packages"] == ["zlib-dev"]
    assert sorted(record["sha256"]) == ["musl-1.2.5-r10", "zlib-1.3.1-r2", "zlib-dev-1.3.1-r2"]
    assert record["skip"] == ["pkgconfig"]


def test_a_folder_of_this_command_is_replaced_and_no_other(
    mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = mirror.parent / "root"
    assert sysroot(mirror, "zlib-dev") == 0
    (root / "left").touch()
    assert sysroot(mirror, "musl", "--skip", "nosuch") == 0
    assert "not required, --skip has no effect: nosuch, pkgconfig" in capsys.readouterr().out
    assert "usr/include/zlib.h" not in files(root)
    assert "left" not in files(root)
    (root / ".muslbackend-sysroot.json").unlink()
    before = files(root)
    assert sysroot(mirror, "musl") == 2
    assert "exists, and is not a folder that this command made" in capsys.readouterr().err
    assert files(root) == before
    assert sorted(p.name for p in mirror.parent.iterdir()) == ["cache", "mirror", "root"]


def test_a_failed_run_leaves_the_folder_as_it_was(mirror: Path) -> None:
    assert sysroot(mirror, "zlib-dev") == 0
    before = files(mirror.parent / "root")
    place = mirror / "v3.22/main/aarch64"
    (place / "zlib-1.3.1-r2.apk").write_bytes(b"x")
    assert sysroot(mirror, "zlib-dev") == 1
    assert files(mirror.parent / "root") == before
    assert sorted(p.name for p in mirror.parent.iterdir()) == ["cache", "mirror", "root"]


def test_over_http_packages_are_cached_and_resumed(
    mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str]] = []
    place = mirror / "v3.22/main/aarch64"
    (place / "zlib-1.3.1-r2.apk.cut").write_text("100")
    with served(mirror, asked) as address:
        assert sysroot(mirror, "zlib-dev", address=address) == 3
        assert "cannot be fetched: the transfer ended early" in capsys.readouterr().err
        assert sysroot(mirror, "zlib-dev", address=address) == 0
        ranges = [r for path, r in asked if "zlib-1.3.1" in path]
        assert ranges == ["", "bytes=100-"]
        asked.clear()
        assert sysroot(mirror, "zlib-dev", address=address) == 0
        assert [path for path, _ in asked] == ["/v3.22/main/aarch64/APKINDEX.tar.gz"]


def test_a_partial_file_that_a_server_does_not_know_is_dropped(mirror: Path) -> None:
    file = mirror / "v3.22/main/aarch64/musl-1.2.5-r10.apk"
    good = file.read_bytes()
    file.write_bytes(good[:-1])
    with served(mirror, []) as address:
        assert [sysroot(mirror, "musl", address=address) for _ in range(2)] == [3, 3]
        file.write_bytes(good)
        assert sysroot(mirror, "musl", address=address) == 0


def test_a_damaged_file_in_the_cache_is_fetched_again(mirror: Path) -> None:
    with served(mirror, []) as address:
        assert sysroot(mirror, "musl", address=address) == 0
        (cached,) = (mirror.parent / "cache").rglob("musl-*")
        good = cached.read_bytes()
        cached.write_bytes(good[:-1] + b"x")
        assert sysroot(mirror, "musl", address=address) == 0
        assert cached.read_bytes() == good


def test_a_repository_by_its_address(mirror: Path, tmp_path: Path) -> None:
    own = Package("own", entries=(entry("usr/include/own.h", b"x"),), depends="zlib-dev")
    repository(tmp_path / "private", own)
    address = f"file:{tmp_path}/private/v3.22/main"
    assert sysroot(mirror, "own", "--repository", address) == 0
    assert "usr/include/own.h" in files(tmp_path / "root")


def test_links_of_folders_lead_to_files_of_other_packages(mirror: Path) -> None:
    merged = Package("merged", entries=(folder("usr/lib"), symlink("lib", "usr/lib")))
    late = Package(
        "late", entries=(folder("lib"), entry("lib/x", b"x"), hardlink("lib/y", "lib/x"))
    )
    repository(mirror / "b", merged, late)
    assert sysroot(mirror, "merged", "late", address=f"file:{mirror}/b") == 0
    root = mirror.parent / "root"
    assert (root / "usr/lib/x").read_bytes() == (root / "usr/lib/y").read_bytes() == b"x"
    assert (root / "usr/lib/apk/db/installed").is_file()


def test_devices_are_left_out_and_named(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = (entry("dev/null", kind=tarfile.CHRTYPE), entry("dev/fifo", kind=tarfile.FIFOTYPE))
    repository(mirror / "b", Package("a", entries=odd))
    assert sysroot(mirror, "a", address=f"file:{mirror}/b") == 0
    assert "devices left out: a: dev/null, a: dev/fifo" in capsys.readouterr().out
    assert not (mirror.parent / "root/dev").exists()


@pytest.mark.parametrize(
    ("first", "second", "content"),
    [
        (Package("a", record={"o": "x"}), Package("b", record={"o": "x"}), b"b"),
        (Package("a"), Package("b", replaces=("a>1",)), b"b"),
        (Package("a", replaces=("b",)), Package("b"), b"a"),
    ],
)
def test_one_package_replaces_a_file_of_another(
    first: Package, second: Package, content: bytes, mirror: Path
) -> None:
    for package in (first, second):
        package.entries = (entry("f", package.name.encode()),)
    repository(mirror / "b", first, second)
    assert sysroot(mirror, "a", "b", address=f"file:{mirror}/b") == 0
    root = mirror.parent / "root"
    assert (root / "f").read_bytes() == content
    assert find_owners(["/f"], root)["/f"].name == content.decode()


def test_a_package_without_files_is_not_fetched(mirror: Path) -> None:
    place = repository(
        mirror / "b", Package("meta", depends="a"), Package("a", entries=(folder("d"),))
    )
    (place / "meta-1-r0.apk").unlink()
    assert sysroot(mirror, "meta", address=f"file:{mirror}/b") == 0


def unused_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["!musl"], 2, "'!musl' is not the name of a package"),
        (["so:x"], 2, "'so:x' is not the name of a package"),
        (["pkgconfig"], 2, "pkgconfig is both requested and left out with --skip"),
        (["nosuch"], 2, "nosuch: not in the repositories"),
        (["musl", "--repository", "../x"], 2, "'../x' is not the name of a repository"),
        (["musl", "--repository", "ftp://x/y"], 2, "is not an address with https:, http: or file:"),
        (["musl", "--mirror", "file:"], 2, "is not an address with https:, http: or file:"),
        (["musl", "--repository", "nosuch"], 3, "cannot be fetched: No such file or directory"),
        (["musl", "--key", "/dev/null"], 2, "is not a public RSA key of at least 2048 bits"),
        (["musl", "--key", "/nosuch"], 1, "/nosuch: cannot be read or written"),
        (["musl", "--key", "MIRROR"], 2, "two keys have this file name"),
    ],
)
def test_errors(
    words: list[str], code: int, message: str, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(mirror / KEY) if word == "MIRROR" else word for word in words]
    assert sysroot(mirror, *words) == code
    error = capsys.readouterr().err
    assert message in error
    assert "\n  hint  " in error


@pytest.mark.parametrize("words", ["--alpine ../3", "--alpine latest", "--arch mips"])
def test_malformed_options(words: str, mirror: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        sysroot(mirror, "musl", *words.split())
    assert caught.value.code == 2


def test_errors_of_servers(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(mirror, []) as address:
        assert sysroot(mirror, "musl", "--alpine", "3.1", address=address) == 3
        error = capsys.readouterr().err
        assert "cannot be fetched: the server answers 404\n  hint  check --alpine" in error
        assert sysroot(mirror, "musl", address=f"http://127.0.0.1:{unused_port()}") == 3
        assert "cannot be fetched: [Errno 111] Connection refused" in capsys.readouterr().err


def test_a_redirect_to_a_file_is_not_followed(mirror: Path) -> None:
    from muslbackend.cli.sysroot.fetch import fetch
    from muslbackend.errors import ToolError

    with served(mirror, []) as address:
        assert fetch(f"{address}/{KEY}", 10_000) == public()
        with pytest.raises(ToolError, match="cannot be fetched: the server answers 302"):
            fetch(f"{address}/to-file", 10_000)


def test_without_cryptography_the_extra_is_named(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert sysroot(mirror, "musl") == 3
    assert "hint  run pip install 'muslbackend[sysroot]'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mirror.parent / "file").touch()
    words = ["--arch", "aarch64", "--mirror", f"file:{mirror}", "--repository", "main"]
    key = ["--key", str(mirror / KEY)]
    assert main(["sysroot", str(mirror.parent / "file/root"), *words, *key, "musl"]) == 3
    assert "file/root: cannot be written: " in capsys.readouterr().err


def test_the_release_of_a_package_is_kept(mirror: Path) -> None:
    release = Package("alpine-release", entries=(entry("etc/os-release", b"ID=own"),))
    repository(mirror / "b", release)
    assert sysroot(mirror, "alpine-release", address=f"file:{mirror}/b") == 0
    assert (mirror.parent / "root/etc/os-release").read_bytes() == b"ID=own"
