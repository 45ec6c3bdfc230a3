from __future__ import annotations

import pytest

from muslbackend.build.settings import Settings
from muslbackend.build.target import decide
from muslbackend.errors import SettingsError
from muslbackend.musl.releases import ARCHITECTURES, MuslVersion
from muslbackend.musl.tags import Facts, PlatformTag, Target
from muslbackend.repair.options import Options

NAMES = "auto, host, x86_64, aarch64, i686, armv7l, armv6l, ppc64le, s390x, riscv64, loongarch64"


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("musllinux_1_2_x86_64", PlatformTag("musllinux", "x86_64", (1, 2))),
        ("musllinux_1_1_i686", PlatformTag("musllinux", "i686", (1, 1))),
        ("manylinux_2_28_aarch64", PlatformTag("manylinux", "aarch64", (2, 28))),
        ("linux_x86_64", PlatformTag("linux", "x86_64")),
        ("linux_armv7l", PlatformTag("linux", "armv7l")),
    ],
)
def test_a_linux_tag_is_taken_apart(text: str, tag: PlatformTag) -> None:
    assert PlatformTag.parse(text) == tag


@pytest.mark.parametrize("text", ["manylinux1_i686", "manylinux2010_x86_64", "manylinux2014_s390x"])
def test_an_old_manylinux_tag_names_its_architecture(text: str) -> None:
    tag = PlatformTag.parse(text)
    assert tag is not None
    assert (tag.arch, tag.version) == (text.partition("_")[2], None)
    assert tag.kind.startswith("manylinux")


@pytest.mark.parametrize(
    "text",
    [
        "musllinux_1_2_x86_64",
        "manylinux_2_17_ppc64le",
        "linux_armv7l",
        "manylinux1_x86_64",
        "manylinux2010_i686",
        "manylinux2014_x86_64",
    ],
)
def test_a_tag_prints_as_it_was_written(text: str) -> None:
    assert str(PlatformTag.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "any",
        "win_amd64",
        "macosx_11_0_arm64",
        "musllinux_1_x86_64",
        "musllinux_x86_64",
        "manylinux2020_x86_64",
        "musllinux_01_2_x86_64",
        "musllinux_1_２_x86_64",  # noqa: RUF001
        "musllinux_1_20000_x86_64",
        "linux",
        "linux_",
        "linux_x86-64",
        "Linux_x86_64",
        "",
        "linux_x86_64\n",
    ],
)
def test_other_platforms_have_no_linux_tag(text: str) -> None:
    assert PlatformTag.parse(text) is None


@pytest.mark.parametrize(
    ("suffix", "arch"),
    [
        (".cpython-311-x86_64-linux-musl.so", "x86_64"),
        (".cpython-313t-x86_64-linux-musl.so", "x86_64"),
        (".cpython-312d-aarch64-linux-musl.so", "aarch64"),
        (".cpython-312-i386-linux-musl.so", "i686"),
        (".cpython-312-arm-linux-musleabihf.so", "armv7l"),
        (".cpython-312-powerpc64le-linux-musl.so", "ppc64le"),
        (".cpython-312-s390x-linux-musl.so", "s390x"),
        (".cpython-312-riscv64-linux-musl.so", "riscv64"),
        (".cpython-312-loongarch64-linux-musl.so", "loongarch64"),
    ],
)
def test_an_interpreter_for_musl_says_its_architecture(suffix: str, arch: str) -> None:
    assert Facts("linux", suffix).musl_arch == ARCHITECTURES[arch]


@pytest.mark.parametrize(
    ("system", "suffix"),
    [
        ("linux", ".cpython-311-x86_64-linux-gnu.so"),
        ("linux", ".cpython-311-arm-linux-gnueabihf.so"),
        ("linux", ".cpython-311-arm-linux-musleabi.so"),
        ("linux", ".pypy310-pp73-x86_64-linux-gnu.so"),
        ("linux", ".so"),
        ("linux", ""),
        ("darwin", ".cpython-311-darwin.so"),
        ("darwin", ".cpython-311-x86_64-linux-musl.so"),
        ("win32", ".cp311-win_amd64.pyd"),
    ],
)
def test_any_other_interpreter_is_not_for_musl(system: str, suffix: str) -> None:
    assert Facts(system, suffix).musl_arch is None


MUSL_SUFFIX, GLIBC_SUFFIX = ".cpython-312-x86_64-linux-musl.so", ".cpython-312-x86_64-linux-gnu.so"
MUSL_LOADER, GLIBC_LOADER = "/lib/ld-musl-x86_64.so.1", "/lib64/ld-linux-x86-64.so.2"


@pytest.mark.parametrize(
    ("suffix", "loader", "why"),
    [
        (MUSL_SUFFIX, MUSL_LOADER, ""),
        (MUSL_SUFFIX, "/nix/store/x-musl-1.2.5/lib/ld-musl-x86_64.so.1", ""),
        (MUSL_SUFFIX, None, ""),
        (GLIBC_SUFFIX, GLIBC_LOADER, ""),
        (GLIBC_SUFFIX, None, ""),
        (GLIBC_SUFFIX, "", ""),
        (MUSL_SUFFIX, "", "is statically linked"),
        (MUSL_SUFFIX, GLIBC_LOADER, "is a mixed build: it looks for extension modules named"),
        (GLIBC_SUFFIX, MUSL_LOADER, "is a mixed build: it runs on /lib/ld-musl-x86_64.so.1"),
        ("", MUSL_LOADER, "named .so, which"),
        (".pypy311-pp73-x86_64-linux-gnu.so", MUSL_LOADER, "named .pypy311-pp73"),
    ],
)
def test_static_and_mixed_interpreters_are_told_from_others(
    suffix: str, loader: str | None, why: str
) -> None:
    facts = Facts("linux", suffix, loader=loader)
    assert why in facts.excluded
    assert bool(why) == bool(facts.excluded)
    built_for_musl = suffix == MUSL_SUFFIX and not why
    assert facts.musl_arch == (ARCHITECTURES["x86_64"] if built_for_musl else None)
    assert (decide(Settings(), facts) is None) == (facts.musl_arch is None)
    crossed = decide(Settings(target="x86_64"), facts)
    assert crossed is not None
    assert crossed.native == built_for_musl


def test_an_interpreter_of_another_system_is_never_left_out() -> None:
    assert Facts("darwin", MUSL_SUFFIX, loader="").excluded == ""


GLIBC = Facts("linux", ".cpython-311-x86_64-linux-gnu.so")
MUSL = Facts("linux", ".cpython-311-x86_64-linux-musl.so")
ARM = Facts("linux", ".cpython-311-arm-linux-musleabihf.so")
MAC = Facts("darwin", ".cpython-311-darwin.so")
X86_64, AARCH64 = ARCHITECTURES["x86_64"], ARCHITECTURES["aarch64"]
V = MuslVersion.parse


@pytest.mark.parametrize("facts", [GLIBC, MAC, Facts("win32", ".cp311-win_amd64.pyd")])
@pytest.mark.parametrize("target", ["auto", "host"])
def test_without_musl_and_without_a_wish_nothing_is_decided(facts: Facts, target: str) -> None:
    assert (
        decide(Settings(target=target, strict=True, repair=Options(floor=V("1.2.3"))), facts)
        is None
    )


@pytest.mark.parametrize(
    ("settings", "facts", "target"),
    [
        (Settings(), MUSL, Target(X86_64, V("1.2.0"), True, False)),
        (Settings(target="host"), MUSL, Target(X86_64, V("1.2.0"), True, False)),
        (Settings(strict=True), MUSL, Target(X86_64, V("1.2.0"), True, True)),
        (
            Settings(repair=Options(floor=V("1.1.24"))),
            MUSL,
            Target(X86_64, V("1.1.24"), True, False),
        ),
        (Settings(), ARM, Target(ARCHITECTURES["armv7l"], V("1.2.0"), True, False)),
        (Settings(target="x86_64"), MUSL, Target(X86_64, V("1.2.0"), True, False)),
        (Settings(target="x86_64"), GLIBC, Target(X86_64, V("1.2.0"), False, True)),
        (Settings(target="x86_64"), MAC, Target(X86_64, V("1.2.0"), False, True)),
        (Settings(target="aarch64"), MUSL, Target(AARCH64, V("1.2.0"), False, True)),
        (
            Settings(target="musllinux_1_2_aarch64"),
            GLIBC,
            Target(AARCH64, V("1.2.0"), False, True),
        ),
        (
            Settings(target="musllinux_1_1_x86_64"),
            MUSL,
            Target(X86_64, V("1.1.0"), True, False),
        ),
        (
            Settings(target="musllinux_1_2_x86_64", repair=Options(floor=V("1.2.3"))),
            MUSL,
            Target(X86_64, V("1.2.3"), True, False),
        ),
    ],
)
def test_a_target_is_decided(settings: Settings, facts: Facts, target: Target) -> None:
    assert decide(settings, facts) == target


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("x86-64", "did you mean x86_64? "),
        ("amd64", "did you mean x86_64? "),
        ("arm64", "did you mean aarch64? "),
        ("hots", "did you mean host? "),
        ("linux_x86_64", "did you mean x86_64? "),
        ("manylinux_2_28_x86_64", ""),
        ("musllinux_1_2_mips", ""),
    ],
)
def test_what_cannot_be_built_for_is_refused(name: str, guess: str) -> None:
    with pytest.raises(SettingsError) as caught:
        decide(Settings(target=name), MUSL)
    assert caught.value.message == f"target = {name!r} is not a known target"
    assert caught.value.hint == (
        f"{guess}the targets are {NAMES}, and tags such as musllinux_1_2_x86_64"
    )


@pytest.mark.parametrize("floor", ["1.1.24", "1.3.0", "2.2.0"])
def test_a_tag_and_a_floor_that_contradict_each_other_are_refused(floor: str) -> None:
    with pytest.raises(SettingsError) as caught:
        decide(Settings(target="musllinux_1_2_x86_64", repair=Options(floor=V(floor))), GLIBC)
    assert str(caught.value) == (
        f"target = musllinux_1_2_x86_64 and floor = {floor} contradict each other\n"
        "  hint  remove one of them"
    )


@pytest.mark.parametrize(
    ("tag", "floor"), [("musllinux_0_9_x86_64", "0.9.0"), ("musllinux_1_3_aarch64", "1.3.0")]
)
def test_a_tag_of_a_musl_that_is_not_known_is_no_target(tag: str, floor: str) -> None:
    with pytest.raises(SettingsError) as caught:
        decide(Settings(target=tag), GLIBC)
    assert str(caught.value) == (
        f"target = {tag} promises musl {floor}, which is not a known release (1.1.0 to 1.2.6)\n"
        "  hint  name a known release, such as musllinux_1_2"
    )


@pytest.mark.parametrize(
    ("floor", "declared"), [("1.2.5", "1.2.5"), ("1.2.0", None), ("1.1.24", "1.1.24"), (None, None)]
)
def test_what_the_tag_does_not_name_is_declared(floor: str | None, declared: str | None) -> None:
    target = Target(X86_64, V(floor) if floor else None, native=False, strict=True)
    assert target.declared == (V(declared) if declared else None)


def test_a_target_earns_the_tag_of_its_floor() -> None:
    target = Target(AARCH64, V("1.2.5"), native=False, strict=True)
    assert str(target.tag) == "musllinux_1_2_aarch64"
    assert str(target.plain_tag) == "linux_aarch64"


def test_a_target_that_promises_nothing_has_the_plain_tag() -> None:
    assert Target(X86_64, None, native=True, strict=False).tag == PlatformTag("linux", "x86_64")


@pytest.mark.parametrize(
    ("arch", "suffix"),
    [
        ("x86_64", ".cpython-311-x86_64-linux-musl.so"),
        ("i686", ".cpython-311-i386-linux-musl.so"),
        ("armv6l", ".cpython-311-arm-linux-musleabihf.so"),
    ],
)
def test_the_suffix_of_extension_modules_is_that_of_the_target(arch: str, suffix: str) -> None:
    target = Target(ARCHITECTURES[arch], None, native=False, strict=True)
    assert target.ext_suffix("cpython-311") == suffix
