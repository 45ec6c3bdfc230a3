"""Whose symbol it is that no musl has, and what to do about it."""

from __future__ import annotations

from importlib import resources

import pytest

from muslbackend.musl import foreign, releases
from muslbackend.musl.releases import ARCHITECTURES, Architecture
from support.wheels.builders import X86_64

PLAIN = "which no musl release and no library of the wheel defines"
#: Names that are often met and that loader tests have seen missing from every musl.
OFTEN_MET = """\
__cxa_thread_atexit_impl gnu_get_libc_version gnu_get_libc_release __libc_single_threaded
__register_atfork __rawmemchr rawmemchr __mempcpy __strndup __strtok_r __isinf __isnan __finite
__sysconf __open64 __open_2 __open64_2 fcntl64 __fdelt_chk __longjmp_chk __res_init backtrace
backtrace_symbols malloc_trim mallinfo mallinfo2 mallopt error error_at_line getcontext setcontext
makecontext swapcontext pthread_attr_setaffinity_np pthread_cond_clockwait pthread_clockjoin_np
sem_clockwait dlvsym dlmopen dladdr1 _dl_find_object strtol_l strtoll_l wcstol_l
canonicalize_file_name fts_open argp_parse obstack_free arc4random arc4random_buf close_range
closefrom getcpu tgkill random_r initstate_r drand48_r gamma feenableexcept fedisableexcept
fegetexcept _IO_2_1_stdout_ __isoc23_strtol"""


@pytest.mark.parametrize(
    ("symbol", "origin", "remedy"),
    [
        ("__memcpy_chk", "glibc's checked variant of a function", "-U_FORTIFY_SOURCE"),
        ("__open_2", "glibc's checked variant of a function", "-U_FORTIFY_SOURCE"),
        ("__isoc23_strtol", "glibc's variant of a function for one C standard", "headers for musl"),
        ("__cxa_thread_atexit_impl", "glibc's hook for destructors of thread", "build it for musl"),
        ("gnu_get_libc_version", "glibc's version query", "#ifdef __GLIBC__"),
        ("__exp_finite", "glibc's variant of a function for -ffast-math", "headers for musl"),
        ("_ZGVbN2v_sin", "glibc's vector variant of a function", "without -ffast-math"),
        ("_IO_2_1_stdout_", "an internal symbol of glibc's stdio", "headers for musl"),
        ("__libc_single_threaded", "an internal symbol of glibc", "headers for musl"),
        ("backtrace_symbols", "a glibc extension", "libexecinfo"),
        ("fts_open", "a glibc extension", "musl-fts"),
        ("argp_parse", "a glibc extension", "argp-standalone"),
        ("_obstack_begin", "a glibc extension", "musl-obstack"),
        ("swapcontext", "a glibc function that musl omits on purpose", "libucontext"),
        ("strtol_l", "glibc's variant of a function with a locale", "without the suffix _l"),
        ("__res_nquery", "part of glibc's resolver", "getaddrinfo"),
        ("sinf128", "glibc's function for a _FloatN type", "double"),
        ("roundevenf64x", "glibc's function for a _FloatN type", "double"),
        ("mallopt", "a glibc symbol", "#ifdef __GLIBC__"),
        ("__rawmemchr", "a glibc symbol", "headers for musl"),
        ("__cxa_at_quick_exit", "a glibc symbol", "headers for musl"),
        (
            "fcntl64",
            "a 64-bit name of glibc that musl's loader does not map",
            "plain names are 64-bit",
        ),
        (
            "__open64",
            "a 64-bit name of glibc that musl's loader does not map",
            "plain names are 64-bit",
        ),
        (
            "preadv64v2",
            "a 64-bit name of glibc that musl's loader does not map",
            "plain names are 64-bit",
        ),
        (
            "getdirentries64",
            "a 64-bit name of glibc that musl's loader does not",
            "plain names are 64-bit",
        ),
    ],
)
def test_what_only_glibc_has(symbol: str, origin: str, remedy: str) -> None:
    message, hint = lacking(symbol, X86_64)
    assert message.startswith(f"requires {symbol}, which no musl release defines: it is {origin}")
    assert remedy in hint


def lacking(symbol: str, arch: Architecture) -> tuple[str, str]:
    """Return message and hint of one symbol."""
    ((symbols, message, hint),) = foreign.lacking([symbol], arch)
    assert symbols == (symbol,)
    return message, hint


def test_what_has_one_cause_is_said_once() -> None:
    gone, own = [f"_ZNSt{n}fooE" for n in range(7)], ["no_such", "nor_this"]
    symbols = [*gone, "__isoc23_strtol", "__isoc23_strtoul", *own]
    said = {names: message for names, message, _ in foreign.lacking(symbols, X86_64)}
    several = "_ZNSt0fooE, _ZNSt1fooE, _ZNSt2fooE, _ZNSt3fooE, _ZNSt4fooE and 2 more"
    form = "glibc's variant of a function for one C standard, from glibc's headers"
    none = "which no musl release defines"
    assert list(said.values()) == [
        f"requires 7 symbols ({several}), {PLAIN}; libstdc++ defines them",
        f"requires 2 symbols (__isoc23_strtol, __isoc23_strtoul), {none}: each is {form}",
        f"requires 2 symbols (no_such, nor_this), {PLAIN}",
    ]
    assert sorted(name for names in said for name in names) == sorted(symbols)


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_what_is_often_met_is_known_for_glibcs_on_every_machine(arch: str) -> None:
    machine = ARCHITECTURES[arch]
    assert [s for s in OFTEN_MET.split() if "glibc" not in lacking(s, machine)[0]] == []


@pytest.mark.parametrize(
    ("symbol", "library", "remedy"),
    [
        ("_ZNSt6thread4joinEv", "libstdc++", "LINKER_LANGUAGE CXX"),
        ("_ZNSs4_Rep10_M_destroyERKSaIcE", "libstdc++", "-lstdc++"),
        ("_ZSt20__throw_length_errorPKc", "libstdc++", "-lstdc++"),
        ("_ZTVN10__cxxabiv117__class_type_infoE", "libstdc++", "-lstdc++"),
        ("_ZTISt9exception", "libstdc++", "-lstdc++"),
        ("_ZTIi", "libstdc++", "-lstdc++"),
        ("_Znwm", "libstdc++", "-lstdc++"),
        ("__cxa_throw", "libstdc++", "-lstdc++"),
        ("__gxx_personality_v0", "libstdc++", "-lstdc++"),
        ("_ZNKSt3__112basic_stringIcE4sizeEv", "libc++", "-stdlib=libc++"),
        ("__udivti3", "libgcc", "-static-libgcc"),
        ("__floattidf", "libgcc", "-static-libgcc"),
        ("__multf3", "libgcc", "-static-libgcc"),
        ("__aeabi_uidiv", "libgcc", "-static-libgcc"),
        ("_Unwind_Resume", "libgcc", "-static-libgcc"),
        ("__atomic_load_16", "libatomic", "-latomic"),
        ("__stack_chk_fail_local", "libssp_nonshared", "-lssp_nonshared"),
        ("GOMP_parallel", "libgomp", "-fopenmp"),
        ("__kmpc_fork_call", "libomp", "-fopenmp"),
        ("_gfortran_st_write", "libgfortran", "gfortran"),
        ("__asan_init", "the runtime of a sanitizer", "-fsanitize"),
        ("__gcov_exit", "the runtime of a coverage tool", "--coverage"),
        ("inflateInit2_", "libz", "link a musl build of libz"),
        ("deflate", "libz", "musl build of libz"),
        ("crc32", "libz", "musl build of libz"),
        ("SSL_new", "libssl", "musl build of libssl"),
        ("EVP_sha256", "libcrypto", "musl build of libcrypto"),
        ("sqlite3_open", "libsqlite3", "musl build of libsqlite3"),
    ],
)
def test_a_symbol_of_another_library(symbol: str, library: str, remedy: str) -> None:
    message, hint = lacking(symbol, X86_64)
    assert message == f"requires {symbol}, {PLAIN}; {library} defines it"
    assert remedy in hint


@pytest.mark.parametrize(
    "symbol", ["no_such", "buf32", "_ZN3foo3barEv", "_ZTVN3foo3barE", "logs_l"]
)
def test_a_symbol_of_unknown_origin(symbol: str) -> None:
    assert lacking(symbol, X86_64) == (
        f"requires {symbol}, {PLAIN}",
        "build it against musl, and link the library that defines it",
    )


def test_what_musl_had_once() -> None:
    message, hint = lacking("__strdup", X86_64)
    assert message == "requires __strdup, which musl defines only up to 1.1.20"
    assert "newer musl" in hint


def test_the_list_of_glibcs_names_has_none_that_a_pattern_or_musl_has() -> None:
    text = (
        resources.files("muslbackend").joinpath("musl/data/glibc.txt").read_text(encoding="utf-8")
    )
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert names == sorted(set(names))
    assert len(names) > 500
    known = (foreign._LFS64, *foreign._GLIBC)
    assert [n for n in names if releases.spans(n, X86_64) or foreign._first(known, n)] == []


def test_no_pattern_for_glibc_takes_what_the_newest_musl_maps() -> None:
    # Families may cover names that musl has as well: only what it lacks is ever looked up.
    assert foreign._first([foreign._LFS64], "open64") is None
    assert releases.since("posix_fallocate64", X86_64) == releases.MuslVersion(1, 2, 6)
