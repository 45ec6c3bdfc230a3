"""``muslbackend init``: make muslbackend the build backend of a project.

``migration`` decides on the change from the files of a project, ``buildsystem`` edits the text of
pyproject.toml, and ``recipes`` contains the workflows and tables for CI.
"""
