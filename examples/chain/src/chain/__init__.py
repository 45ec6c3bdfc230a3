"""One number, to which each of three private libraries adds a digit."""

from chain._chain import first

__all__ = ["first"]
