"""Prime numbers."""

from primes._primes import below

__all__ = ["below"]
