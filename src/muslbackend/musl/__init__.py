"""Facts about musl: architectures, releases, symbols, relocation types, platform tags."""
