"""Read ELF files as musl's loader does, and edit them."""
