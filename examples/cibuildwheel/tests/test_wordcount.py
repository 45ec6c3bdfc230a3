"""What cibuildwheel runs after each build, with the wheel installed."""

import unittest

from wordcount import count


class TestCount(unittest.TestCase):
    """Words are what stands between spaces, tabs and ends of lines."""

    def test_a_text(self) -> None:
        """Several in a row are one."""
        assert count(" the tag\nis\ta promise ") == 5

    def test_nothing(self) -> None:
        """An empty text has no words."""
        assert count("") == 0
