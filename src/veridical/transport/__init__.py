"""Couplings, maps and Wasserstein distances between laws and sample sets."""
