"""From indices to bytes and back: integer tables, entropy coder, container."""
