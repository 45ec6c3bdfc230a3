"""Facts about musl: architectures, releases, symbols, relocation types, platform tags.

Input: names, such as a symbol and an architecture. Output: the releases that provide the symbol.
The tables in ``data`` were measured on builds of every release from 1.1.0 on, and on Alpine's
packages; ``python -m muslbackend.cli.extend_tables`` adds a release.
"""
