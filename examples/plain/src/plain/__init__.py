"""One function, written in C."""

from plain._plain import hypotenuse

__all__ = ["hypotenuse"]
