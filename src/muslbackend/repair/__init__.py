"""Bundle libraries, patch ELF files, prove the result, and write the wheel."""
