"""Programs that the tests use, and the ways in which they look at output."""
