from __future__ import annotations

import re

import pytest

from muslbackend.build.settings import (
    Settings,
    foreign_config,
    names,
    parse_settings,
    read_settings,
    refuse_misspelled_table,
    repair_options,
    unpacked_limit,
)
from muslbackend.errors import SettingsError
from muslbackend.musl.releases import MuslVersion
from muslbackend.repair.options import Options


def given(**values: object) -> Settings:
    """Return settings with values by field, of the options of a repair too."""
    return Settings.of(values)


#: Each key: (in the table, with -C, in the environment) and the value that all three mean.
SAME = [
    (("aarch64", "aarch64", "aarch64"), given(target="aarch64"), "target"),
    (("1.2.3", "1.2.3", "1.2.3"), given(floor=MuslVersion(1, 2, 3)), "floor"),
    ((True, "true", "1"), given(strict=True), "strict"),
    ((["libz*", "b"], "libz*;b", "libz*;b"), given(exclude=("libz*", "b")), "exclude"),
    ((["/a", "b"], "/a;b", "/a:b"), given(library_dirs=("/a", "b")), "library-dirs"),
    ((["libz*", "b"], "libz*;b", "libz*;b"), given(include=("libz*", "b")), "include"),
    (
        (["libz*", "b"], "libz*;b", "libz*;b"),
        given(system_libraries=("libz*", "b")),
        "system-libraries",
    ),
    ((["a", "b"], "a;b", "a;b"), given(bundled_licenses=("a", "b")), "bundled-licenses"),
    ((True, "true", "1"), given(strip="all"), "strip"),
    (("debug", "debug", "debug"), given(strip="debug"), "strip"),
    (("all", "all", "all"), given(strip="all"), "strip"),
    (("a b/c:d", "a b/c:d", "a b/c:d"), given(debug_info_dir="a b/c:d"), "debug-info-dir"),
    ((["a/*", "b"], "a/*;b", "a/*;b"), given(ignore=("a/*", "b")), "ignore"),
    ((["a/*", "b"], "a/*;b", "a/*;b"), given(keep_in_place=("a/*", "b")), "keep-in-place"),
    (
        (["*.so.*", "b"], "*.so.*;b", "*.so.*;b"),
        given(drop_copies=("*.so.*", "b")),
        "drop-copies",
    ),
    (("a b/c:d", "a b/c:d", "a b/c:d"), given(loader="a b/c:d"), "loader"),
    ((True, "true", "1"), given(verify=True), "verify"),
    (("a b/c:d", "a b/c:d", "a b/c:d"), given(emulate_python="a b/c:d"), "emulate-python"),
    (("auto", "auto", "auto"), given(emulate_python="auto"), "emulate-python"),
    ((False, "false", "0"), given(emulate_python=""), "emulate-python"),
    (("a b/c:d", "a b/c:d", "a b/c:d"), given(toolchain_file="a b/c:d"), "toolchain-file"),
    ((9, "9", "9"), given(compression_level=9), "compression-level"),
    ((["nk_*", "x"], "nk_*;x", "nk_*;x"), given(assume_symbols=("nk_*", "x")), "assume-symbols"),
    ((5000000, "5MB", "5 mb"), given(max_size=5_000_000), "max-size"),
    ((10**10, "10GB", "10 gb"), given(max_unpacked=10**10), "max-unpacked"),
    (("a b/c:d", "a b/c:d", "a b/c:d"), given(sysroot="a b/c:d"), "sysroot"),
]

KEYS = (
    "assume-symbols",
    "bundled-licenses",
    "compression-level",
    "debug-info-dir",
    "drop-copies",
    "emulate-python",
    "exclude",
    "floor",
    "ignore",
    "include",
    "keep-in-place",
    "library-dirs",
    "loader",
    "max-size",
    "max-unpacked",
    "strict",
    "strip",
    "sysroot",
    "system-libraries",
    "target",
    "toolchain-file",
    "verify",
)


def env_name(key: str) -> str:
    return "MUSLBACKEND_" + key.replace("-", "_").upper()


def test_a_project_without_settings_has_the_defaults() -> None:
    assert parse_settings({}, {}, {}) == given(
        target="auto", floor=None, strict=False, exclude=(), library_dirs=()
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("47.7MiB", 50_017_075), ("2k", 2000), ("3 KiB", 3072), ("0.5GB", 500_000_000)],
)
def test_sizes_are_decimal_or_binary(text: str, size: int) -> None:
    assert parse_settings({"max-size": text}, {}, {}).repair.max_size == size


@pytest.mark.parametrize(
    "value", ["", "big", "-1", "5 apples", 0, -7, True, 1.5, "1e9", "0", "0MB", "0.0001k"]
)
def test_an_invalid_size_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match="is not a size such as 50MB"):
        parse_settings({"max-size": value}, {}, {})


@pytest.mark.parametrize("value", ["some", "", 1, None, ["debug"], "ALL"])
def test_an_invalid_value_of_strip_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match=r"is not all, debug, true \(all\) or false"):
        parse_settings({"strip": value}, {}, {})


@pytest.mark.parametrize(
    ("value", "strip"), [(False, ""), ("off", ""), (True, "all"), ("on", "all")]
)
def test_strip_accepts_booleans(value: object, strip: str) -> None:
    assert parse_settings({"strip": value}, {}, {}).repair.strip == strip


def test_options_take_precedence_over_the_environment() -> None:
    options = {
        "floor": None,
        "exclude": ["a"],
        "include": None,
        "strip": None,
        "debug_info_dir": None,
        "ignore": ["*.bpf.o"],
        "keep_in_place": None,
        "drop_copies": None,
        "library_dir": ["/x"],
        "system_library": None,
        "bundled_license": None,
        "assume_symbols": ["nk_*"],
        "max_size": "1k",
        "max_unpacked": "1m",
        "compression_level": "0",
        "dry_run": True,
    }
    environ = {"MUSLBACKEND_EXCLUDE": "b", "MUSLBACKEND_STRIP": "yes", "MUSLBACKEND_FLOOR": "1.2.3"}
    assert repair_options(options, environ) == Options(
        floor=MuslVersion(1, 2, 3),
        exclude=("a",),
        library_dirs=("/x",),
        assume_symbols=("nk_*",),
        strip="all",
        max_size=1000,
        max_unpacked=1_000_000,
        compression_level=0,
        ignore=("*.bpf.o",),
    )


def test_check_reads_a_single_setting_of_the_environment() -> None:
    environ = {"MUSLBACKEND_MAX_UNPACKED": "5MB", "MUSLBACKEND_FLOOR": "none"}
    assert unpacked_limit(None, environ) == 5_000_000
    assert unpacked_limit("6MB", environ) == 6_000_000
    assert unpacked_limit(None, {}) is None
    with pytest.raises(SettingsError, match="MUSLBACKEND_MAX_UNPACKED = 'x' is not a size"):
        unpacked_limit(None, {"MUSLBACKEND_MAX_UNPACKED": "x"})


@pytest.mark.parametrize(("values", "expected", "key"), SAME)
def test_each_key_can_be_set_in_each_place(
    values: tuple[object, object, str], expected: Settings, key: str
) -> None:
    in_table, in_config, in_env = values
    assert parse_settings({key: in_table}, {}, {}) == expected
    assert parse_settings({}, {f"musl.{key}": in_config}, {}) == expected
    assert parse_settings({}, {}, {env_name(key): in_env}) == expected


def test_the_environment_precedes_config_settings_which_precede_the_table() -> None:
    table = {"target": "from-table", "strict": True, "exclude": ["table"]}
    config = {"musl.target": "from-config", "musl.exclude": "config"}
    environ = {"MUSLBACKEND_TARGET": "from-env"}
    assert parse_settings(table, config, environ) == given(
        target="from-env", strict=True, exclude=("config",)
    )
    assert parse_settings(table, config, {}).target == "from-config"
    assert parse_settings(table, {}, {}).target == "from-table"


def test_a_list_replaces_the_list_of_a_lower_precedence() -> None:
    environ = {"MUSLBACKEND_EXCLUDE": "c"}
    assert parse_settings({"exclude": ["a", "b"]}, {}, environ).repair.exclude == ("c",)


@pytest.mark.parametrize("text", ["true", "True", "ON", "yes", "1"])
def test_words_for_true(text: str) -> None:
    assert parse_settings({}, {"musl.strict": text}, {}).strict is True
    assert parse_settings({"strict": False}, {}, {"MUSLBACKEND_STRICT": text}).strict is True


@pytest.mark.parametrize("text", ["false", "False", "OFF", "no", "0"])
def test_words_for_false(text: str) -> None:
    assert parse_settings({"strict": True}, {"musl.strict": text}, {}).strict is False
    assert parse_settings({"strict": True}, {}, {"MUSLBACKEND_STRICT": text}).strict is False


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (({}, {"musl.exclude": ["a", "b;c"]}, {}), ("a", "b;c")),
        (({}, {"musl.exclude": ";a;;b;"}, {}), ("a", "b")),
        (({}, {"musl.exclude": ""}, {}), ()),
        (({}, {}, {"MUSLBACKEND_EXCLUDE": "a:b"}), ("a:b",)),
        (({"exclude": "a;b"}, {}, {}), ("a", "b")),
        (({"exclude": []}, {}, {}), ()),
    ],
)
def test_lists_are_separated_by_semicolons(
    place: tuple[dict[str, object], dict[str, object], dict[str, str]], expected: tuple[str, ...]
) -> None:
    assert parse_settings(*place).repair.exclude == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a:/b", ("/a", "/b")),
        (":/a::", ("/a",)),
        ("/a", ("/a",)),
        ("/a;/b", ("/a", "/b")),
        ("", ()),
    ],
)
def test_library_dirs_in_the_environment_are_separated_as_in_path(
    text: str, expected: tuple[str, ...]
) -> None:
    environ = {"MUSLBACKEND_LIBRARY_DIRS": text}
    assert parse_settings({"library-dirs": ["/z"]}, {}, environ).repair.library_dirs == expected


def test_library_dirs_with_config_settings_are_separated_by_semicolons() -> None:
    assert parse_settings({}, {"musl.library-dirs": "/a:/b;/c"}, {}).repair.library_dirs == (
        "/a:/b",
        "/c",
    )


NAME = "a name such as x86_64"
LEVEL = "a level from 0 to 9"
RELEASE = "a musl release such as 1.2.0"
BOOLEAN = "true or false"
STRINGS = "a list of strings"
FOLDER = "a folder such as alpine-root"
FILE = "a file such as ld-musl-x86_64.so.1"


def test_a_release_without_quotes_is_reported_as_a_number() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"floor": 1.2}, {}, {})
    assert caught.value.message == "tool.muslbackend.floor = 1.2 is a number, not a musl release"
    assert caught.value.hint == 'put it in quotes: "1.2"'


@pytest.mark.parametrize("floor", ["0.9", "1.0.5", "1.1.25", "1.2.99", "1.3", "2.0.0"])
def test_a_floor_must_be_a_known_release(floor: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({}, {}, {"MUSLBACKEND_FLOOR": floor})
    start, _, rest = caught.value.message.partition(" is not a known release (1.1.0 to 1.2.6)")
    assert start == f"MUSLBACKEND_FLOOR = {floor!r}: musl {MuslVersion.parse(floor)}"
    assert rest == "" or rest.startswith("; did you mean ")
    assert caught.value.hint == ("name a known release; for a newer one, update muslbackend")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("target", "", NAME),
        ("target", 3, NAME),
        ("target", ["x86_64"], NAME),
        ("target", None, NAME),
        ("floor", "1", RELEASE),
        ("floor", "v1.2.0", RELEASE),
        ("floor", 12, RELEASE),
        ("floor", "", RELEASE),
        ("strict", "maybe", BOOLEAN),
        ("strict", "", BOOLEAN),
        ("strict", 1, BOOLEAN),
        ("strict", ["true", "false"], BOOLEAN),
        ("exclude", 1, STRINGS),
        ("exclude", ["a", 1], STRINGS),
        ("exclude", {"a": "b"}, STRINGS),
        ("library-dirs", True, STRINGS),
        ("compression-level", 10, LEVEL),
        ("compression-level", -1, LEVEL),
        ("compression-level", "-1", LEVEL),
        ("compression-level", "best", LEVEL),
        ("compression-level", "", LEVEL),
        ("compression-level", True, LEVEL),
        ("compression-level", 6.0, LEVEL),
        ("sysroot", "", FOLDER),
        ("sysroot", ["a"], FOLDER),
        ("loader", "", FILE),
        ("loader", True, FILE),
        ("verify", "maybe", BOOLEAN),
    ],
)
def test_the_error_for_a_wrong_type_names_the_origin(key: str, value: object, wanted: str) -> None:
    # The environment contains only text.
    environs = {env_name(key): value} if isinstance(value, str) else {}
    places: list[tuple[str, dict[str, object], dict[str, object], dict[str, str]]] = [
        (f"tool.muslbackend.{key}", {key: value}, {}, {}),
        (f"musl.{key}", {}, {f"musl.{key}": value}, {}),
        *((name, {}, {}, {name: text}) for name, text in environs.items()),
    ]
    for place, table, config, environ in places:
        with pytest.raises(SettingsError) as caught:
            parse_settings(table, config, environ)
        assert caught.value.message == f"{place} = {value!r} is not {wanted}"
        assert caught.value.hint == f"give {wanted}"


@pytest.mark.parametrize(
    ("place", "message", "hint"),
    [
        (
            ({"tarket": "x"}, {}, {}),
            "tool.muslbackend.tarket is not a setting of muslbackend",
            "did you mean tool.muslbackend.target?",
        ),
        (
            ({"library_dirs": ["x"]}, {}, {}),
            "tool.muslbackend.library_dirs is not a setting of muslbackend",
            "did you mean tool.muslbackend.library-dirs?",
        ),
        (
            ({}, {"musl.stric": "x"}, {}),
            "musl.stric is not a setting of muslbackend",
            "did you mean musl.strict?",
        ),
        (
            ({}, {}, {"MUSLBACKEND_FLOR": "x"}),
            "MUSLBACKEND_FLOR is not a setting of muslbackend",
            "did you mean MUSLBACKEND_FLOOR?",
        ),
        (
            ({"zzz": 1}, {}, {}),
            "tool.muslbackend.zzz is not a setting of muslbackend",
            f"the settings are {', '.join('tool.muslbackend.' + key for key in KEYS)}",
        ),
        (
            ({}, {"musl.": "x"}, {}),
            "musl. is not a setting of muslbackend",
            f"the settings are {', '.join('musl.' + key for key in KEYS)}",
        ),
        (
            # The common prefix of all names does not make two names similar.
            ({}, {}, {"MUSLBACKEND_ZZZ": "x"}),
            "MUSLBACKEND_ZZZ is not a setting of muslbackend",
            f"the settings are {', '.join(env_name(key) for key in KEYS)}",
        ),
    ],
)
def test_an_unknown_name_is_refused(
    place: tuple[dict[str, object], dict[str, object], dict[str, str]], message: str, hint: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(*place)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_first_unknown_name_in_order_is_named() -> None:
    with pytest.raises(SettingsError, match=re.escape("tool.muslbackend.aa is not")):
        parse_settings({"bb": 1, "aa": 1}, {}, {})


def test_other_settings_are_ignored() -> None:
    config = {"cmake.define.musl.x": "1", "build-dir": "b", "muslbackend": "x", "MUSL.target": "x"}
    environ = {"MUSLBACKENDX": "1", "_MUSLBACKEND_ZIG": "zig", "muslbackend_target": "x"}
    assert parse_settings({}, config, environ) == given()
    assert foreign_config(config) == config


def test_our_keys_are_not_passed_to_scikit_build_core() -> None:
    config = {"musl.target": "x86_64", "build-dir": "b", "musl.strict": "1", "logging.level": ""}
    assert foreign_config(config) == {"build-dir": "b", "logging.level": ""}
    assert foreign_config({}) == {}


def test_a_value_that_is_not_a_table_is_a_settings_error() -> None:
    with pytest.raises(SettingsError):
        parse_settings(["target"], {}, {})  # type: ignore[arg-type] # [[tool.muslbackend]]


@pytest.mark.parametrize("texts, wanted, key", SAME)
def test_the_origin_of_a_setting_is_returned(
    texts: tuple[object, object, str], wanted: Settings, key: str
) -> None:
    in_table, on_line, in_environment = texts
    field = key.replace("-", "_")
    table, config, environ = (
        {key: in_table},
        {f"musl.{key}": on_line},
        {env_name(key): in_environment},
    )
    for given, place in (
        ((table, config, environ), env_name(key)),
        ((table, config, {}), f"musl.{key}"),
        ((table, {"build-dir": "x"}, {"HOME": "/"}), f"tool.muslbackend.{key}"),
    ):
        read = read_settings(*given)
        assert read.settings == wanted
        assert read.places == {field: place}


def test_a_default_has_no_origin() -> None:
    assert read_settings({}, {}, {}).places == {}


def test_all_settings_have_names() -> None:
    assert sorted(names()) == list(KEYS)
    assert [name.replace("-", "_") for name in sorted(names())] == sorted(Settings().values())


@pytest.mark.parametrize("key", names())
def test_a_setting_without_the_prefix_is_refused(key: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({}, {key: "x", "cmake.define.A": "1"}, {})
    assert raised.value.message == f"-C {key} is not a setting of scikit-build-core"
    assert raised.value.hint == f"did you mean -C musl.{key}?"


@pytest.mark.parametrize(
    "table", ["musl-backend", "musl_backend", "MuslBackend", "musl", "muslbackends"]
)
def test_a_misspelled_table_is_refused(table: str) -> None:
    with pytest.raises(SettingsError) as raised:
        refuse_misspelled_table({table: {}, "ruff": {}})
    assert raised.value.message == f"[tool.{table}] is not a table of muslbackend"
    assert raised.value.hint == "did you mean [tool.muslbackend]?"


def test_tables_of_other_tools_are_accepted() -> None:
    refuse_misspelled_table({"muslbackend": {}, "scikit-build": {}, "mypy": {}, "musllinux": {}})


@pytest.mark.parametrize("value", [True, "true", "", 3, ["a"]])
def test_an_invalid_value_of_emulate_python_is_refused(value: object) -> None:
    words = "auto, false or a CPython for musl"
    with pytest.raises(SettingsError) as raised:
        parse_settings({"emulate-python": value}, {}, {})
    assert raised.value.message == f"tool.muslbackend.emulate-python = {value!r} is not {words}"
    assert raised.value.hint == f"give {words}"
