"""The command ``muslbackend sysroot``: libraries and headers of an Alpine, verified and unpacked.

Data flow: signed indexes (``index``), the packages to take (``solve``), their files (``fetch``),
their contents (``package``), a folder (``unpack``).
"""
