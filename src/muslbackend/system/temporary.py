"""Folders for a while, in the system's folder for such: made and removed in one piece.

Their names begin with ``muslbackend-``. What is left of them after SIGKILL may go.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MuslBackendError
from muslbackend.system.signals import held

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "muslbackend-"


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """Give the path of a new folder that is removed at the end, whatever happens.

    Raises :class:`MuslBackendError` where none can be made.
    """
    import tempfile  # takes long to import

    from muslbackend.system import trees

    folder = None
    try:
        with held(), room():
            folder = tempfile.mkdtemp(prefix=_PREFIX)
        yield folder
    finally:
        with held():
            # What cannot be removed does not undo what was done; its name tells what it is.
            if folder is not None:
                trees.remove(folder)


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Say what is wrong with the folder for temporary files, and not with what is read."""
    try:
        yield
    except OSError as error:
        msg = f"a temporary file cannot be written: {error.strerror or error}"
        hint = "free some space, or name another folder in TMPDIR"
        raise MuslBackendError(msg, hint=hint) from error
