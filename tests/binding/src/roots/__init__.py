"""Square roots, each in a thread of its own."""

from roots._roots import roots, taken  # type: ignore[import-not-found]

__all__ = ["roots", "taken"]
