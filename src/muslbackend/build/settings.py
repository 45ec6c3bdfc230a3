"""``[tool.muslbackend]``, ``-C musl.KEY=VALUE`` and ``MUSLBACKEND_KEY`` → :class:`Settings`.

The environment takes precedence over ``-C``, and ``-C`` over pyproject.toml, as in
scikit-build-core. All other ``-C`` keys are passed to scikit-build-core unchanged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslbackend.errors import SettingsError
from muslbackend.musl.releases import MuslVersion, known_release
from muslbackend.repair.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PYPROJECT: Final = "pyproject.toml"
PREFIX: Final = "musl."
TABLE: Final = "muslbackend"
ENV_PREFIX: Final = "MUSLBACKEND_"


class Settings(NamedTuple):
    """The settings; every field has the default of a project without settings."""

    target: str = "auto"
    """``auto``, ``host``, an architecture, or a full platform tag; see :mod:`target`."""
    strict: bool = False
    toolchain_file: str | None = None
    """A CMake toolchain file for a cross build."""
    loader: str | None = None
    """musl's dynamic loader for the target, to run programs of a cross build."""
    emulate_python: str = "auto"
    """A Python of the target for commands that import the built modules: a path, ``auto`` for one
    that is found, or empty for none."""
    verify: bool = False
    """Whether the real loader opens every file before the wheel is written."""
    repair: Options = Options()
    """The settings that builds share with repairs of finished wheels."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings with some values by field, of :class:`Options` too."""
        shared = {name: value for name, value in values.items() if name in Options._fields}
        own = {name: value for name, value in values.items() if name not in shared}
        return cls(**own, repair=Options(**shared))

    def values(self) -> dict[str, Any]:
        """Return all values by field, those of :class:`Options` too."""
        own = self._asdict()
        shared: Options = own.pop("repair")
        return own | shared._asdict()


class _Key(NamedTuple):
    name: str
    read: Callable[[str, object], object]
    env_separator: str = ";"

    @property
    def field(self) -> str:
        return self.name.replace("-", "_")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.field.upper()


def read_pyproject(project: Path, given: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the text of pyproject.toml and its parsed contents.

    ``given`` is the user's argument, for messages. Raises :class:`SettingsError` if the file is
    missing or is not valid TOML.
    """
    import tomllib  # ``check`` reads its settings without it

    try:
        text = (project / PYPROJECT).read_bytes().decode("utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        fact = "contains no pyproject.toml" if missing else f"{PYPROJECT}: {error.strerror}"
        hint = "give the folder of a project" + (", or an sdist" if missing else "")
        raise SettingsError(f"{given}: {fact}", hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{given}: pyproject.toml cannot be read: {error}"
        raise SettingsError(msg, hint="fix the file") from error


def names() -> tuple[str, ...]:
    """Return the names of all settings as in pyproject.toml, in the order of the reference."""
    return tuple(key.name for key in _KEYS)


class Read(NamedTuple):
    """Settings, and the origin of each."""

    settings: Settings
    places: Mapping[str, str]
    """By field: ``MUSLBACKEND_FLOOR``, ``musl.floor`` (a ``-C`` key), ``tool.muslbackend.floor``;
    other fields have their defaults."""


def parse_settings(
    table: Mapping[str, object],
    config: Mapping[str, object],
    environ: Mapping[str, str],
) -> Settings:
    """Return the settings of ``[tool.muslbackend]``, our ``-C`` keys and the environment.

    Errors are those of :func:`read_settings`.
    """
    return read_settings(table, config, environ).settings


def read_settings(
    table: Mapping[str, object],
    config: Mapping[str, object],
    environ: Mapping[str, str],
) -> Read:
    """Return the settings, and the origin of each.

    ``config`` has every ``-C`` key; keys that do not start with ``musl.`` are ignored. Raises
    :class:`SettingsError` for an unknown name and for a value of the wrong type; the message names
    the origin of the value.
    """
    own = {k.removeprefix(PREFIX): v for k, v in config.items() if k.startswith(PREFIX)}
    _refuse_without_prefix(config)
    env = {k: v for k, v in environ.items() if k.startswith(ENV_PREFIX)}
    if not isinstance(table, dict):
        raise _wrong("tool.muslbackend", table, "a table")
    by_name = {key.name: key for key in _KEYS}
    _refuse_unknown(table, by_name, "tool.muslbackend.")
    _refuse_unknown(own, by_name, PREFIX)
    fields = {key.env.removeprefix(ENV_PREFIX) for key in _KEYS}
    _refuse_unknown({k.removeprefix(ENV_PREFIX): v for k, v in env.items()}, fields, ENV_PREFIX)
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    value: object
    for key in _KEYS:
        if key.env in env:
            text = env[key.env]
            separated = key.read is _strings and key.env_separator in text
            place, value = key.env, text.split(key.env_separator) if separated else text
        elif key.name in own:
            place, value = PREFIX + key.name, own[key.name]
        elif key.name in table:
            place, value = "tool.muslbackend." + key.name, table[key.name]
        else:
            continue
        values[key.field] = key.read(place, value)
        places[key.field] = place
    return Read(Settings.of(values), places)


def repair_options(options: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    """Return the options of a repair: the environment, overridden by those of the command.

    ``options`` may have other names, which are ignored. Raises :class:`SettingsError` as
    :func:`parse_settings` does.
    """
    same = ("floor", "exclude", "include", "strip", "ignore", "keep_in_place", "drop_copies")
    given = {name: options[name] for name in (*same, "debug_info_dir")}
    given["library_dirs"] = options["library_dir"]
    given["system_libraries"] = options["system_library"]
    given["bundled_licenses"] = options["bundled_license"]
    given["assume_symbols"] = options["assume_symbols"]
    for name in ("max_size", "max_unpacked"):
        if options[name] is not None:
            given[name] = _size(f"--{name.replace('_', '-')}", options[name])
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value
    }
    if options["compression_level"] is not None:
        level = _level("--compression-level", options["compression_level"])
        values["compression_level"] = level
    return parse_settings({}, {}, environ).repair._replace(**values)


def unpacked_limit(option: str | None, environ: Mapping[str, str]) -> int | None:
    """Return the largest unpacked size of a wheel: the option, else the environment's, in bytes.

    ``None`` without either. Reads no other variable. Raises :class:`SettingsError` for a value that
    is not a size.
    """
    if option is not None:
        return _size("--max-unpacked", option)
    place = f"{ENV_PREFIX}MAX_UNPACKED"
    return _size(place, environ[place]) if place in environ else None


def foreign_config(config: Mapping[str, object]) -> dict[str, object]:
    """Return the ``-C`` keys that are scikit-build-core's."""
    return {k: v for k, v in config.items() if not k.startswith(PREFIX)}


def refuse_misspelled_table(tools: Mapping[str, object]) -> None:
    """Raise :class:`SettingsError` for a table ``[tool.NAME]`` whose name resembles ours.

    ``tools`` is ``[tool]`` of pyproject.toml; a table of another tool never has such a name.
    """
    for name in sorted(tools):
        letters = re.sub("[^a-z]", "", name.lower())
        if name != TABLE and letters in (TABLE, "muslbackends", "muslbuildbackend", "musl"):
            raise SettingsError(
                f"[tool.{name}] is not a table of muslbackend",
                hint=f"did you mean [tool.{TABLE}]?",
            )


def _refuse_without_prefix(config: Mapping[str, object]) -> None:
    for key in _KEYS:
        if key.name in config:
            raise SettingsError(
                f"-C {key.name} is not a setting of scikit-build-core",
                hint=f"did you mean -C {PREFIX}{key.name}?",
            )


def _refuse_unknown(
    given: Mapping[str, object], known: set[str] | Mapping[str, object], prefix: str
) -> None:
    for name in sorted(given):
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            names = ", ".join(prefix + k for k in sorted(known))
            raise SettingsError(
                f"{prefix}{name} is not a setting of muslbackend",
                hint=f"did you mean {prefix}{near[0]}?" if near else f"the settings are {names}",
            )


def _text(wanted: str) -> Callable[[str, object], str]:
    """Return a reader of nonempty texts; ``wanted`` describes the value in messages."""

    def read(place: str, value: object) -> str:
        if isinstance(value, str) and value:
            return value
        raise _wrong(place, value, wanted)

    return read


def _boolean(place: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "on": True, "yes": True, "1": True}
    known |= {"false": False, "off": False, "no": False, "0": False}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise _wrong(place, value, "true or false")


def _strip(place: str, value: object) -> str:
    if value in ("all", "debug"):
        return str(value)
    try:
        return "all" if _boolean(place, value) else ""
    except SettingsError:
        raise _wrong(place, value, "all, debug, true (all) or false") from None


def _python(place: str, value: object) -> str:
    if value == "auto":
        return value
    try:
        allowed = _boolean(place, value)
    except SettingsError:
        return _text("auto, false or a CPython for musl")(place, value)
    if allowed:
        raise _wrong(place, value, "auto, false or a CPython for musl")
    return ""


def _version(place: str, value: object) -> MuslVersion:
    if isinstance(value, float):
        raise SettingsError(
            f"{place} = {value!r} is a number, not a musl release",
            hint=f'put it in quotes: "{value}"',
        )
    try:
        version = MuslVersion.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise _wrong(place, value, "a musl release such as 1.2.0") from None
    try:
        return known_release(str(version))
    except ValueError as error:
        hint = "name a known release; for a newer one, update muslbackend"
        raise SettingsError(f"{place} = {value!r}: {error}", hint=hint) from None


#: Factors of units: decimal for MB, binary for MiB.
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def _size(place: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    text = value if isinstance(value, str) else ""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmg]i?|)b?", text.strip().lower())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size == 0:
        raise _wrong(place, value, "a size such as 50MB or 47.7MiB")
    return size


def _level(place: str, value: object) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and re.fullmatch("[0-9]", text):
        return int(text)
    raise _wrong(place, value, "a level from 0 to 9")


def _strings(place: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(";")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(item for item in value if item)
    raise _wrong(place, value, "a list of strings")


def _wrong(place: str, value: object, wanted: str) -> SettingsError:
    return SettingsError(f"{place} = {value!r} is not {wanted}", hint=f"give {wanted}")


_KEYS: Final = (
    _Key("target", _text("a name such as x86_64")),
    _Key("floor", _version),
    _Key("strict", _boolean),
    _Key("exclude", _strings),
    _Key("system-libraries", _strings),
    _Key("include", _strings),
    _Key("assume-symbols", _strings),
    _Key("library-dirs", _strings, env_separator=":"),
    _Key("bundled-licenses", _strings),
    _Key("strip", _strip),
    _Key("debug-info-dir", _text("a folder such as debug")),
    _Key("ignore", _strings),
    _Key("keep-in-place", _strings),
    _Key("drop-copies", _strings),
    _Key("max-size", _size),
    _Key("max-unpacked", _size),
    _Key("compression-level", _level),
    _Key("sysroot", _text("a folder such as alpine-root")),
    _Key("toolchain-file", _text("a CMake toolchain file")),
    _Key("loader", _text("a file such as ld-musl-x86_64.so.1")),
    _Key("emulate-python", _python),
    _Key("verify", _boolean),
)
