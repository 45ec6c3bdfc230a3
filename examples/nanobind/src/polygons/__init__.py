"""Shapes with straight sides."""

from polygons._polygons import Polygon

__all__ = ["Polygon"]
