"""The longest of Collatz's sequences, looked for in several threads."""

from concurrent.futures import ThreadPoolExecutor

from collatz._collatz import longest, looked_at

__all__ = ["longest", "longest_below", "looked_at"]


def longest_below(limit: int, threads: int = 4) -> tuple[int, int]:
    """Return (steps, start) of the longest sequence that starts below a limit."""
    parts = [
        range(1 + limit * n // threads, 1 + limit * (n + 1) // threads) for n in range(threads)
    ]
    with ThreadPoolExecutor(threads) as pool:
        return max(pool.map(lambda part: longest(part.start, min(part.stop, limit)), parts))
