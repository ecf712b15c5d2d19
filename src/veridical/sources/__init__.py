"""Sources: circle, Bernoulli, Gaussian, samples, digits, MNIST, photographs."""
