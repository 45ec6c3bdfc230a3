"""Mutated ELF files: whatever we say loads is loaded by musl's real loader. Two minutes of it."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import pytest

import fuzz.differential
from fuzz.anatomy import Anatomy
from fuzz.comparing import (
    BAD,
    DANGEROUS,
    FINE,
    STRICTER,
    Asked,
    Judged,
    judged,
    result,
    uncalled_mutant,
    uncalled_seed,
)
from fuzz.comparing import fuzz as fuzz_here
from fuzz.differential import count, disagreements, main, table
from fuzz.edits import Mutator, applied
from fuzz.realloader import Loader, Opened
from fuzz.seeds import KINDS, NAME, Kind, Seed, seed
from support.tools import tally
from support.tools.debian import FixtureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Of the clock; other tests run beside it.
SECONDS: Final = 120.0
#: Releases on which a sound file does not load, by its kind.
TOO_OLD: Final = {"relr": {"1.2.3"}}
DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ = 12, 25, 27
OWN_CODE: Final = "its own code fails"


def test_nothing_is_promised_in_vain(
    tmp_path: Path, cache: Path, pytestconfig: pytest.Config
) -> None:
    # Not from here: the processes that it starts would have what these tests hold.
    # The same mutants each time, so that a change is at fault; make fuzz tries new ones.
    command = [
        sys.executable,
        fuzz.differential.__file__,
        "--seconds",
        str(SECONDS),
        "--seed",
        "20",
    ]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MUSL_TEST_CACHE": str(cache)},
    )
    said = done.stdout + done.stderr
    found = re.search(r"differential: (\d+) mutants \(seed \d+\), (\d+) dangerous$", said, re.M)
    assert found is not None, said
    tried, dangerous = map(int, found.groups())
    tally.count_tried(pytestconfig, "differential", tried, dangerous)
    # The mutants go with the folder: here they are.
    files = sorted((tmp_path / DANGEROUS).glob("*"))
    mutants = [f"{file.name} {file.read_bytes().hex()}" for file in files if file.suffix == ".so"]
    notes = [file.read_text() for file in files if file.suffix == ".txt"]
    assert (done.returncode, dangerous) == (0, 0), "\n".join([said, *notes, *mutants])
    assert tried > 1000


class Comparison(NamedTuple):
    result: str
    ours: Judged
    loader: Opened


#: Compares our answer on a file in the place of a seed with that of a release of musl.
Compare: TypeAlias = "Callable[..., Comparison]"


@pytest.fixture
def compare(cache: Path, tmp_path: Path) -> Compare:
    def opened(sound: Seed, data: bytes, release: str, *, hidden: bool = False) -> Opened:
        for name, content in sound.having(data).items():
            (tmp_path / name).write_bytes(content)
        started = Loader(sound.kind.arch, release, tmp_path, cache)
        threads = "_Thread_local" in sound.kind.source
        started.ask([tmp_path / NAME], threads=threads, hidden=hidden)
        (answer,) = started.answers(1)
        started.close()
        return answer

    def both(
        sound: Seed, data: bytes, release: str = "1.2.3", ours: Judged | None = None
    ) -> Comparison:
        ours = ours or judged(sound, data, release)
        theirs = opened(sound, data, release)
        bare = uncalled_mutant(sound, data)
        uncalled = opened(uncalled_seed(sound), bare, release, hidden=True)
        return Comparison(result(ours, theirs, uncalled), ours, theirs)

    return both


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_seed_loads_and_we_say_so(kind: Kind, compare: Compare, cache: Path) -> None:
    sound = seed(kind, cache)
    for release in sorted(set(kind.releases)):
        expected = BAD if release in TOO_OLD.get(kind.name, ()) else FINE
        compared = compare(sound, sound.data, release)
        assert compared.result == expected, compared


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def _asked(tmp_path: Path, cache: Path, kind: str, verdict: Callable[..., Judged]) -> Asked:
    return Asked(60.0, 192, 7, tmp_path / "found", cache, (kind,), verdict)


@pytest.mark.parametrize("kind", ["gnu-hash", "i686"])
def test_who_calls_all_of_them_fine_is_found_out(kind: str, tmp_path: Path, cache: Path) -> None:
    found = fuzz_here(_asked(tmp_path, cache, kind, lambda *_: Judged(fine=True)))
    assert count(found, STRICTER) == 0
    assert count(found, DANGEROUS) > 20
    lines = list(disagreements(found, DANGEROUS, 100))
    assert any("loader: refuses; we: ok" in line for line in lines)
    assert any("at relocating, in the loader; we: ok" in line for line in lines)
    assert f"{kind} " in list(table(found))[1]
    # Each group has a mutant and a note, from which a test can be made.
    for path in found.files.values():
        note = (tmp_path / "found" / DANGEROUS / path).with_suffix(".txt").read_text()
        assert note.startswith(f"seed {kind} (of --seed 7), musl 1.2.")


def test_who_refuses_all_of_them_is_found_out(tmp_path: Path, cache: Path) -> None:
    verdict = Judged(fine=False, said="MB108 #")
    found = fuzz_here(_asked(tmp_path, cache, "sysv-hash", lambda *_: verdict))
    assert (count(found, FINE), count(found, DANGEROUS)) == (0, 0)
    assert count(found, STRICTER) > 20
    assert "; loader: loads; we: MB108 #" in next(disagreements(found, STRICTER, 1))
    _, row, whole = table(found)
    assert row.split()[:3] == ["sysv-hash", "192", "0"]
    assert whole.split()[1:] == row.split()[1:]


def test_a_failure_of_ours_is_dangerous(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> Judged:
        raise KeyError("x")

    monkeypatch.setattr("fuzz.comparing._judged", fail)
    monkeypatch.setenv("MUSL_TEST_CACHE", str(cache))
    words = ["--mutants", "32", "--jobs", "1", "--seed", "3", "--kind", "no-init"]
    assert main([*words, "--folder", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "we: we fail: KeyError: 'x'" in out
    assert "differential: 32 mutants (seed 3), 32 dangerous" in out


#: Constructors that go wrong, and where the loader is sent instead of to them.
CRASHES: Final = "void *PyInit__core(void) { return 0; }\n"
OWN: Final = {
    "it crashes": "*(volatile int *)8 = 1;",
    "it calls what crashes": "extern int strlen(char *); strlen((char *)8);",
    "it goes astray": "((void (*)(void))8)();",
    "it has no end": 'for (;;) asm volatile("");',
    "it ends the process": "extern void _exit(int); _exit(0);",
    "it aborts": "extern void abort(void); abort();",
}


@pytest.mark.parametrize("how", OWN)
def test_a_constructor_that_fails_is_nothing_that_a_file_tells(
    how: str, compare: Compare, cache: Path
) -> None:
    begin = f"__attribute__((constructor)) static void begin(void) {{ {OWN[how]} }}\n"
    sound = seed(Kind("own code", CRASHES + begin), cache)
    compared = compare(sound, sound.data)
    assert compared.ours.fine
    assert not compared.loader.loads
    assert compared.result == OWN_CODE, compared


def test_a_loader_that_ends_is_a_fault_of_the_fixture() -> None:
    with pytest.raises(FixtureError, match=r"opener\.c: ended with ''"):
        Opened.of("")


def _with_tag(sound: Seed, tag: int, number: int) -> bytes:
    data, (at,) = bytearray(sound.data), [a for a, t, _ in Anatomy(sound.data).dynamic if t == tag]
    struct.pack_into("<Q", data, at + 8, number)
    return bytes(data)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (
            "init-fini",
            (DT_INIT, 0x10),
            "signal 11 at constructors, in its data, called in the loader",
        ),
        (
            "init-fini",
            (DT_INIT, 1 << 34),
            "signal 11 at constructors, outside of all code, called in the loader",
        ),
        ("gnu-hash", (DT_INIT_ARRAY, 1 << 40), "signal 11 at constructors, in the loader"),
        ("gnu-hash", (DT_INIT_ARRAYSZ, 1 << 20), "signal 11 at constructors"),
    ],
)
def test_where_the_loader_itself_is_led_astray_is_dangerous(
    kind: str, change: tuple[int, int], words: str, compare: Compare, cache: Path
) -> None:
    sound = seed(_kind(kind), cache)
    compared = compare(sound, _with_tag(sound, *change), ours=Judged(fine=True))
    assert words in str(compared.loader)
    assert compared.result == DANGEROUS


def test_a_mutant_is_made_of_edits_that_can_be_taken_back(cache: Path) -> None:
    for kind in KINDS:
        sound = seed(kind, cache)
        mutator, chance = Mutator(sound.data), Random(1)  # noqa: S311 - the same each time
        _assert_edits(sound.data, mutator, chance)


def _assert_edits(data: bytes, mutator: Mutator, chance: Random) -> None:
    seen = set()
    for _ in range(200):
        edits = mutator.mutated(chance)
        assert applied(data, ()) == data
        assert applied(data, edits) == applied(applied(data, edits[:1]), edits[1:])
        seen |= {edit.name.partition(".")[0] for edit in edits}
    assert len(seen) > 30  # headers, tags and tables


def test_code_in_an_emulator_is_told_from_program_headers(compare: Compare, cache: Path) -> None:
    """QEMU shows adjacent mappings of one file as one, with the rights of the first."""
    sound = seed(_kind("s390x"), cache)
    mutant = bytearray(sound.data)
    start, size = struct.unpack_from(">QH", mutant, 32)[0], 56
    code = next(
        at
        for at in range(start, start + 16 * size, size)
        if struct.unpack_from(">II", mutant, at) == (1, 5)
    )
    (offset,) = struct.unpack_from(">Q", mutant, code + 8)
    struct.pack_into(">Q", mutant, code + 8, offset + 0x1000)
    compared = compare(sound, bytes(mutant))
    assert compared.ours.fine
    assert not compared.loader.loads
    assert compared.result == OWN_CODE, compared


def test_musl_never_calls_a_fini_function_on_arm(compare: Compare, cache: Path) -> None:
    begin = f"__attribute__((constructor)) static void begin(void) {{ {OWN['it crashes']} }}"
    crashing = Kind("own code of arm", CRASHES + begin, linker="zig", arch="armv7l")
    sound = seed(crashing, cache)
    mutant = bytearray(sound.data)
    # DT_SYMENT becomes a DT_FINI that leads to no code.
    at = mutant.index(struct.pack("<II", 11, 16))
    struct.pack_into("<I", mutant, at, 13)
    compared = compare(sound, bytes(mutant))
    assert compared.ours.fine
    assert compared.result == OWN_CODE, compared
