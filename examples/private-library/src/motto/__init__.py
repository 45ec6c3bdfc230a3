"""One function that lives in a private shared library."""

from motto._motto import motto

__all__ = ["motto"]
