"""The builds of ``muslbackend build``: one sdist, then one wheel per architecture and Python.

``interpreters`` finds the Pythons, ``matrix`` decides which wheels to build, ``driver`` runs
``jobs`` in parallel, each in its own environment, and ``results`` formats the outcome.
"""
