"""``muslbackend doctor``: inspect this machine and a project."""
