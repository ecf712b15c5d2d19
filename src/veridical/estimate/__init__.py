"""Estimators: from a decoded index to the least-squares reconstruction."""

from veridical.estimate.centroids import CentroidEstimator, seeded_means

__all__ = ["CentroidEstimator", "seeded_means"]
