"""Facts about musl: machines, releases, symbols, relocation types, tags."""
