"""The page of recipes, ``docs/how-to.md``: which of its sections each module of tests has."""

from __future__ import annotations

from typing import Final

from support.tools.page import Page

PAGE: Final = Page("docs/how-to.md")

TASKS: Final = (
    "See what a machine can build",
    "Change a project over",
    "Leave a library to the system",
    "Ship data, copies and foreign programs as they are",
    "Strip wheels, and debug them",
    "Promise an older musl, or a later one",
    "Cross-compile",
    "Other build systems",
    "When a cross build fails",
    "Test a wheel in a musl Python",
    "Take libraries from an Alpine root",
    "Build many wheels in one go",
    "Repair wheels of other backends",
    "Publish on PyPI",
)
ENGINES: Final = (
    "In cibuildwheel",
    "In GitHub Actions",
    "In a Dockerfile",
    "In GitLab CI and others",
)
