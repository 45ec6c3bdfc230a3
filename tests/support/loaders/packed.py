"""A library whose constructor looks at all that its relocations made, and says so."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from support.loaders.samples import Library, Maker
from support.tools.debian import ZIG
from support.wheels.builders import gcc_library

PACKED: Final = "-Wl,-z,pack-relative-relocs"

#: Pointers at all distances, one that no packed table can hold, one of a symbol, thread-local
#: variables and memory that must be zero. What is wrong ends the process.
SOURCE: Final = """\
#define EACH4(m, n) m(n) m(n + 1) m(n + 2) m(n + 3)
#define EACH16(m, n) EACH4(m, n) EACH4(m, n + 4) EACH4(m, n + 8) EACH4(m, n + 12)
#define EACH64(m, n) EACH16(m, n) EACH16(m, n + 16) EACH16(m, n + 32) EACH16(m, n + 48)
#define COUNT 192
#define EACH(m) EACH64(m, 0) EACH64(m, 64) EACH64(m, 128)
long write(int, const void *, unsigned long);
static int values[COUNT];
#define ALONE(n) &values[n],
#define APART(n) {&values[n], n, n, n},
static int *volatile near[] = {EACH(ALONE)};
static struct { int *volatile pointer; volatile long number[3]; } far[] = {EACH(APART)};
static int *const volatile fixed[] = {EACH(ALONE)};
static struct __attribute__((packed)) { char before; int *volatile pointer; } odd = {1, values};
int shared;
int *volatile symbolic = &shared;
static volatile char zeros[70000];
static _Thread_local volatile int seven = 7, none;
static long twice(long n) { return 2 * n; }
static long (*volatile call)(long) = twice;
static int wrong(void)
{
    for (int n = 0; n < COUNT; n++) {
        if (near[n] != &values[n] || far[n].pointer != &values[n] || fixed[n] != &values[n])
            return 1;
        if (far[n].number[0] != n || far[n].number[2] != n) return 1;
    }
    for (int n = 0; n < sizeof zeros; n++) if (zeros[n]++) return 1;
    return odd.pointer != values || symbolic != &shared || seven != 7 || none || call(21) != 42;
}
__attribute__((constructor)) static void look(void)
{
    if (wrong()) __builtin_trap();
    write(1, "right\\n", 6);
}
void *PyInit_demo(void) { return 0; }
"""


def packed(*options: str, maker: Maker = Maker.LLD) -> Library:
    """Return that library, with DT_RELR."""
    return Library(SOURCE, options=(PACKED, *options), maker=maker)


#: For zig, and the type of the relative relocation as the architecture's psABI has it.
MACHINES: Final = {
    "x86_64": ("x86_64-linux-musl", 8),
    "i686": ("x86-linux-musl", 8),
    "aarch64": ("aarch64-linux-musl", 1027),
    "armv7l": ("arm-linux-musleabihf", 23),
    "ppc64le": ("powerpc64le-linux-musl", 22),
    "s390x": ("s390x-linux-musl", 12),
    "riscv64": ("riscv64-linux-musl", 3),
    "loongarch64": ("loongarch64-linux-musl", 3),
}
GNU: Final = ("-shared", "-g", "-w", "-fno-builtin")


@cache
def library(arch: str, *options: str, source: str = SOURCE) -> bytes:
    """Return a library with packed relocations, of lld; "gcc": of GNU ld, not stripped."""
    if arch == "gcc":
        return gcc_library(source, *GNU, PACKED, *options)
    compiled = ["cc", "-target", MACHINES[arch][0], "-c", "-fPIC", "-O1", "-w", "code.c"]
    linked = ["ld.lld", "-shared", "-z", "pack-relative-relocs", *options, "-o", "code.so"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "code.c").write_text(source)
        for command in (compiled, [*linked, "code.o"]):
            subprocess.run([*ZIG, *command], cwd=folder, check=True, capture_output=True)
        return Path(folder, "code.so").read_bytes()
