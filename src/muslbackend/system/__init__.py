"""Files, folders, processes, signals, progress and threads; independent of ELF and wheels."""
