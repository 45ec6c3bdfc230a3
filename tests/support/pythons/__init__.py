"""Interpreters, for musl and for glibc, that the tests make and keep."""
