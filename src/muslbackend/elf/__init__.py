"""Read ELF files as musl's loader does, and edit them.

Input: the bytes of one file. Output: an :class:`info.ElfInfo`, or the bytes of an edited file.

:mod:`memory` computes the image that ``map_library`` maps (ldso/dynlink.c); :mod:`image` reads the
dynamic section through it; :mod:`symbols`, :mod:`hashtable`, :mod:`relocations` and
:mod:`entry_points` read the tables that the loader reads, and raise an error for anything that it
would refuse or misread. :mod:`reader` puts them together. :mod:`edit`, :mod:`rewrite` and
:mod:`relr` change names, search paths and relocations.
"""
