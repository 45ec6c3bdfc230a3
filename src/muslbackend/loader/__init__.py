"""musl's dynamic linker, modelled: which files are loaded, and which symbols are found."""
