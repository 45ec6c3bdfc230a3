"""Read a project's pyproject.toml."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from muslbackend.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "pyproject.toml"


def read_pyproject(project: Path, given: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the text of pyproject.toml and its parsed contents.

    ``given`` is the user's argument, for messages. Raises :class:`SettingsError` if the file is
    missing or is not valid TOML.
    """
    try:
        text = (project / FILE).read_bytes().decode("utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        fact = "there is no pyproject.toml in it" if missing else f"{FILE}: {error.strerror}"
        hint = "give the folder of a project" + (", or an sdist" if missing else "")
        raise SettingsError(f"{given}: {fact}", hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{given}: pyproject.toml cannot be read: {error}"
        raise SettingsError(msg, hint="mend it") from error
