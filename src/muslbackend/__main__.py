"""The command line as a process: ``muslbackend``, ``python -m muslbackend``."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line; return its exit code.

    Nothing is imported before the collector is off: of a short command it takes a tenth of the
    time, and finds nothing to collect. Long ones turn it on again.
    """
    gc.disable()
    from muslbackend import cli, errors

    errors.show_everything(sys.stdout)
    try:
        return cli.main()
    finally:
        gc.freeze()  # what is left goes with the process


if __name__ == "__main__":
    sys.exit(main())
