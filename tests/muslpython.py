"""Make a real musl CPython on a glibc machine.

python tests/muslpython.py DEST [--python 3.11] [--arch aarch64] [--cache DIR]
"""

from __future__ import annotations

from support.pythons.muslpython import main

if __name__ == "__main__":
    raise SystemExit(main())
