"""Projects that are built, and the programs that build them."""
