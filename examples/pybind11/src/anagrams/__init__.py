"""Words that have the same letters."""

from anagrams._anagrams import groups

__all__ = ["groups"]
