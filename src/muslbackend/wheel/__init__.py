"""Wheels as files: their name, members and metadata, reading and writing the archive.

Input: the path of a wheel, or the members of a new one. Output: members and metadata, or a written
archive. The formats are those of PEP 427 and, in :mod:`zip`, of APPNOTE.TXT 6.3; ELF files are the
subject of other packages.

A wheel is read once. :mod:`archive` opens it and refuses ambiguous ones from the central directory
alone; :mod:`reader` then decompresses each relevant member once, on all cores, and verifies its
CRC-32. ``check`` releases each member after its analysis; ``repair`` keeps members in memory up to
a limit, and the compressed bytes of unchanged ones in place (:class:`member.Original`).
:mod:`package` and :mod:`metadata` extract facts from Python files, ``METADATA`` and ``WHEEL``.

Each file is hashed once: at reading, if its compressed bytes are copied, else in :mod:`packer`,
which compresses on all cores. RECORD is computed from these digests.

A wheel is written once. :mod:`writer` writes it under a temporary name, reads its directory again
as any wheel is read, and only then gives it its name: an error leaves no incomplete wheel.
"""
