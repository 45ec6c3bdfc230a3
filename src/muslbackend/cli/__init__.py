"""The command line: a module for each command.

Each module has ``add_parser`` and ``run``; :mod:`main` imports only the module of the named
command.
"""
