"""Repositories in Alpine's format with keys of their own: packages, indexes, and a mirror."""

from __future__ import annotations

import base64
import hashlib
import tarfile
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIME: Final = 1_700_000_000
KEY: Final = "tests@example.org-00000001.rsa.pub"
_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "RSA": hashes.SHA1,
    "RSA256": hashes.SHA256,
    "RSA512": hashes.SHA512,
}


@cache
def key(name: str = KEY) -> rsa.RSAPrivateKey:
    """Return the private key of a name; each name has another."""
    assert name
    return rsa.generate_private_key(65537, 2048)


def public(name: str = KEY) -> bytes:
    return (
        key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def gzipped(data: bytes) -> bytes:
    work = zlib.compressobj(9, zlib.DEFLATED, 31)
    return work.compress(data) + work.flush()


def entry(
    name: str,
    data: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    sha1: str | None = None,
) -> bytes:
    """Return a tar entry with the SHA-1 that apk wants; ``sha1=""`` leaves it out."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime, info.size = kind, link, TIME, len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    content = {tarfile.REGTYPE: data, tarfile.SYMTYPE: link.encode()}.get(kind)
    info.pax_headers = {"ctime": "0"}
    if sha1 is None and content is not None:
        sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if sha1:
        info.pax_headers["APK-TOOLS.checksum.SHA1"] = sha1
    head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return head + data + bytes(-len(data) % 512)


def folder(name: str) -> bytes:
    return entry(f"{name}/", kind=tarfile.DIRTYPE)


def symlink(name: str, target: str) -> bytes:
    return entry(name, kind=tarfile.SYMTYPE, link=target)


def hardlink(name: str, target: str) -> bytes:
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def signature(data: bytes, kind: str = "RSA", by: str = KEY) -> bytes:
    value = key(by).sign(data, PKCS1v15(), _HASHES[kind]())
    return gzipped(entry(f".SIGN.{kind}.{by}", value, sha1=""))


@dataclass
class Package:
    """A package to make; what is odd about it is changed here."""

    name: str
    version: str = "1-r0"
    entries: tuple[bytes, ...] = ()
    depends: str = ""
    provides: str = ""
    arch: str = "aarch64"
    size: int | None = None
    replaces: tuple[str, ...] = ()
    kind: str = "RSA"
    by: str = KEY
    info: dict[str, str] = field(default_factory=dict)
    """Lines of .PKGINFO that replace others; an empty value leaves one out."""
    record: dict[str, str] = field(default_factory=dict)
    """Fields of the index that replace others."""
    tail: bytes = b""
    """Bytes after the data member, which its digest covers."""

    def control(self, data: bytes) -> bytes:
        lines = {
            "pkgname": self.name,
            "pkgver": self.version,
            "arch": self.arch,
            "datahash": hashlib.sha256(data).hexdigest(),
            **self.info,
        }
        text = "".join(f"{k} = {v}\n" for k, v in lines.items() if v)
        text += "".join(f"replaces = {name}\n" for name in self.replaces)
        return gzipped(entry(".PKGINFO", text.encode(), sha1=""))

    def make(self) -> tuple[bytes, str]:
        """Return the file and the record of the index."""
        data = gzipped(b"".join(self.entries) + bytes(1024)) + self.tail
        control = self.control(data)
        whole = signature(control, self.kind, self.by) + control + data
        size = (len(data) if self.entries else 0) if self.size is None else self.size
        sha1 = hashlib.sha1(control, usedforsecurity=False).digest()
        fields = {
            "C": "Q1" + base64.b64encode(sha1).decode(),
            "P": self.name,
            "V": self.version,
            "A": self.arch if self.arch != "noarch" else "aarch64",
            "S": str(len(whole)),
            "I": str(size),
            "L": "MIT",
            "o": self.name.removesuffix("-dev"),
            "D": self.depends,
            "p": self.provides,
            **self.record,
        }
        return whole, "".join(f"{k}:{v}\n" for k, v in fields.items() if v) + "\n"


def index(text: bytes, kind: str = "RSA", by: str = KEY) -> bytes:
    """Return a signed index."""
    tar = entry("DESCRIPTION", b"tests", sha1="") + entry("APKINDEX", text, sha1="")
    member = gzipped(tar + bytes(1024))
    return signature(member, kind, by) + member


def repository(mirror: Path, *packages: Package, name: str = "main", arch: str = "aarch64") -> Path:
    """Write a repository of Alpine 3.22 and the public key, ``mirror/KEY``; return its folder."""
    place = mirror / "v3.22" / name / arch
    place.mkdir(parents=True)
    records = []
    for package in packages:
        data, record = package.make()
        (place / f"{package.name}-{package.version}.apk").write_bytes(data)
        records.append(record)
    (place / "APKINDEX.tar.gz").write_bytes(index("".join(records).encode()))
    (mirror / KEY).write_bytes(public())
    return place


@contextmanager
def served(folder: Path, requests: list[tuple[str, str]]) -> Iterator[str]:
    """Serve a folder over HTTP with ranges, and note the path and range of each request.

    A file ``NAME.cut`` beside a file makes the first answer for it end after that many bytes.
    """

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/").replace("%2B", "+")
            asked = self.headers.get("Range", "")
            requests.append((self.path, asked))
            if self.path == "/to-file":
                self.send_response(302)
                self.send_header("Location", (folder / KEY).as_uri())
                self.end_headers()
                return
            if not path.is_file():
                self.send_error(404)
                return
            data, start = path.read_bytes(), int(asked[6:-1] or 0) if asked else 0
            if start and start >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            cut = path.with_name(f"{path.name}.cut")
            end = len(data)
            if cut.exists():
                end = int(cut.read_text())
                cut.unlink()
            self.wfile.write(data[start:end])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
