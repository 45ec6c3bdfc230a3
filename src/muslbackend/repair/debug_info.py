"""Store debugging information that was removed from a wheel where debuggers find it.

The layout is that of GDB's manual, "Debugging Information in Separate Files":
``FOLDER/WHEEL/PATH.debug`` for each file, and a link ``FOLDER/.build-id/XX/REST.debug`` to it for
each file with a build-id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Final

from muslbackend.errors import MuslBackendError
from muslbackend.system.signals import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: The suffix of files with debugging information.
ENDING: Final = ".debug"
#: The folder for these files in the working folder.
DEBUG: Final = "debug"


@contextlib.contextmanager
def put_aside(made: Path, folder: Path, wheel: str, build_ids: Mapping[str, str]) -> Iterator[None]:
    """Move the files in ``made`` to their names in ``folder`` while a wheel is written.

    ``build_ids`` has the build-ids of the wheel's files by path. On any exception ``folder`` is
    restored. Raises :class:`MuslBackendError` if it cannot be written.
    """
    with contextlib.ExitStack() as undo:
        try:
            _place(made, folder, wheel.removesuffix(".whl"), build_ids, undo)
        except OSError as error:
            undo.close()
            msg = f"{folder}: the debugging information cannot be written: "
            msg += error.strerror or str(error)
            hint = "free some space, or set debug-info-dir to another folder"
            raise MuslBackendError(msg, hint=hint) from error
        yield
        undo.pop_all()
    with contextlib.suppress(OSError):  # of an earlier wheel of this name
        shutil.rmtree(_old(folder, wheel.removesuffix(".whl")))


def _old(folder: Path, name: str) -> Path:
    return folder / f".muslbackend-{name}.old"


def _place(
    made: Path,
    folder: Path,
    name: str,
    build_ids: Mapping[str, str],
    undo: contextlib.ExitStack,
) -> None:
    """Move the files into ``folder``; ``undo`` collects the reverse of each step."""
    _make_folder(folder, undo)
    final, old = folder / name, _old(folder, name)
    partial = folder / f".muslbackend-{int.from_bytes(os.urandom(8))}.partial"
    undo.callback(shutil.rmtree, partial, ignore_errors=True)
    shutil.copytree(made, partial)
    with held():
        shutil.rmtree(old, ignore_errors=True)
        _check_ours(final)
        with contextlib.suppress(FileNotFoundError):
            final.rename(old)
            undo.callback(_rename, old, final)
        partial.rename(final)
        undo.callback(shutil.rmtree, final, ignore_errors=True)
    for path, build_id in sorted(build_ids.items()):
        file = final / f"{path}{ENDING}"
        if len(build_id) > 2 and file.is_file():
            link = folder / ".build-id" / build_id[:2] / f"{build_id[2:]}{ENDING}"
            _make_folder(link.parent, undo)
            _link(link, os.path.relpath(file, link.parent), undo)


def _check_ours(final: Path) -> None:
    """Raise an error for a folder with foreign files, which is never replaced."""
    for folder, _, names in os.walk(final):
        other = next((name for name in names if not name.endswith(ENDING)), None)
        if other is not None:
            msg = f"{final} is not a folder of debugging information: it has {other} in "
            msg += os.path.relpath(folder, final)
            raise MuslBackendError(msg, hint="set debug-info-dir to another folder")


def _rename(old: Path, final: Path) -> None:
    with contextlib.suppress(OSError):
        old.rename(final)


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    """Create a folder and its parents; the undo removes those that are empty."""
    for above in reversed((folder, *folder.parents)):
        if not above.exists():
            above.mkdir(exist_ok=True)
            undo.callback(_remove_folder, above)


def _remove_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _link(link: Path, target: str, undo: contextlib.ExitStack) -> None:
    """Create a symlink, or replace an existing one."""
    before = link.readlink() if link.is_symlink() else None
    partial = link.with_name(f".muslbackend-{int.from_bytes(os.urandom(8))}.partial")
    with held():
        partial.symlink_to(target)
        try:
            partial.replace(link)
        except OSError:
            partial.unlink()
            raise
        undo.callback(_restore, link, before)


def _restore(link: Path, before: Path | None) -> None:
    with contextlib.suppress(OSError):
        link.unlink()
        if before is not None:
            link.symlink_to(before)
