"""Real musl loaders, the machines that run them, and small libraries for them."""
