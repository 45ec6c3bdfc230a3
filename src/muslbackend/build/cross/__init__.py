"""Cross compilation: zig or another compiler, CMake's toolchain file, the target's Python.

:mod:`prepare` is the entry. :mod:`toolchain` writes a folder with compiler wrappers
(:mod:`wrapper`, :mod:`compilers`, :mod:`zig`), a CMake toolchain file (:mod:`cmake`) and a Python
for the target (:mod:`python`). :mod:`emulation` runs programs of the target. :mod:`notes` explains
failures of wrappers and CMake.
"""
