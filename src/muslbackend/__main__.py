"""``python -m muslbackend``: the command line."""

from muslbackend.cli import main

raise SystemExit(main())
