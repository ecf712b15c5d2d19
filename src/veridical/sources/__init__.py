"""Sources: circle, Bernoulli, Gaussian, samples."""
