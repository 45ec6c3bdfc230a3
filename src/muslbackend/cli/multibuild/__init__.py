"""``muslbackend build``: build wheels for several Pythons and machines."""
