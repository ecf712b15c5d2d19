"""Estimators: from a decoded index to the least-squares reconstruction."""
