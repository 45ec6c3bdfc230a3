"""The file with the outcome of a hook, for ``muslbackend build``.

Private: the variable, the keys and their meaning may change with any release. The file contains one
JSON object with the keys that ``muslbackend repair --json`` prints for a wheel, and ``promised``.
It is written atomically at the end of ``build_wheel``, and by every hook that fails with one of our
errors. It is absent if the compiler failed or another backend ran.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from muslbackend.errors import OutputError

if TYPE_CHECKING:
    from muslbackend.repair.outcome import Repaired

#: The variable with the path. The underscore distinguishes it from ``MUSLBACKEND_KEY``, a setting.
VARIABLE: Final = "_MUSLBACKEND_OUTCOME"


def write(result: Repaired) -> None:
    """Write the outcome of a hook, if ``muslbackend build`` requested it."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    from muslbackend.report.build import outcome_json
    from muslbackend.system.files import published

    # Without the file the outcome is unknown; the wheel is valid all the same.
    with contextlib.suppress(OutputError), published(Path(path), "the outcome") as stream:
        stream.write(outcome_json(result).encode())
