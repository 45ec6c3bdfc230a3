"""Wheels and ELF files, sound and hostile, real and made up."""
