"""The text of the compiler wrappers that CMake calls.

zig's linker supports fewer flags than GNU's, and treats an unknown one as an error. The wrapper
removes flags that do not change the result, with a note; it translates others and passes the rest
to zig. Refused flags are noted too (see :mod:`muslbackend.build.cross.notes`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The environment variable that names the file for notes.
NOTES_VARIABLE: Final = "_MUSLBACKEND_NOTES"
#: The date and time of the build: ``Nov  9 2022 at 12:37:21``.
DATE_VARIABLE: Final = "_MUSLBACKEND_DATE"
SYSROOT_VARIABLE: Final = "_MUSLBACKEND_SYSROOT"
#: The last folder of notes about checks of configure scripts; no such folder exists.
AUTOCONF_FOLDER: Final = "conftest"
ZIG_VARIABLE: Final = "_MUSLBACKEND_ZIG"

#: Programs for object files, besides ar, ranlib and strip.
BINUTILS: Final = ("ld", "nm", "objcopy", "objdump", "readelf")

#: Linker flags, as patterns of sh, that zig refuses and that do not change the behavior of the
#: result: they optimize, report, check, or set properties that musl ignores. Without --exclude-libs
#: symbols of static libraries stay visible; a finding reports cases where that can matter.
HARMLESS: Final = (
    *("--add-needed", "--no-add-needed", "--copy-dt-needed-entries", "--no-copy-dt-needed-entries"),
    *("-Bsymbolic-functions", "--dynamic-list-data", "--dynamic-list-cpp-*", "--default-symver"),
    *("--exclude-libs=*", "--icf=*", "--pack-dyn-relocs=*", "--use-android-relr-tags"),
    *("--apply-dynamic-relocs", "--no-apply-dynamic-relocs", "--relax", "--no-relax"),
    *("-Map=*", "--Map=*", "-M", "--cref", "--stats", "-t", "--trace", "--trace-symbol=*"),
    *("--verbose", "--demangle", "--demangle=*", "--no-demangle", "--gdb-index"),
    *("--warn-*", "--no-warn-*", "--no-warnings", "--orphan-handling=*", "--check-sections"),
    *("--threads", "--threads=*", "--no-threads", "--thread-count=*", "--no-keep-memory"),
    *("--reduce-memory-overheads", "--mmap-output-file", "--no-mmap-output-file"),
    *("-plugin-opt=*", "--plugin-opt=*", "--lto-*", "-X", "--discard-locals", "-q"),
    *("--emit-relocs", "--rosegment", "--no-rosegment", "--spare-dynamic-tags=*"),
    *("--fix-cortex-*", "--long-plt", "--stub-group-size=*", "-melf*", "--package-metadata=*"),
    *("--ctors-in-init-array", "--no-ctors-in-init-array", "--no-insert-timestamp"),
    *("--ld-generated-unwind-info", "--no-ld-generated-unwind-info", "--no-define-common"),
    *("--disable-multiple-abs-defs", "--traditional-format", "--no-export-dynamic"),
    # Without these flags the link may fail, but its result is never different.
    *("--allow-multiple-definition", "--unresolved-symbols=*", "--error-unresolved-symbols"),
)
#: Such flags with a value in the next word.
HARMLESS_PAIRS: Final = ("--exclude-libs", "-Map", "--Map", "-plugin-opt", "--plugin", "-y")
#: Words after -z.
HARMLESS_Z: Final = (
    *("pack-relative-relocs", "nopack-relative-relocs", "separate-code", "noseparate-code"),
    *("separate-loadable-segments", "text", "combreloc", "nocombreloc", "muldefs", "unique"),
    *("ibt", "ibtplt", "shstk", "cet-report=*", "x86-64-*", "start-stop-gc", "nostart-stop-gc"),
    *("start-stop-visibility=*", "rodynamic", "dynamic-undefined-weak"),
    *("nodynamic-undefined-weak", "execstack", "initfirst", "interpose", "global", "nodlopen"),
)
#: Folders of this machine's headers and libraries, which are for another libc.
MACHINE: Final = (
    *("/usr/include", "/usr/include/*-linux-*", "/usr/local/include"),
    *("/lib", "/lib64", "/lib/*-linux-*", "/usr/lib", "/usr/lib64", "/usr/lib/*-linux-*"),
    *("/usr/local/lib", "/usr/local/lib64"),
)
#: Flags that name the exported symbols of a program; it exports all symbols instead.
LISTS: Final = ("--dynamic-list=*", "--export-dynamic-symbol=*", "--export-dynamic-symbol-list=*")
LIST_PAIRS: Final = ("--dynamic-list", "--export-dynamic-symbol", "--export-dynamic-symbol-list")


def plain_wrapper(command: str) -> str:
    """Return a program that runs ``command``, quoted for sh, with the headers of the sysroot."""
    return f'#!/bin/sh\nexec {command} "$@" {_SYSROOT_HEADERS}\n'


def tool_wrapper(version: str, command: str) -> str:
    """Return a program that runs one of zig's tools; its text contains the version for caches."""
    return f'#!/bin/sh\n# zig {version}\nexec {_ZIG} {command} "$@"\n'


def binutil_wrapper(version: str, name: str, *, native: bool) -> str:
    """Return a program that runs LLVM's ``name`` (``nm``, ``objcopy`` ...), which zig lacks.

    GNU's program knows the machine for which it was built; it is used if ``native``.
    """
    parts = {"version": version, "name": name, "gnu": name if native else "", "zig": _ZIG}
    return fill(_BINUTIL, parts)


def zig_wrapper(version: str, command: str, arch: str, bits: int = 64) -> str:
    """Return a program that runs ``zig cc`` or ``zig c++`` with gcc's flags."""
    parts = {
        "version": version,
        "zig": _ZIG,
        "command": command,
        "notes": NOTES_VARIABLE,
        "autoconf": AUTOCONF_FOLDER,
        "date": DATE_VARIABLE,
        "headers": _SYSROOT_HEADERS,
        "processors": _PROCESSORS.get(arch, ""),
        "harmless": "|".join(HARMLESS),
        "harmless_pairs": "|".join(HARMLESS_PAIRS),
        "harmless_z": "|".join(HARMLESS_Z),
        "numpy_function": _OTHER_NUMPY if bits == 32 else _SAME_NUMPY,
        "machine": "|".join(MACHINE),
        "lists": "|".join(LISTS),
        "list_pairs": "|".join(LIST_PAIRS),
    }
    return fill(_WRAPPER, parts)


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Return a text with each ``@name@`` replaced by its value in ``parts``.

    Braces, dollars and percent signs have a meaning in sh and CMake.
    """
    return re.sub("@([a-z_]+)@", lambda match: parts[match[1]], template)


_ZIG: Final = f'"${{{ZIG_VARIABLE}:?is not set: run this through muslbackend}}"'
#: NumPy's headers have the sizes of the machine that they were built for, as in npy_int64.
_SAME_NUMPY: Final = "numpy() { :; }"
_OTHER_NUMPY: Final = f"""\
numpy() {{
  case $1 in
    "${{{SYSROOT_VARIABLE}:-/no sysroot}}"/*) ;;
    */numpy/core/include|*/numpy/_core/include)
      note numpy "$1"
      echo "muslbackend: $1: these headers are for machines of 64 bits" >&2
      exit 1 ;;
  esac
}}"""

#: LLVM's programs have the version in their name in some distributions.
_BINUTIL: Final = """\
#!/bin/sh
# zig @version@
for program in llvm-@name@ $(
  IFS=:
  for folder in $PATH; do
    for file in "$folder"/llvm-@name@-[0-9]*; do [ ! -x "$file" ] || echo "${file##*/}"; done
  done | sort -t- -k3,3nr
) @gnu@; do
  command -v "$program" >/dev/null && exec "$program" "$@"
done
if [ @name@ = objcopy ]; then exec @zig@ objcopy "$@"; fi
echo "muslbackend: zig has no @name@ for the target: install LLVM's (llvm-@name@)" >&2
exit 1
"""

#: After all other header folders: those of zig and of the compiler for musl and C++ come first.
#: CMake detects that the folder is searched and does not add it again.
_SYSROOT_HEADERS: Final = f'${{{SYSROOT_VARIABLE}:+-idirafter "${SYSROOT_VARIABLE}/usr/include"}}'

#: gcc's names of processors in zig's spelling, as cases of sh; zig treats -march like -mcpu.
_DASHES: Final = """\
    -march=*-*|-mcpu=*-*) set -- "$@" "${arg%%=*}=$(printf %s "${arg#*=}" | tr - _)" ;;
"""
_PROCESSORS: Final = {
    "x86_64": """\
    -march=x86-64-v[234]) set -- "$@" "-mcpu=x86_64_${arg#-march=x86-64-}" ;;
""",
    "aarch64": """\
    -march=armv8-a*) set -- "$@" "-mcpu=generic${arg#-march=armv8-a}" ;;
    -march=armv[89].[0-9]-a*)
      arg=${arg#-march=armv} level=${arg%%-a*}
      set -- "$@" "-mcpu=generic+v${level%.*}_${level#*.}a${arg#*-a}" ;;
"""
    + _DASHES,
    "armv7l": """\
    -march=armv7-a*) note dropped "$arg" ;;
"""
    + _DASHES,
    "ppc64le": """\
    -mcpu=power[0-9]*) set -- "$@" "-mcpu=pwr${arg#-mcpu=power}" ;;
    -mcpu=powerpc64le) note dropped "$arg" ;;
    -flto|-flto=*) note dropped "$arg" ;; # its own libunwind cannot be linked with it
""",
    "riscv64": """\
    -march=rv64gc) note dropped "$arg" ;;
""",
}

_WRAPPER: Final = """\
#!/bin/sh
# zig @version@
all=$* place=$PWD
case $all in # what configure scripts of Autoconf try
  *conftest.*|-V|-qversion|-version) place=$PWD/@autoconf@ ;;
esac
note() {
  if [ -n "${@notes@-}" ]; then printf '%s\\t%s\\t%s\\n' "$1" "$2" "$place" >>"$@notes@"; fi
}
refuse() {
  note refused "$1"
  echo "muslbackend: $1: $2" >&2
  exit 1
}
@numpy_function@
# CMake asks which compiler this is before it has flags; zig has one libc++ for -s, one without.
case "$*" in *CMakeC*CompilerId.c*) set -- -O3 -s "$@" ;; esac

# Takes one word for the linker. `kept`: what goes to zig. `before`: what the word is the value of.
word() {
  case $before in
    "") ;;
    drop) before= && return ;;
    -z)
      before=
      case $1 in
        @harmless_z@) note dropped "-z $1" ;;
        *) kept="$kept,-z,$1" ;;
      esac
      return ;;
    *) kept="$kept,$before,$1" before= && return ;;
  esac
  case $1 in
    -z) before=-z ;;
    -z?*) word -z && word "${1#-z}" ;;
    -h) before=-soname ;;
    -O*|-rpath-link=*|--rpath-link=*) ;; # zig says each time that it passes these over
    -rpath-link|--rpath-link) before=drop ;;
    @harmless@) note dropped "$1" ;;
    @harmless_pairs@) note dropped "$1" && before=drop ;;
    @lists@) note dropped "$1" && kept="$kept,--export-dynamic" ;;
    @list_pairs@) note dropped "$1" && kept="$kept,--export-dynamic" before=drop ;;
    --symbolic) kept="$kept,-Bsymbolic" ;;
    "-(") kept="$kept,--start-group" ;;
    "-)") kept="$kept,--end-group" ;;
    -I?*) kept="$kept,-dynamic-linker,${1#-I}" ;;
    --push-state) stack="$whole,$needed,$static;$stack" ;;
    --pop-state)
      kept="$kept,${stack%%;*}"
      static=${stack%%;*} whole=${stack%%,*}
      needed=${static#*,} static=${static##*,} stack=${stack#*;}
      needed=${needed%,*} ;;
    --whole-archive|--no-whole-archive) whole=$1 kept="$kept,$1" ;;
    --as-needed|--no-as-needed) needed=$1 kept="$kept,$1" ;;
    -Bstatic|-Bdynamic) static=$1 kept="$kept,$1" ;;
    *) kept="$kept,$1" ;;
  esac
}

whole=--no-whole-archive needed=--no-as-needed static=-Bdynamic stack= before= kept= n=$#
while [ "$n" -gt 0 ]; do
  arg=$1 n=$((n - 1))
  shift
  case $arg in
    -Wl,*) rest=${arg#-Wl,}, ;;
    -Xlinker|-z)
      rest="$1," n=$((n - 1))
      shift
      [ "$arg" = -Xlinker ] || rest="-z,$rest" ;;
    *) rest= ;;
  esac
  while [ -n "$rest" ]; do
    case $before${rest%%,*} in
      -[lL]?*) # for the compiler, not for the linker
        [ -z "$kept" ] || set -- "$@" "-Wl$kept"
        set -- "$@" "${rest%%,*}"
        kept= ;;
      *) word "${rest%%,*}" ;;
    esac
    rest=${rest#*,}
  done
  if [ -n "$kept" ]; then
    set -- "$@" "-Wl$kept"
    kept=
  fi
  case $arg in
    -Wl,*|-Xlinker|-z) ;;
    -u) refuse "-u $1" "zig has no way to ask for a symbol" ;;
    -I|-isystem|-idirafter|-L)
      numpy "$1"
      case $1 in
        @machine@) note dropped "$arg $1" && n=$((n - 1)) && shift ;;
        *) set -- "$@" "$arg" ;;
      esac ;;
    -I/*|-isystem/*|-idirafter/*|-L/*)
      numpy "/${arg#*/}"
      case /${arg#*/} in
        @machine@) note dropped "$arg" ;;
        *) set -- "$@" "$arg" ;;
      esac ;;
    -symbolic) set -- "$@" -Wl,-Bsymbolic ;;
    -flto=auto|-flto=jobserver|-flto=[0-9]*) note dropped "$arg" ;; # gcc's
    -mtune=*) note dropped "$arg" ;;
    -march=native|-mcpu=native)
      refuse "$arg" "that is the processor of this machine, not of those that the wheel is for" ;;
@processors@\
    *) set -- "$@" "$arg" ;;
  esac
done
case " $* " in
  # The driver warns about each flag that an assembler does not use, and -Werror makes it an error.
  *.[sS]" "*) set -- -Wno-unused-command-line-argument "$@" ;;
  # zig has the date of the first compilation in its cache, and ignores SOURCE_DATE_EPOCH.
  *" -c "*)
    if [ -n "${@date@-}" ]; then
      set -- -Wno-builtin-macro-redefined "-D__DATE__=\\"${@date@%% at *}\\"" \
        "-D__TIME__=\\"${@date@##* at }\\"" "$@"
    fi ;;
esac

{ errors=$(@zig@ @command@ "$@" @headers@ 2>&1 >&3 3>&-); status=$?; } 3>&1
[ -z "$errors" ] || printf '%s\\n' "$errors" >&2
[ "$status" = 0 ] || printf '%s\\n' "$errors" | while IFS= read -r line; do
  case $line in
    *"unsupported linker arg: "*|*"unsupported linker extension flag: "*)
      note refused "${line#*: *: }" ;;
    *"unknown clang option: "*) line=${line##*: \\"} && note refused "${line%\\"}" ;;
    *"unknown CPU: "*) line=${line##* \\'} && note refused "-march=${line%\\'}" ;;
    *"unknown CPU feature: "*) line=${line##* \\'} && note refused "+${line%\\'}" ;;
  esac
done
exit "$status"
"""
