"""Attribute symbols that musl lacks to glibc or another library, and suggest a fix.

Symbols of glibc with a specific fix are recognized by pattern; all other symbols that glibc 2.36
defines and musl does not are in ``data/glibc.txt``, whose header describes its origin.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from muslbackend.musl import releases
from muslbackend.system import resources
from muslbackend.system.listing import listed_symbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muslbackend.musl.releases import Architecture

_PLAIN_HINT: Final = "build it against musl, and link the library that defines it"
_HEADERS: Final = "compile it with a compiler and headers for musl"
_GUARD: Final = "call it only under #ifdef __GLIBC__, or avoid it"


#: GCC's description of itself on distributions that are based on glibc. Those of musl distributions
#: and of compilers that were built from source (``GNU``) say nothing about the libc.
_GLIBC_COMPILER: Final = re.compile(
    r"GCC: \((?P<first>Debian|Ubuntu|Raspbian|SUSE Linux|conda-forge)\b.*\) (?P<version>\d[\w.]*)"
    r"|GCC: \(GNU\) (?P<old>\d[\w.]*)\b.*\((?P<last>Red Hat)\b"
)


def glibc_compiler(text: str) -> str:
    """Return a description of a compiler for glibc, such as ``GCC 12.2.0 of Debian``, or nothing.

    ``text`` is GCC's description of itself in ``.comment``.
    """
    match = _GLIBC_COMPILER.match(text)
    if match is None:
        return ""
    version, distribution = match["version"] or match["old"], match["first"] or match["last"]
    return f"GCC {version} of {distribution}"


class _Family(NamedTuple):
    """Symbols of one origin."""

    pattern: str
    """A regular expression that matches the whole name."""
    origin: str
    """A description of the symbols; for a library, its name."""
    hint: str = ""


#: 64-bit names of glibc that no musl exports, and that musl's loader does not map to the plain name
#: (get_lfs64 in ldso/dynlink.c, musl commit 246f1c81).
_LFS64: Final = _Family(
    r"fcntl64|__open64|__openat64|__pread64|__pwrite64|__f(stat|seeko|tello)64|fts64_\w+"
    r"|preadv64v2|pwritev64v2|getdirentries64|scandirat64",
    "a 64-bit name of glibc that musl's loader does not map to the plain name",
    f"{_HEADERS}, whose plain names are 64-bit",
)

#: Symbols of glibc alone; the first match counts.
_GLIBC: Final = (
    _Family(
        r"__\w+_chk|__(open|openat|mq_open)(64)?_2",
        "glibc's checked variant of a function, from _FORTIFY_SOURCE",
        f"{_HEADERS}, or else with -U_FORTIFY_SOURCE",
    ),
    _Family(
        r"__isoc(99|23)_\w+",
        "glibc's variant of a function for one C standard, from glibc's headers",
        _HEADERS,
    ),
    _Family(
        r"__cxa_thread_atexit_impl",
        "glibc's hook for destructors of thread_local variables",
        "build it for musl, whose libstdc++ does not use it; for Rust, select a -linux-musl target",
    ),
    _Family(r"gnu_get_libc_(version|release)", "glibc's version query", _GUARD),
    _Family(r"__\w+_finite", "glibc's variant of a function for -ffast-math", _HEADERS),
    _Family(
        r"_ZGV[bcdenN]+\d+v\w+",
        "glibc's vector variant of a function (libmvec), from -ffast-math",
        "compile it without -ffast-math, or with a compiler for musl",
    ),
    _Family(r"_IO_\w+", "an internal symbol of glibc's stdio", _HEADERS),
    _Family(
        r"backtrace(_symbols(_fd)?)?",
        "a glibc extension",
        "link libexecinfo (from source, statically), or call it only under #ifdef __GLIBC__",
    ),
    _Family(r"fts_\w+", "a glibc extension", "link musl-fts (libfts), statically or bundled"),
    _Family(r"argp_\w+|__argp_\w+", "a glibc extension", "link argp-standalone, statically"),
    _Family(r"_?obstack_\w+", "a glibc extension", "link musl-obstack, statically or bundled"),
    _Family(
        r"(get|set|make|swap)context",
        "a glibc function that musl omits on purpose",
        "link libucontext, statically or bundled",
    ),
    _Family(
        r"(__)?(strto|strp|wcsto)\w+_l",
        "glibc's variant of a function with a locale argument",
        "call the function without the suffix _l",
    ),
    _Family(
        r"__res_\w+|__ns_\w+|__dn_\w+|res_n\w+|ns_\w+",
        "part of glibc's resolver",
        "use res_query, res_search or getaddrinfo, or link a resolver library",
    ),
    _Family(
        r"(__libc|__pthread|__register|__nss|__rpc|_dl|__nptl|__malloc|__gconv|__sched)_\w+",
        "an internal symbol of glibc",
        _HEADERS,
    ),
)

#: Libraries by the names that only they are known to define; the first match counts.
_LIBRARIES: Final = (
    _Family(
        r"__(asan|lsan|msan|tsan|ubsan|hwasan|sanitizer)_\w+",
        "the runtime of a sanitizer",
        "compile it without -fsanitize",
    ),
    _Family(
        r"__gcov_\w+|__llvm_profile_\w+|__llvm_gcov_\w+",
        "the runtime of a coverage tool",
        "compile it without --coverage and without profiling",
    ),
    _Family(
        r"_ZN?K?V?St3__1\w+|_ZT[ISV]N?K?St3__1\w+",
        "libc++",
        "link it with clang++ -stdlib=libc++, or compile it for libstdc++",
    ),
    _Family(
        r"__cxa_\w+|__gxx_\w+|__dynamic_cast|_ZN?V?K?S[tabdios]\w*|_ZT[ISTVCv]+N?K?S[tabdios]\w*"
        r"|_ZT[ISV]+\w|_ZT[ISV]P\w+|_ZTVN10__cxxabiv1\w+|_ZN10__cxxabiv1\w+|_ZN9__gnu_cxx\w+"
        r"|_Z(nw|na|dl|da)\w+|_ZGVNSt\w+",
        "libstdc++",
        "link it with the C++ compiler (CMake: LINKER_LANGUAGE CXX), or add -lstdc++",
    ),
    _Family(r"__atomic_\w+", "libatomic", "link it with -latomic"),
    _Family(
        r"_Unwind_\w+|__(de)?register_frame\w*|__gcc_personality_\w+|__emutls_\w+|__morestack\w*"
        r"|__(u?div|u?mod|u?divmod|mul|mulo|addv|subv|mulv|negv?|absv|ashl|ashr|lshr|u?cmp"
        r"|clz|ctz|ffs|popcount|parity|bswap|clrsb)[sdt]i[2-4]"
        r"|__(add|sub|mul|div|neg|eq|ne|lt|le|gt|ge|unord|cmp|powi)[sdtxh]f[2-4]"
        r"|__(extend|trunc|float(un|unsi)?|fix(uns)?)[a-z]*[sdthx][fi][sdthx][fi]2?"
        r"|__(mul|div)[sdtx]c3|__aeabi_\w+|__cpu_(model|indicator_init)|__sync_\w+",
        "libgcc",
        "link it with the compiler, not with ld; -static-libgcc includes it",
    ),
    _Family(r"__stack_chk_fail_local", "libssp_nonshared", "link it with -lssp_nonshared"),
    _Family(r"GOMP_\w+|omp_\w+", "libgomp", "link it with -fopenmp"),
    _Family(r"__kmpc_\w+", "libomp", "link it with -fopenmp"),
    _Family(r"_gfortran_\w+", "libgfortran", "link it with gfortran, or add -lgfortran"),
    _Family(
        r"(in|de)flate\w*|crc32(_\w+)?|adler32(_\w+)?|compress2?|uncompress2?|compressBound"
        r"|gz(open|dopen|read|write|close|gets|puts|eof|error|seek|tell|flush|printf)\w*"
        r"|zlib(Version|CompileFlags)|zError|get_crc_table",
        "libz",
    ),
    _Family(r"BZ2_\w+", "libbz2"),
    _Family(r"lzma_\w+", "liblzma"),
    _Family(r"ZSTD_\w+|ZDICT_\w+", "libzstd"),
    _Family(r"LZ4F?_\w+", "liblz4"),
    _Family(r"(SSL|TLS|DTLS)_\w+|OPENSSL_init_ssl", "libssl"),
    _Family(r"(OPENSSL|CRYPTO|EVP|BIO|X509|RSA|ERR|BN|EC|ASN1|PEM)_\w+", "libcrypto"),
    _Family(r"curl_\w+", "libcurl"),
    _Family(r"sqlite3_\w+", "libsqlite3"),
    _Family(r"ffi_\w+", "libffi"),
    _Family(r"libintl_\w+", "libintl"),
    _Family(r"libiconv\w*", "libiconv"),
    _Family(r"png_\w+", "libpng"),
    _Family(r"jpeg_\w+", "libjpeg"),
    _Family(r"XML_\w+", "libexpat"),
    _Family(r"c?blas_\w+|openblas_\w+", "a BLAS library such as libopenblas"),
    _Family(r"__gmp[a-z]*_\w+", "libgmp"),
)

_FLOAT_N: Final = r"(\w+?)f(?:16|32|64|128)x?(_[rl])?"


def lacking(
    symbols: Iterable[str], arch: Architecture
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield (symbols, message, hint) for each cause why current musl does not resolve symbols.

    ``symbols`` are imports that no file of the wheel defines. The message continues the name of the
    file that imports them.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for symbol in symbols:
        found.setdefault(_cause(symbol, arch), []).append(symbol)
    for (why, of_several, hint), names in found.items():
        reason = of_several if of_several and names[1:] else why
        yield tuple(names), f"requires {listed_symbols(names)}, which {reason}", hint


def _cause(symbol: str, arch: Architecture) -> tuple[str, str, str]:
    """Return why a symbol is missing, the plural form (empty if it is the same), and the hint."""
    spans = releases.spans(symbol, arch)
    if spans:
        hint = "build it against a newer musl, or call the replacement"
        return f"musl defines only up to {spans[-1].last}", "", hint
    glibc = _glibc(symbol, arch)
    if glibc is not None:
        none = "no musl release defines"
        return f"{none}: it is {glibc.origin}", f"{none}: each is {glibc.origin}", glibc.hint
    plain = "no musl release and no library of the wheel defines"
    library = _first(_LIBRARIES, symbol)
    if library is None:
        return plain, "", _PLAIN_HINT
    hint = library.hint or f"link a musl build of {library.origin}, and let repair bundle it"
    return f"{plain}; {library.origin} defines it", f"{plain}; {library.origin} defines them", hint


def is_of_a_libc(symbol: str, arch: Architecture) -> bool:
    """Return whether a libc defines the symbol (glibc, or a past musl), so that no library will."""
    return bool(releases.spans(symbol, arch)) or _glibc(symbol, arch) is not None


def _glibc(symbol: str, arch: Architecture) -> _Family | None:
    """Return the family of a symbol that only glibc defines, ``None`` for any other."""
    family = _first((_LFS64, *_GLIBC), symbol)
    if family is not None:
        return family
    match = re.fullmatch(_FLOAT_N, symbol)
    if match is not None and (match[1] in _glibc_names() or releases.spans(match[1], arch)):
        return _Family("", "glibc's function for a _FloatN type", "use double or long double")
    if symbol not in _glibc_names():
        return None
    return _Family("", "a glibc symbol", _HEADERS if symbol.startswith("_") else _GUARD)


def _first(families: Iterable[_Family], symbol: str) -> _Family | None:
    return next((f for f in families if re.fullmatch(f.pattern, symbol)), None)


@cache
def _glibc_names() -> frozenset[str]:
    return frozenset(
        line
        for line in resources.read("musl/data/glibc.txt").splitlines()
        if not line.startswith("#")
    )
