"""Generators: from the least-squares estimate to a sample that looks like the source."""
