"""Exceptions for problems that a user can fix: a message, a hint and an exit code each.

Problems of the *binaries* in a wheel are not exceptions: they are collected as
:class:`muslbackend.policy.findings.Finding` and reported together.

::

    MuslBackendError                   1
    ├── SettingsError                  2
    ├── ToolError                      3
    ├── OutputError                    3
    ├── MalformedError                 1
    ├── TooMuchError                   1
    └── policy.verdict.PolicyError     1
"""

from __future__ import annotations

from typing import ClassVar


class MuslBackendError(Exception):
    """The base class of all errors; also raised itself, for I/O errors for example.

    ``str()`` is the message, followed by the hint, if any, on a line of its own.
    """

    exit_code: ClassVar[int] = 1
    """The exit code of a command that this error ends."""

    message: str
    """What is wrong, without a final period. One line, unless it quotes the output of a tool."""
    hint: str
    """How to fix it, as an imperative sentence; may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint  {self.hint}" if self.hint else self.message


class SettingsError(MuslBackendError):
    """A setting or option has an unknown name or an invalid value, or two of them conflict."""

    exit_code = 2


class ToolError(MuslBackendError):
    """An external tool (patchelf, zig, CMake ...) or the environment that it needs is unusable.

    The tool is missing, too old, or failed; the message then quotes its output.
    """

    exit_code = 3


class OutputError(MuslBackendError):
    """The output cannot be written: the disk is full, or the folder is not writable."""

    exit_code = 3


class MalformedError(MuslBackendError):
    """An input file is damaged, or is not of the type that its name claims."""


class TooMuchError(MuslBackendError):
    """A wheel exceeds a limit on the work that an analysis may take; no real build reaches it."""
