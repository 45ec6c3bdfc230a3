"""In all programs that tests start: note which messages of muslbackend are made (messages.py)."""

import os

if os.environ.get("MUSL_TEST_MESSAGES"):
    import sys

    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    import messages

    messages.install()
