"""Block codes: many source symbols coded together, with common randomness."""

"""Codecs of blocks: one index and one seed for many symbols together."""
