"""Series with less noise in them."""

from smoothing._smoothing import moving_mean

__all__ = ["moving_mean"]
