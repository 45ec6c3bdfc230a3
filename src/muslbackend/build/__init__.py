"""The PEP 517/660 hooks, and a build for musl from the settings to the wheel."""
