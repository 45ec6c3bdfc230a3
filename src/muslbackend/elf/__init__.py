"""One ELF file: read as musl's loader maps it, and edited."""
