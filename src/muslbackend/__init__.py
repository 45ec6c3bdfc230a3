"""A PEP 517 build backend that writes musllinux wheels with a correct platform tag.

This module is the ``build-backend`` of ``pyproject.toml``. Its hooks are imported on first access,
so that importing the package for its version or its data stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__version__ = "0.1.0"

HOOKS: Final = frozenset(
    {
        "build_editable",
        "build_sdist",
        "build_wheel",
        "get_requires_for_build_editable",
        "get_requires_for_build_sdist",
        "get_requires_for_build_wheel",
        "prepare_metadata_for_build_editable",
        "prepare_metadata_for_build_wheel",
    }
)
"""The names of all hooks of PEP 517 and PEP 660."""


def __getattr__(name: str) -> Callable[..., object] | list[str]:
    """Return a PEP 517 or PEP 660 hook, or for ``__all__`` the names of the available hooks.

    Frontends probe for optional hooks with ``getattr``. A hook that scikit-build-core does not
    provide for the project raises ``AttributeError`` here too, and is missing from ``__all__``,
    so that an in-tree backend may ``from muslbackend import *``.
    """
    if name in HOOKS or name == "__all__":
        hooks = import_module("muslbackend.build.hooks")
        if name == "__all__" or name in hooks.__all__:
            found: Callable[..., object] | list[str] = getattr(hooks, name)
            return found
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
