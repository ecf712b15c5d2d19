"""Block codes: many source symbols coded together, with common randomness."""
