"""Counts words."""

from wordcount._wordcount import count

__all__ = ["count"]
