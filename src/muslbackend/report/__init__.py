"""Show results: text, terminal, JSON, GitHub annotations."""
