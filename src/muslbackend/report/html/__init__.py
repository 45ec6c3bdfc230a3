"""The page of ``check --html``: one HTML file without scripts that loads nothing."""
