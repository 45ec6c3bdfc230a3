"""Measured facts about musl as tables, and the script that extends them."""
