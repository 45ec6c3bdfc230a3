"""One function, written in C++."""

from shapes._shapes import area_of_square

__all__ = ["area_of_square"]
