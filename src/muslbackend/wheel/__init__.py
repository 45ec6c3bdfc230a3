"""One wheel: its name, its files, reading and writing the archive.

Input: the path of a wheel, or the members of a new one. Output: members and metadata, or a written
archive.

Reading: :mod:`archive` opens a wheel and refuses ambiguous ones, :mod:`reader` reads its members,
in parallel, and :mod:`package` extracts facts from metadata and Python files. Writing:
:mod:`packer` hashes and compresses members on all cores, and :mod:`writer` writes the archive with
RECORD. :mod:`zip` knows the format.
"""
