"""A PEP 517 build backend that writes musllinux wheels whose tag is true.

``pyproject.toml`` names this module as ``build-backend``; the hooks are looked up here on
demand, so that importing the package for its data or its version costs nothing.
"""

from __future__ import annotations

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


def __getattr__(name: str) -> Callable[..., object] | list[str]:
    """Return a PEP 517/660 hook of :mod:`muslbackend.build.hooks`, or their names for ``__all__``.

    Frontends probe optional hooks with ``getattr``: one that scikit-build-core does not offer
    for a project is missing here too. A backend that wraps this one may import ``*``.
    """
    if name in HOOKS or name == "__all__":
        from importlib import import_module

        hooks = import_module("muslbackend.build.hooks")
        if name == "__all__" or name in hooks.__all__:
            found: Callable[..., object] | list[str] = getattr(hooks, name)
            return found
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
