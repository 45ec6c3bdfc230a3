"""``muslbackend init``: propose the settings for a project."""
