"""Indexes and packages that are odd, damaged, or made to harm: each is refused with its reason."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from muslbackend.cli.main import main
from muslbackend.cli.sysroot.keys import Keyring, Signature
from muslbackend.errors import ToolError
from support.projects.alpinerepository import (
    KEY,
    Package,
    entry,
    folder,
    gzipped,
    hardlink,
    index,
    public,
    repository,
    signature,
    symlink,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD: Final = entry("usr/lib/libz.so.1", b"a library")
OTHER: Final = "other@example.org-00000002.rsa.pub"


def damaged(data: bytes) -> bytes:
    return data[:30] + bytes([data[30] ^ 1]) + data[31:]


def sysroot(tmp_path: Path, *words: str) -> int:
    mirror = tmp_path / "mirror"
    command = f"sysroot {tmp_path}/new/root --arch aarch64 --mirror file:{mirror} --repository main"
    return main([*command.split(), "--key", str(mirror / KEY), *(words or ("a",))])


def assert_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], message: str) -> None:
    outside = sorted(path for path in tmp_path.rglob("*") if "mirror" not in path.parts)
    assert sysroot(tmp_path) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "\n  hint  " in error
    # The parent of the folder may exist now, and nothing else.
    left = sorted(path for path in tmp_path.rglob("*") if "mirror" not in path.parts)
    assert left in (outside, [*outside, tmp_path / "new"])


def a(*entries: bytes, **odd: object) -> Package:
    return Package("a", entries=entries or (GOOD,), **odd)  # type: ignore[arg-type]


def device(name: str, kind: bytes = tarfile.CHRTYPE) -> bytes:
    return entry(name, kind=kind)


def header(name: bytes) -> bytes:
    """Return the header of an empty file."""
    info = tarfile.TarInfo(name.decode("latin-1"))
    return info.tobuf(tarfile.USTAR_FORMAT, "latin-1")


def huge(name: str, size: int) -> bytes:
    """Return the header of a file whose contents are not there."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


PACKAGES: Final = {
    "a name above the root": (a(entry("../evil", b"x")), "its name is not a path below"),
    "a name above the root, inside": (a(entry("usr/../../evil", b"x")), "is not a path below"),
    "an absolute name": (a(entry("/evil", b"x")), "its name is not a path below the root"),
    "a name with an empty part": (a(entry("usr//evil", b"x")), "is not a path below the root"),
    "a name with a control character": (a(entry("usr/\x1b[2J", b"x")), "is not a path below"),
    "a hidden name": (a(entry(".muslbackend-sysroot.json", b"{}")), "is not a path below the root"),
    "a device above the root": (a(device("../null")), "its name is not a path below the root"),
    "a long name": (a(entry("usr/" + "n" * 256, b"x")), "is not a path below the root"),
    "a link to outside": (a(symlink("usr/esc", "../../etc")), "is a link that leads out of"),
    "a link without a target": (a(symlink("usr/esc", "\n")), "is a link with a malformed target"),
    "links that lead out together": (
        a(
            *(folder("d"), folder("usr"), symlink("usr/lib", "../d")),
            symlink("usr/esc", "lib/../../etc"),
        ),
        "is a link that leads out of the folder",
    ),
    "a file through a link that leads out": (
        a(
            *(symlink("usr/lib", "../d"), folder("d"), symlink("usr/esc", "lib/../../x")),
            entry("usr/esc/evil", b"x"),
        ),
        "a link on its path leads out of the folder",
    ),
    "a file through an absolute link": (
        a(symlink("usr/esc", "/x"), entry("usr/esc/evil", b"x")),
        "a link on its path does not lead to a folder",
    ),
    "a file through a loop": (
        a(symlink("b", "c"), symlink("c", "b"), entry("b/evil", b"x")),
        "a link on its path is a loop of links",
    ),
    "a folder where a link is": (a(symlink("b", "c"), folder("b")), "is a folder here, and a"),
    "a folder where a loop is": (a(symlink("b", "b"), folder("b")), "is a folder here, and a"),
    "a file as a folder": (a(entry("b", b"x"), entry("b/c", b"x")), "b is not a folder"),
    "a hard link to outside": (
        a(hardlink("b", "../../etc/passwd")),
        "is a hard link to a",
    ),
    "an absolute hard link": (a(hardlink("b", "/etc/passwd")), "is a hard link to a file that the"),
    "a hard link through a link": (
        a(symlink("b", "b"), hardlink("d", "b/c")),
        "is a hard link to a file that the package does not have",
    ),
    "a file twice": (a(GOOD, GOOD), "appears twice"),
    "an unknown type": (a(entry("b", kind=b"7")), "unknown type '7' of a tar entry"),
    "GNU long names": (a(entry("b", kind=b"L")), "unknown type 'L' of a tar entry"),
    "contents of a folder": (
        a(entry("b", bytes(512), kind=tarfile.DIRTYPE)),
        "has an entry with contents that is not a file",
    ),
    "apk's database": (
        a(entry("lib/apk/db/installed", b"P:musl\n")),
        "a: lib/apk/db/installed: is a file that this command writes",
    ),
    "a folder at apk's database": (
        a(folder("lib/apk/db/installed")),
        "the packages: lib/apk/db/installed: is a file that this command writes",
    ),
    "a malformed number": (
        a(header(b"b")[:124] + b"9" * 11 + header(b"b")[135:]),
        "does not contain a tar file, or a damaged one",
    ),
    "two sizes": (
        a(b"".join((entry("x", b"9 size=5\n", kind=b"x", sha1=""), header(b"b")))),
        "has an entry of two sizes",
    ),
    "a checksum that is not a number": (
        a(header(b"b")[:148] + b"99999999" + header(b"b")[156:]),
        "has a malformed number in a tar header",
    ),
    "a huge file": (a(huge("b", 8**11 - 1)), "unpacks to more than it may"),
    "a truncated file": (a(GOOD, huge("b", 100_000)), "is truncated"),
    "a bomb": (a(entry("b", bytes(40 << 20)), size=1), "unpacks to more than it may"),
    "not a tar file": (a(b"x" * 1024), "does not contain a tar file, or a damaged one"),
    "a wrong SHA-1 of a file": (a(entry("b", b"x", sha1="0" * 40)), "the SHA-1 of b is missing or"),
    "no SHA-1 of a file": (a(entry("b", b"x", sha1="")), "the SHA-1 of b is missing or wrong"),
    "a wrong SHA-256 of the files": (a(info={"datahash": "0" * 64}), "the SHA-256 of its files is"),
    "no SHA-256 of the files": (a(info={"datahash": ""}), "does not have one datahash"),
    "two SHA-256 of the files": (
        a(info={"x": "1\ndatahash = " + "0" * 64}),
        "does not have one datahash",
    ),
    "another name": (a(info={"pkgname": "b"}), "its .PKGINFO is of another package: b 1-r0"),
    "an older version": (a(info={"pkgver": "0-r0"}), "its .PKGINFO is of another package: a 0-r0"),
    "another architecture": (a(info={"arch": "x86"}), "its .PKGINFO is of another package"),
    "another size": (a(record={"S": "5"}), "a-1-r0.apk: is larger than it may be"),
    "a smaller file": (a(record={"S": "5000"}), "bytes, the index states 5,000"),
    "another identity": (a(record={"C": f"Q1{'A' * 27}="}), "is not the package in the index"),
    "an unknown key": (a(by=OTHER), f"a-1-r0.apk: is signed by an unknown key: {OTHER}"),
    "junk after the files": (a(tail=b"junk"), "has bytes after its end"),
    "a fourth member": (a(tail=gzipped(b"x")), "has bytes after its end"),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_bad_package_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, message = PACKAGES[name]
    repository(tmp_path / "mirror", package)
    assert_refused(tmp_path, capsys, message)


BYTES: Final[dict[str, tuple[Callable[[bytes], bytes], str]]] = {
    "apk-tools 3, deflate": (lambda d: b"ADBd" + d[4:], "has the format of apk-tools 3"),
    "apk-tools 3, stored": (lambda d: b"ADB.pckg" + d[8:], "has the format of apk-tools 3"),
    "not gzip": (lambda d: b"x" * len(d), "is not a gzip file, or is damaged"),
    "damaged": (damaged, "is not a gzip file, or is damaged"),
    "another byte at the end": (lambda d: d[:-1] + b"x", "the SHA-256 of its files is wrong"),
    "truncated": (lambda d: d[:-9], "bytes, the index states"),
    "empty": (lambda _: b"", "bytes, the index states"),
}


@pytest.mark.parametrize("name", BYTES)
def test_a_damaged_package_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = BYTES[name]
    file = repository(tmp_path / "mirror", a()) / "a-1-r0.apk"
    file.write_bytes(change(file.read_bytes()))
    assert_refused(tmp_path, capsys, message)


def test_another_package_of_the_same_size_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = repository(tmp_path / "mirror", a())
    size = (place / "a-1-r0.apk").stat().st_size
    # Compression gives some of these names the same size.
    packages = (Package(f"c{n}", entries=(GOOD,)).make()[0] for n in range(100))
    other = next(data for data in packages if len(data) <= size + 4)
    (place / "a-1-r0.apk").write_bytes(other.ljust(size, b"x")[:size])
    assert_refused(tmp_path, capsys, "a-1-r0.apk: is not the package in the index")


_TAR: Final = gzipped(entry("APKINDEX", b"", sha1="") + bytes(1024))
INDEXES: Final = {
    "unsigned": (_TAR, "APKINDEX.tar.gz: is not signed"),
    "two unsigned members": (gzipped(b"") + _TAR, "APKINDEX.tar.gz: is not signed"),
    "an unknown kind of signature": (
        gzipped(entry(f".SIGN.DSA.{KEY}", b"x", sha1="")) + _TAR,
        "APKINDEX.tar.gz: is not signed",
    ),
    "a signature of another file": (signature(b"other") + _TAR, f"the signature by {KEY} is wrong"),
    "an unknown key": (signature(_TAR, by=OTHER) + _TAR, f"is signed by an unknown key: {OTHER}"),
    "a member after the end": (index(b"") + gzipped(b""), f"the signature by {KEY} is wrong"),
    "a signed member after the end": (
        signature(_TAR + gzipped(b"")) + _TAR + gzipped(b""),
        "does not consist of one index",
    ),
    "no APKINDEX": (signature(gzipped(b"")) + gzipped(b""), "does not consist of one index"),
    "apk-tools 3": (b"ADBd" + bytes(100), "has the format of apk-tools 3"),
    "not gzip": (b"<html>", "is not a gzip file, or is damaged"),
    "truncated": (index(b"")[:-9], f"the signature by {KEY} is wrong"),
    "a truncated signature": (signature(_TAR)[:50], "is truncated"),
    "empty": (b"", "is truncated"),
    "CRLF": (index(b"P:a\r\nV:1\r\n\r\n"), "is not the text of an index"),
    "a field twice": (index(b"P:a\nP:b\n\n"), "is not the text of an index"),
    "no UTF-8": (index(b"P:\xff\n\n"), "is not the text of an index"),
    "no fields": (index(b"hello\n"), "is not the text of an index"),
    "a bomb as a signature": (gzipped(bytes(1 << 20)), "unpacks to more than it may"),
    "a malformed pax header": (
        signature(bad := gzipped(entry("x", b"99 a=b\n", kind=b"x", sha1=""))) + bad,
        "has a malformed pax header",
    ),
    "a name that is not UTF-8": (
        signature(bad := gzipped(header(b"\xff"))) + bad,
        "has a name that is not UTF-8",
    ),
    "many records": (index(b"P:a\n\n" * 200_001), "the index has more than 200,000 packages"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_a_bad_index_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, message = INDEXES[name]
    (repository(tmp_path / "mirror", a()) / "APKINDEX.tar.gz").write_bytes(data)
    assert_refused(tmp_path, capsys, message)


def test_alpines_key_name_with_another_key_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "alpine-devel@lists.alpinelinux.org-616ae350.rsa.pub"
    place = repository(tmp_path / "mirror", a())
    (place / "APKINDEX.tar.gz").write_bytes(index(b"", by=name))
    keys = tmp_path / "mirror/keys"
    keys.mkdir()
    assert sysroot(tmp_path, "a", "--keys", str(keys)) == 2
    assert f"{name}: this key of Alpine is not in the folder" in capsys.readouterr().err
    (keys / name).write_bytes(public(name))
    assert sysroot(tmp_path, "a", "--keys", str(keys)) == 1
    assert f"{name}: has other contents than Alpine's key" in capsys.readouterr().err


def test_the_key_of_another_architecture_does_not_sign_indexes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub"  # of x86_64
    place = repository(tmp_path / "mirror", a())
    (place / "APKINDEX.tar.gz").write_bytes(index(b"", by=name))
    assert_refused(tmp_path, capsys, f"is signed by an unknown key: {name}")


def test_files_of_two_packages_conflict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Package("b", entries=(entry("usr/lib/libz.so.1", b"another"),))
    repository(tmp_path / "mirror", Package("a", entries=(GOOD,), depends="b"), other)
    assert_refused(tmp_path, capsys, "b: usr/lib/libz.so.1: is also in a, with other contents")


def test_too_many_entries_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muslbackend.cli.sysroot.archive.MOST_ENTRIES", 10)
    repository(tmp_path / "mirror", a(*(entry(f"f{n}", b"x") for n in range(11))))
    assert_refused(tmp_path, capsys, "has more than 10 entries")


def test_packages_that_are_too_large_together_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [Package(f"p{n}", size=1 << 30, entries=(GOOD,)) for n in range(16)]
    whole = a(size=1 << 30, depends=" ".join(part.name for part in parts))
    repository(tmp_path / "mirror", whole, *parts)
    assert_refused(tmp_path, capsys, "the packages have 18.3 GB, more than a sysroot may have")


@pytest.mark.parametrize("kind", ["RSA", "RSA256", "RSA512"])
def test_each_kind_of_signature_is_verified(kind: str, tmp_path: Path) -> None:
    package = a(kind=kind)
    place = repository(tmp_path / "mirror", package)
    (place / "APKINDEX.tar.gz").write_bytes(index(package.make()[1].encode(), kind))
    assert sysroot(tmp_path) == 0


def test_openssl_may_not_permit_sha1() -> None:
    class Key:
        """A key as OpenSSL has it under a policy that forbids SHA-1; none is here."""

        def verify(self, *_: object) -> None:
            raise UnsupportedAlgorithm("sha1 is not supported")

    keys = Keyring("aarch64", (), lambda _: None)
    keys._keys[KEY] = Key()  # type: ignore[assignment]
    with pytest.raises(ToolError, match="OpenSSL of this machine does not verify sha1 signatures"):
        keys.verify([Signature("RSA", KEY, b"")], b"", "the index", index=True)
