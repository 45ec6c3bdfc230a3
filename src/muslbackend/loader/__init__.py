"""musl's dynamic linker, modeled: the files that it loads, and the symbols that it resolves.

Input: the ELF files of a wheel (:mod:`scan` reads them), a machine, and the folders of external
libraries. Output: a :class:`graph.Graph`, and the requirements of each file on musl (:mod:`needs`).

Follow one wheel: :mod:`scan` reads each file once. :mod:`resolve` searches every needed name as
``load_library`` does (ldso/dynlink.c): among the loaded files, in the rpath of the file
(:mod:`rpath`), in the rpaths of the files that loaded it, then in external folders
(:mod:`search`). Names that every root resolves alike are handled together, and the sets of files
are kept as bits (:mod:`loads`); the other roots are simulated one by one. :mod:`unloaded` finds
files that nothing loads; :mod:`openers` finds Python code that makes symbols global.

Only :mod:`scan` touches the disk.
"""
