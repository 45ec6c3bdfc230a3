"""What becomes of a finished wheel that is to be judged: read, and what judges loaded meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslbackend.errors import MalformedError
from muslbackend.policy.question import Question
from muslbackend.system.failures import reported_io_errors
from muslbackend.system.progress import Progress
from muslbackend.wheel.archive import file_name
from muslbackend.wheel.member import Scratch
from muslbackend.wheel.reader import reading

if TYPE_CHECKING:
    from pathlib import Path

    from muslbackend.policy.question import Checked

_ITS_TAGS: Final = Question()


def check_wheel(
    path: str | Path, question: Question = _ITS_TAGS, progress: Progress | None = None
) -> Checked:
    """Judge a finished wheel by its bytes alone.

    By default the question is whether it loads on the X.Y.0 that its tag claims and later. A
    damaged wheel is a finding too.
    """
    progress = progress or Progress()
    try:
        with (
            reported_io_errors(),
            Scratch() as scratch,
            reading(path, scratch, progress, question.max_unpacked) as wheel,
        ):
            # Imported while other threads inflate: neither waits for the other.
            from muslbackend.policy.check import judged

            return judged(wheel, question, progress)
    except MalformedError as error:
        from muslbackend.policy.check import damaged

        return damaged(file_name(path), error)
