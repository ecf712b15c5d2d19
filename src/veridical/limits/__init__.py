"""What no code can beat: closed forms and a certified solver.

Closed forms (arrays broadcast): ``bernoulli_*``, ``circle_*``, ``gaussian_*``. Convex programmes with a
bracket: :func:`vector_gaussian_distortion`, :func:`vector_gaussian_distortion_kl`. Finite sources: :func:`least_rate` brackets ``R(D, P)``,
:func:`distortion_at_rate` its inverse, :func:`surface` the whole plane, :func:`least_distortion` ``D(R, Rc, P)`` with limited common randomness.
"""

from __future__ import annotations

from veridical.limits.bernoulli import (
    bernoulli_distortion,
    bernoulli_perception,
    bernoulli_rate_bits,
    bernoulli_thresholds,
    binary_entropy_bits,
)
from veridical.limits.bound import Bound, DistortionInterval
from veridical.limits.circle import (
    circle_block_distortion,
    circle_block_radius,
    circle_distortion,
    circle_mmse,
    circle_radius,
    circle_w2_squared,
)
from veridical.limits.common import CommonRandomnessBound, least_distortion
from veridical.limits.conditional import conditional_distortion
from veridical.limits.divergence import (
    ChiSquared,
    Divergence,
    Hellinger,
    JensenShannon,
    KullbackLeibler,
    Renyi,
    SquaredWasserstein,
    TotalVariation,
)
from veridical.limits.finite import FiniteSource
from veridical.limits.gaussian import (
    gaussian_distortion,
    gaussian_distortion_kl,
    gaussian_ecsq,
    gaussian_rate_bits,
    gaussian_transport_cost,
)
from veridical.limits.inverse import DistortionBound, distortion_at_rate
from veridical.limits.rate import least_rate
from veridical.limits.shannon import shannon_distortion_lower
from veridical.limits.surface import Surface, surface
from veridical.limits.vector_gaussian import (
    VectorGaussianBound,
    oblivious_distortion,
    reverse_water_filling,
    vector_gaussian_distortion,
)
from veridical.limits.vector_gaussian_kl import (
    VectorGaussianKLBound,
    vector_gaussian_distortion_kl,
)

__all__ = [
    "Bound",
    "ChiSquared",
    "CommonRandomnessBound",
    "DistortionBound",
    "DistortionInterval",
    "Divergence",
    "FiniteSource",
    "Hellinger",
    "JensenShannon",
    "KullbackLeibler",
    "Renyi",
    "SquaredWasserstein",
    "Surface",
    "TotalVariation",
    "VectorGaussianBound",
    "VectorGaussianKLBound",
    "bernoulli_distortion",
    "bernoulli_perception",
    "bernoulli_rate_bits",
    "bernoulli_thresholds",
    "binary_entropy_bits",
    "circle_block_distortion",
    "circle_block_radius",
    "circle_distortion",
    "circle_mmse",
    "circle_radius",
    "circle_w2_squared",
    "conditional_distortion",
    "distortion_at_rate",
    "gaussian_distortion",
    "gaussian_distortion_kl",
    "gaussian_ecsq",
    "gaussian_rate_bits",
    "gaussian_transport_cost",
    "least_distortion",
    "least_rate",
    "oblivious_distortion",
    "reverse_water_filling",
    "shannon_distortion_lower",
    "surface",
    "vector_gaussian_distortion",
    "vector_gaussian_distortion_kl",
]
