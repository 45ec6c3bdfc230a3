"""Wheels that somebody made to harm: refused or found out, soon, and nothing else happens.

Each is checked and repaired. Whatever is wrong, there is a clear word and an exit code, no
traceback; nothing is written beside the output folder, and of what is refused nothing at all.
"""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pytest

from muslbackend.cli import main
from muslbackend.wheel import reader
from muslbackend.wheel.package import MOST_SOURCE
from support.projects.building import ON_MUSL
from support.wheels import wheels
from support.wheels.builders import zig_library
from support.wheels.hostile import MEMORY, counted, laid_out, snapshot, soon, sparing
from support.wheels.rawzip import BZIP2, DEFLATED, LZMA, MOST, STORED, UTF8, Raw, raw, write_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

FILE: Final = "demo-1.0-cp311-cp311-linux_x86_64.whl"
INFO: Final = "demo-1.0.dist-info"
WHEEL, RECORD, METADATA = (f"{INFO}/{part}" for part in ("WHEEL", "RECORD", "METADATA"))
CORE: Final = "demo/_core.so"
TEXT: Final = b"some text, said again and again; " * 300
MANY: Final = ".".join(map(str, range(2000)))
REFUSED: Final = "has a member that wheels must not contain: "
#: Of kinds that nobody heeds.
MANY_FIELDS: Final = b"".join(struct.pack("<2H", kind, 0) for kind in range(300, 16_300))
ONE: Final = "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\n"


def files() -> dict[str, bytes | str]:
    """Return the files of a valid wheel, without metadata."""
    core = zig_library("x86_64", source="int PyInit__core(void) { return 0; }")
    return {"demo/__init__.py": b"x = 1\n", "demo/data.bin": TEXT, CORE: core}


def sound(more: Mapping[str, bytes | str] | None = None) -> list[Raw]:
    """Return the members of a valid wheel with more files, or with others; RECORD lists them."""
    return [
        raw(name, data) for name, data in wheels.whole(FILE, {**files(), **(more or {})}).items()
    ]


def changed(name: str, change: Callable[[Raw], Raw]) -> list[Raw]:
    """Return the members of a valid wheel of which one is changed."""
    found = {raw.central.name.decode(): raw for raw in sound()}
    return [change(raw) if member == name else raw for member, raw in found.items()]


def without(*names: str) -> list[Raw]:
    return [member for member in sound() if member.central.name.decode() not in names]


def recorded(text: bytes) -> list[Raw]:
    """Return the members of a wheel with this RECORD."""
    return [*without(RECORD), raw(RECORD, text)]


def rows(*more: str, leave_out: str = "") -> bytes:
    """Return the RECORD of a valid wheel without a file, and with more rows."""
    text = wheels.whole(FILE, files())[RECORD].decode().splitlines(keepends=True)
    return "".join([*(r for r in text if not r.startswith((f"{leave_out},",))), *more]).encode()


def unicode_name(name: str) -> bytes:
    """Return the extra field that has another name for those who look there."""
    data = b"\1" + bytes(4) + name.encode()
    return struct.pack("<2H", 0x7075, len(data)) + data


def claiming(name: str, size: int) -> Raw:
    """Return a member of so many zeros, as its headers say; in truth there are a few."""
    wide = struct.pack("<2HQ", 1, 8, size) if size > MOST else b""
    shown = min(size, MOST)
    local = struct.pack("<2H2Q", 1, 16, size, 5) if wide else b""
    member = raw(name, bytes(1000)).both(size=shown)
    if not wide:
        return member
    packed = len(member.packed)
    local = struct.pack("<2H2Q", 1, 16, size, packed)
    return member.locally(extra=local, packed_size=MOST).centrally(extra=wide)


@dataclass(frozen=True)
class Hostile:
    """A wheel that somebody made to harm."""

    members: Callable[[], Sequence[Raw]]
    says: str
    """What both commands say of it."""
    check: int = 1
    """The exit code."""
    repair: int = 1
    memory: int = MEMORY
    """What may be held at once, in bytes."""


def named(name: str, says: str = REFUSED, mode: int = 0o100644) -> Hostile:
    """Return one with a member of that name, which RECORD lists."""
    return Hostile(lambda: [*sound(), replace(raw(name, TEXT), mode=mode)], says)


def of_kind(mode: int, says: str) -> Hostile:
    members = lambda: changed("demo/data.bin", lambda r: replace(r, mode=mode))  # noqa: E731
    return Hostile(members, f"has a member that is not a regular file: 'demo/data.bin' is {says}")


def with_record(text: Callable[[], bytes], says: str) -> Hostile:
    return Hostile(lambda: recorded(text()), f"[MB138] {RECORD}: {says}")


NAMES: Final = {
    "a name above the root": named("../out.py"),
    "a name that goes up on its way": named("demo/../../out.py"),
    "a name that goes up and comes back": named("demo/../out.py"),
    "the folder above": named(".."),
    "the folder itself": named("."),
    "a dot in a name": named("demo/./out.py"),
    "an empty part": named("demo//out.py"),
    "no name": named(""),
    "nothing but slashes": named("//"),
    "an absolute name": named("/out.py"),
    "a folder above the root": named("../out/"),
    "a backslash": named("demo\\out.py"),
    "backslashes that go up": named("..\\..\\out.py"),
    "a server of Windows": named("\\\\server\\share\\out.py"),
    "a drive": named("C:/out.py"),
    "a drive and no slash": named("c:out.py"),
    "a line feed": named("demo/a\nb.py"),
    "a sequence that terminals obey": named("demo/\x1b[2Jout.py"),
    "DEL": named("demo/\x7f.py"),
    "a next line of ISO 6429": named("demo/\x85.py"),
    "a line separator": named("demo/\u2028.py"),
    "a part longer than file systems take": named("demo/" + 256 * "x"),
    "a part of many bytes": named("demo/" + 86 * "日"),
    "a name longer than the system takes": named("x/" * 2100 + "y"),
    "as long a name as there can be": named(60_000 * "x"),
    "a NUL": Hostile(lambda: [*sound(), raw("demo/a\0.py", b"")], "contains NUL"),
    "no UTF-8": Hostile(
        lambda: [*sound(), raw("demo/x", b"").both(name=b"demo/\xff", flags=UTF8)], "is not UTF-8"
    ),
    "a file twice": Hostile(
        lambda: [*sound(), raw(CORE, TEXT)], f"has two members with one name: '{CORE}'"
    ),
    "RECORD twice": Hostile(
        lambda: [*sound(), raw(RECORD, b"")], "has two members with one name: "
    ),
    "a file that is a folder too": Hostile(
        lambda: [*sound(), raw(f"{CORE}/x", TEXT)], f"has a file that is also a folder: '{CORE}'"
    ),
    "a file that is an empty folder too": Hostile(
        lambda: [*sound(), raw(f"{CORE}/", b"")], "has a file that is also a folder"
    ),
    "a folder with contents": Hostile(
        lambda: [*sound(), raw("demo/x/", TEXT)], "has a folder entry with data: 'demo/x/'"
    ),
    "another name in an extra field": Hostile(
        lambda: changed(CORE, lambda r: r.both(extra=unicode_name("demo/x"))),
        "an extra field contains a different name",
    ),
    "another name there in the local header": Hostile(
        lambda: changed(CORE, lambda r: r.locally(extra=unicode_name("../x"))),
        "an extra field contains a different name",
    ),
    "two such fields": Hostile(
        lambda: changed(CORE, lambda r: r.both(extra=2 * unicode_name(CORE))),
        "damaged or duplicate",
    ),
    "an extra field without an end": Hostile(
        lambda: changed(CORE, lambda r: r.both(extra=b"UT\x50\0\3")),
        "damaged or duplicate extra field",
    ),
    "thousands of extra fields": Hostile(
        lambda: [
            *sound(),
            *(raw(f"demo/{n}", b"").both(extra=MANY_FIELDS) for n in range(20)),
        ],
        "[MB138]",
    ),
}

KINDS: Final = {
    "a symlink": of_kind(0o120777, "a symlink"),
    "a character device": of_kind(0o020666, "a device"),
    "a block device": of_kind(0o060666, "a device"),
    "a pipe": of_kind(0o010644, "a pipe"),
    "a socket": of_kind(0o140755, "a socket"),
    "a folder by its mode": of_kind(0o040755, "a folder by its mode"),
    "a kind that there is not": of_kind(0o030644, "of an unknown kind (mode 0o30644)"),
    "a symlink that is called like a folder": named("demo/up/", "is a symlink", mode=0o120777),
}

ARCHIVES: Final = {
    "an encrypted file": Hostile(lambda: changed(CORE, lambda r: r.both(flags=1)), "is encrypted"),
    "a wrong CRC": Hostile(lambda: changed(CORE, lambda r: r.both(crc=1)), "wrong size or CRC-32"),
    "a later ZIP": Hostile(
        lambda: changed(CORE, lambda r: r.both(method=93)), "unsupported compression method 93"
    ),
    "bzip2 that is none": Hostile(
        lambda: changed(CORE, lambda r: r.both(method=BZIP2)), "Invalid data stream"
    ),
    "LZMA that is none": Hostile(
        lambda: changed(CORE, lambda r: r.both(method=LZMA)), "not a readable zip archive"
    ),
    "a method of LZMA with nothing behind it": Hostile(
        lambda: changed(CORE, lambda r: replace(r, packed=b"\1").both(method=LZMA, packed_size=1)),
        "is not a readable zip archive",
    ),
    "ZIP64 without the number": Hostile(
        lambda: changed(CORE, lambda r: r.both(size=MOST, extra=struct.pack("<2H", 1, 0))),
        "the ZIP64 extra field is too short",
    ),
    "a member that the directory has not": Hostile(
        lambda: changed(CORE, lambda r: replace(r, behind=hidden("demo/hidden.py"))),
        "unlisted data before",
    ),
    "more than it may unpack to": Hostile(
        lambda: [*sound(), *(claiming(f"demo/{n}", MOST - 1) for n in range(2))],
        f"would unpack to {2 * (MOST - 1) + sum(m.central.size for m in sound())} bytes; the limit",
    ),
    "one file that is more than it may unpack to": Hostile(
        lambda: [*sound(), claiming("demo/x", 1 << 62)], "bytes; the limit is 8000000000"
    ),
    "less than it claims": Hostile(
        lambda: [*sound(), claiming("demo/x.py", MOST - 1)], "wrong size or CRC-32"
    ),
    "a WHEEL of many bytes": Hostile(
        lambda: [*without(WHEEL), raw(WHEEL, bytes(50 << 20))], "bytes; the limit is "
    ),
    "a RECORD of many bytes": Hostile(
        lambda: [*without(RECORD), raw(RECORD, bytes(50 << 20))], "bytes; the limit is "
    ),
    **{
        f"more than it claims, by method {method}": Hostile(
            lambda method=method: [  # type: ignore[misc]
                *sound(), raw("demo/x.py", bytes(64 << 20), method).both(size=1000)
            ],
            "is not a readable zip archive",
            memory=16_000_000,
        )
        for method in (DEFLATED, BZIP2, LZMA)
    },
}  # fmt: skip


def hidden(name: str) -> bytes:
    """Return a local header and what it is of, as streams are read."""
    member = raw(name, b"import os")
    header = b"PK\3\4" + struct.pack("<H", 20) + member.local.fields()
    return header + member.local.name + member.packed


RECORDS: Final = {
    "lists what is not there": with_record(
        lambda: rows("demo/gone.py,,1\n"), "lists files that are not in the wheel: demo/gone.py"
    ),
    "does not list what is there": with_record(
        lambda: rows(leave_out=CORE), f"does not list {CORE}"
    ),
    "lists nothing": with_record(lambda: b"", "does not list demo/__init__.py, demo/data.bin, dem"),
    "has another size": with_record(
        lambda: rows("demo/data.bin,,1\n", leave_out="demo/data.bin"),
        "has the wrong size for demo/d",
    ),
    "has a size that is no number": with_record(
        lambda: rows(f"{CORE},,{'9' * 5000}\n", leave_out=CORE), f"has the wrong size for {CORE}"
    ),
    "says two things": with_record(
        lambda: rows("demo/data.bin,,1\n"), "has conflicting entries for demo/data.bin"
    ),
    "lists what is above": with_record(
        lambda: rows("../../etc/passwd,,\n"),
        "lists files that are not in the wheel: ../../etc/passwd",
    ),
    "is no text": with_record(lambda: b"\xff\xfe\n", "cannot be read: "),
    "has more columns": with_record(
        lambda: rows("a,b,c,d,e\n"), "cannot be read: a row is not path, digest and siz"
    ),
    "has a quote without an end": with_record(
        lambda: rows('"' + 200_000 * "x"), "cannot be read: a row is not path"
    ),
    "has a NUL": with_record(lambda: rows('"a\0",,\n'), "lists files that are not in the wheel: "),
    "is nothing but commas": with_record(lambda: 500_000 * b",", "cannot be read"),
    "is nothing but lines": with_record(lambda: 1_000_000 * b"\n", "does not list "),
}

DIGEST: Final = f"[MB138] {RECORD}: has the wrong digest for demo/data.bin"
#: What check, which hashes nothing, does not see.
DIGESTS: Final = {
    algorithm: Hostile(
        lambda algorithm=algorithm: recorded(  # type: ignore[misc]
            rows(
                wheels.row("demo/data.bin", TEXT[::-1], algorithm), leave_out="demo/data.bin"
            )
        ),
        DIGEST,
        check=0,
    )
    for algorithm in ("sha256", "sha384", "sha512")
}  # fmt: skip

FOLDERS: Final = {
    "no metadata": Hostile(
        lambda: [raw(name, b"") for name in files()], f"[MB139] {FILE}: has no .dist-info directory"
    ),
    "nothing at all": Hostile(list, f"[MB139] {FILE}: has no .dist-info directory"),
    "two folders of metadata": Hostile(
        lambda: [*sound(), raw("other-1.dist-info/WHEEL", ONE.encode())],
        (f"[MB139] {FILE}: has several .dist-info directories: {INFO}, other-1.dist-info"),
    ),
    "the metadata of another wheel": Hostile(
        lambda: [
            raw(n.replace("demo-1.0", "other-1.0"), d) for n, d in wheels.whole(FILE, {}).items()
        ],
        (f"[MB139] {FILE}: contains the metadata of another wheel: other-1.0.dist-info"),
    ),
    "the metadata of another version": Hostile(
        lambda: [
            raw(n.replace("demo-1.0", "demo-1.1"), d) for n, d in wheels.whole(FILE, {}).items()
        ],
        (f"[MB139] {FILE}: contains the metadata of another wheel: demo-1.1.dist-info"),
    ),
    "the metadata of no version": Hostile(
        lambda: [
            raw(n.replace("demo-1.0", "demo-x"), d) for n, d in wheels.whole(FILE, {}).items()
        ],
        f"[MB139] {FILE}: contains the metadata of another wheel: demo-x.dist-info",
    ),
    **{
        f"no {path}": Hostile(
            lambda path=path: without(path),  # type: ignore[misc]
            f"[MB139] {FILE}: is missing {path.rpartition('/')[2]} in {INFO}",
        )
        for path in (WHEEL, RECORD, METADATA)
    },
    "a WHEEL that is no text": Hostile(
        lambda: sound({WHEEL: b"\xff\xfe"}),
        f"[MB139] {FILE}: has no supported Wheel-Version in {WHEEL}",
    ),
    "an empty WHEEL": Hostile(lambda: sound({WHEEL: b""}), "has no supported Wheel-Version"),
    "a WHEEL of the future": Hostile(
        lambda: sound({WHEEL: ONE.replace("1.0", "2.0").encode()}), "has no supported Wheel-Version"
    ),
}

#: What is said of these is a warning, and goes with what is done.
WARNED: Final = {
    "names that differ in case": Hostile(
        lambda: sound({"demo/DATA.bin": TEXT}),
        "warning[MB137] demo/DATA.bin: differs from demo/data.bin",
        check=0, repair=0,
    ),
    "names that differ in how letters are composed": Hostile(
        lambda: sound({"demo/n\u00e9": TEXT, "demo/ne\u0301": TEXT}),
        "warning[MB137] demo/ne\u0301: differs from", check=0, repair=0,
    ),
}  # fmt: skip

EVERY: Final = NAMES | KINDS | ARCHIVES | RECORDS | DIGESTS | FOLDERS | WARNED
#: Modules that the fixture's musl CPython is without.
TAKES: Final = {
    "bzip2 that is none": "bz2",
    f"more than it claims, by method {BZIP2}": "bz2",
    f"more than it claims, by method {LZMA}": "lzma",
}


@pytest.mark.parametrize("name", EVERY)
def test_a_hostile_wheel_is_found_out_and_nothing_is_written(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if ON_MUSL and name in TAKES:
        pytest.importorskip(TAKES[name])
    case = EVERY[name]
    given, output = laid_out(tmp_path, monkeypatch)
    write_raw(given / FILE, case.members())
    before = snapshot(tmp_path)
    with counted(pytestconfig):
        for words, expected in (
            (["check", FILE], case.check),
            (["repair", FILE, "--output", str(output)], case.repair),
        ):
            with soon():
                assert main.main(words) == expected
            out, err = capsys.readouterr()
            assert case.says in out + err or (words[0] == "check" and not expected)
            assert len(out + err) < 5000
            if expected:
                assert snapshot(tmp_path) == before
        with sparing(case.memory):
            main.main(["check", FILE])
            main.main(["repair", FILE, "--dry-run"])
        after = snapshot(tmp_path)
        assert after.keys() - before.keys() <= {f"out/{FILE.replace('linux', 'musllinux_1_2')}"}


def test_the_sound_wheel_that_they_are_made_of_is_ok(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_raw(tmp_path / FILE, sound()))
    assert main.main(["check", path]) == 0
    assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0
    assert "[MB" not in capsys.readouterr().out


#: What is strange and sound.
FINE: Final = {
    "the same name in an extra field": lambda: changed(
        CORE, lambda r: r.both(extra=unicode_name(CORE))
    ),
    "the version spelled otherwise": lambda: [
        raw(n.replace("demo-1.0", "demo-1.0.0"), d.replace(b"demo-1.0", b"demo-1.0.0"))
        for n, d in wheels.whole(FILE, files()).items()
    ],
    "the name spelled otherwise": lambda: [
        raw(n.replace("demo-1.0", "Demo-1.0"), d.replace(b"demo-1.0", b"Demo-1.0"))
        for n, d in wheels.whole(FILE, files()).items()
    ],
    "a comma in a name": lambda: sound({"demo/a,b.txt": TEXT}),
    "digests of another kind": lambda: recorded(
        rows(wheels.row("demo/data.bin", TEXT, "sha512"), leave_out="demo/data.bin")
    ),
    "a digest that ends in =": lambda: recorded(
        rows().replace(b",9900\n", b"=,9900\n")
    ),
    "a file without digest and size": lambda: recorded(
        rows("demo/data.bin,,\n", leave_out="demo/data.bin")
    ),
    "rows that end as on Windows": lambda: recorded(rows().replace(b"\n", b"\r\n")),
    "signatures that no row lists": lambda: [
        *sound(), raw(f"{RECORD}.jws", b"{}"), raw(f"{RECORD}.p7s", b"")
    ],
    "folders": lambda: [*sound(), raw("demo/", b"", STORED), replace(raw("a/", b""), mode=0o40755)],
    "a vendored package's metadata": lambda: sound({"demo/_vendor/x-1.dist-info/RECORD": b"lie"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_what_is_strange_and_sound_is_repaired(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_raw(tmp_path / FILE, FINE[name]()))
    assert main.main(["check", path]) == 0
    assert "[MB" not in capsys.readouterr().out
    assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0
    made = tmp_path / "out" / FILE.replace("linux", "musllinux_1_2")
    assert main.main(["check", str(made)]) == 0
    assert "[MB" not in capsys.readouterr().out
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
    assert len(set(names)) == len(names)
    assert sum(name.endswith(".dist-info/RECORD") for name in names if name.count("/") == 1) == 1


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ("Wheel-Version: 1.0\n", "does not list any tags\n"),
        (ONE.replace("cp311-cp311", "cp312-cp312"), "lists other tags (cp312-cp312-linux_x86_64)"),
        (f"{ONE}Tag: py3-none-any\n", "lists other tags (cp311-cp311-linux_x86_64, py3-none-any)"),
        (ONE.replace("cp311-cp311", "cp311.cp311-cp311"), "lists several tags on one line (cp31"),
        (f"Wheel-Version: 1.0\nTag: {MANY}-b-c\n", "lists other tags (0.1.2.3"),
        (f"Wheel-Version: 1.0\n{'Tag: a.b.c.d.e.f-a.b.c.d.e-a.b.c.d.e' * 9999}\n", "lists other t"),
    ],
)  # fmt: skip
def test_mb140_tags_inside_that_are_not_those_of_the_name(
    about: str,
    says: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(write_raw(tmp_path / FILE, sound({WHEEL: about.encode()})))
    with counted(pytestconfig), soon():
        assert main.main(["check", path]) == 0
        assert f"warning[MB140] {WHEEL}: {says}" in capsys.readouterr().out
        assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0
        assert "MB140" not in capsys.readouterr().out


JUNK: Final = {
    "nothing": b"",
    "no archive": b"#!/bin/sh\n" * 1000,
    "an end and no more": b"PK\5\6" + bytes(18),
    "an end that claims the most": b"PK\5\6" + struct.pack(
        "<4H2LH", 0, 0, 0xFFFF, 0xFFFF, MOST, 0, 0
    ),
    "many ends": b"PK\5\6" * 20_000,
    "a ZIP64 end that claims the most": struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *[2**63] * 4
    ) + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1) + b"PK\5\6" + struct.pack(
        "<4H2LH", 0, 0, *[0xFFFF] * 2, MOST, MOST, 0
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JUNK)
def test_what_is_no_archive_is_refused(
    name: str, tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE).write_bytes(JUNK[name])
    with counted(pytestconfig), soon():
        assert main.main(["check", str(tmp_path / FILE)]) == 1
        assert "error[MB1" in capsys.readouterr().out
        assert main.main(["repair", str(tmp_path / FILE), "--output", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def test_a_member_in_front_that_the_directory_has_not_is_refused(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_raw(tmp_path / FILE, sound(), front=hidden("demo/hidden.py"))
    with counted(pytestconfig):
        assert main.main(["check", str(path)]) == 1
        assert (
            "the archive begins with a member that the central directory does not list"
            in capsys.readouterr().out
        )


def test_a_header_that_two_entries_lead_to_is_refused(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [*sound(), *(raw(f"demo/{n:03}", TEXT) for n in range(100))]
    offsets = dict.fromkeys(range(len(sound()), len(members)), 0)
    path = write_raw(tmp_path / FILE, members, offsets)
    with counted(pytestconfig):
        assert main.main(["check", str(path)]) == 1
        assert "local header and central directory disagree" in capsys.readouterr().out


def test_a_hundred_thousand_members_are_read(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / FILE
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in wheels.whole(FILE, files()).items():
            archive.writestr(name, data)
        for number in range(100_000):
            archive.writestr(zipfile.ZipInfo(f"demo/{number}"), b"")
    with counted(pytestconfig):
        assert main.main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{RECORD}: does not list demo/0, demo/1, demo/2, demo/3, demo/4 and 99995 more" in out


def test_a_large_text_that_is_nothing_but_zeros_is_read_in_little_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    large = {"demo/large.py": bytes(150 << 20), "demo/large.txt": bytes(150 << 20)}
    path = str(wheels.write(tmp_path / FILE, files() | large))
    del large
    with counted(pytestconfig), sparing():
        assert main.main(["check", path]) == 0
        assert main.main(["repair", path, "--output", str(tmp_path / "out")]) == 0


def test_how_much_a_wheel_may_unpack_to_is_the_users_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_raw(tmp_path / FILE, sound()))
    size = sum(member.central.size for member in sound())
    says = f"would unpack to {size} bytes; the limit is {size - 1}"
    for words in (["check", path], ["repair", path, "--dry-run"]):
        assert main.main([*words, "--max-unpacked", str(size)]) == 0
        assert main.main([*words, "--max-unpacked", str(size - 1)]) == 1
        out, err = capsys.readouterr()
        assert says in out + err
        assert "raise the limit with --max-unpacked" in out + err
        assert main.main([*words, "--max-unpacked", "much"]) == 2
        assert "--max-unpacked = 'much' is not a size such as 50MB" in capsys.readouterr().err
        monkeypatch.setenv("MUSLBACKEND_MAX_UNPACKED", "1k")
        assert main.main(words) == 1
        assert main.main([*words, "--max-unpacked", "1MB"]) == 0
        monkeypatch.delenv("MUSLBACKEND_MAX_UNPACKED")


def test_what_has_no_room_in_memory_is_judged_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for room in ("_IN_MEMORY", "_WHILE_JUDGED"):
        monkeypatch.setattr(reader, room, 0)
    opening = b"ctypes.CDLL(path, ctypes.RTLD_GLOBAL)"
    opens = {"demo/open.py": opening.ljust(MOST_SOURCE), "demo/z.py": b"#" * 2_000_000 + opening}
    lacking = "extern int nk_dot(void); int PyInit__core(void) { return nk_dot(); }"
    core = {CORE: zig_library("x86_64", source=lacking)}
    made = wheels.write(tmp_path / FILE, files() | opens | core)
    assert main.main(["check", str(made)]) == 0
    assert "warning[MB126]" in capsys.readouterr().out
    given = ["repair", str(made), "--assume-symbols", "nk_*"]
    assert main.main([*given, "--dry-run"]) == 0
    assert "note[MB145]" in capsys.readouterr().out
    level = ["--compression-level", "9", "--output", str(tmp_path / "out")]
    assert main.main([*given, *level]) == 0
    with zipfile.ZipFile(tmp_path / "out" / FILE.replace("linux", "musllinux_1_2")) as archive:
        assert {name: archive.read(name) for name in opens} == opens
        assert archive.testzip() is None
