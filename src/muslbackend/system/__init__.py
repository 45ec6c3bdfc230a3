"""Files, processes, signals, progress and threads: nothing here knows ELF files or wheels."""
