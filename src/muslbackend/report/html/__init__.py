"""The page of ``check --html``."""
