"""Estimators: from a decoded index to the least-squares reconstruction."""

from veridical.estimate.centroids import CentroidEstimator, cell_error, seeded_means

__all__ = ["CentroidEstimator", "cell_error", "seeded_means"]
