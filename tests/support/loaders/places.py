"""The (architecture, release) pairs, other than x86_64, whose real loaders there are."""

import os
from typing import Final

from support.loaders.machines import MACHINES

#: Those that MUSL_TEST_LOADERS names; there is 1.2.2 for some of them, and 1.2.6 for all.
RELEASES: Final = os.environ.get("MUSL_TEST_LOADERS", "1.2.3 1.2.5").split()
#: Debian's mirrors have no older one for these.
OLDEST: Final = {"ppc64le": "1.2.3", "s390x": "1.2.3", "riscv64": "1.2.5"}
PLACES: Final = [
    (arch, release)
    for arch in MACHINES
    for release in RELEASES
    if arch != "x86_64" and release >= OLDEST.get(arch, "")
]
