"""Codes of blocks composed from encoder, estimator, generator and price: random, group and lattice codes."""
