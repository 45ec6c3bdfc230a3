from __future__ import annotations

import pytest

from muslbackend.errors import MalformedError, MuslBackendError, SettingsError, ToolError
from muslbackend.policy.verdict import PolicyError, Verdict


def test_an_error_without_a_hint_is_its_message() -> None:
    assert str(MuslBackendError("no wheel")) == "no wheel"


def test_the_hint_stands_on_a_line_of_its_own() -> None:
    assert str(ToolError("no zig", hint="pip install ziglang")) == (
        "no zig\n  hint  pip install ziglang"
    )


def test_message_and_hint_can_be_asked_for() -> None:
    error = SettingsError("x is not a setting", hint="did you mean y?")
    assert (error.message, error.hint) == ("x is not a setting", "did you mean y?")


@pytest.mark.parametrize(
    ("kind", "code"),
    [(MuslBackendError, 1), (SettingsError, 2), (ToolError, 3), (MalformedError, 1)],
)
def test_each_kind_of_error_has_its_exit_code(kind: type[MuslBackendError], code: int) -> None:
    error = kind("message")
    assert isinstance(error, MuslBackendError)
    assert error.exit_code == code


def test_a_policy_error_carries_the_verdict() -> None:
    verdict = Verdict(None, (), ())
    error = PolicyError(verdict, "cannot be tagged", hint="see above")
    assert error.verdict is verdict
    assert error.exit_code == 1
    assert str(error) == "cannot be tagged\n  hint  see above"
