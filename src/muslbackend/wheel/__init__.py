"""One wheel: its name, its files, reading and writing the archive."""
