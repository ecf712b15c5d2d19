"""Codecs of blocks: one index and one seed for many symbols together."""
