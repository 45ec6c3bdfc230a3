"""``muslbackend init``: make muslbackend the build backend of a project.

``migration`` decides from the files of a project what to change, ``buildsystem`` edits the text of
pyproject.toml, and ``recipes`` contains the workflows and tables for CI.
"""
