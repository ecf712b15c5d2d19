"""The closed form for KL and the Gaussian against a search that knows neither of its steps."""

import numpy as np
import pytest
from scipy.optimize import minimize

from veridical.limits import gaussian_distortion_kl


@pytest.mark.parametrize(("bits", "P"), [(1.0, 0.01), (1.0, 0.1), (0.3, 0.05), (2.0, 0.0005)])
def test_least_distortion_among_jointly_gaussian_pairs(bits, P):
    # Oracle: sequential quadratic programming over the deviation s of X^ and the correlation r,
    # minimise 1 + s^2 - 2 r s subject to -1/2 log2(1 - r^2) <= R and (s^2 - 1)/2 - log s <= P, from
    # several starts; 1e-6. At R = 1, P = 0.01 it is 0.251274.
    constraints = [
        {"type": "ineq", "fun": lambda v: bits + 0.5 * np.log2(1 - v[1] ** 2)},
        {"type": "ineq", "fun": lambda v: P - (v[0] ** 2 - 1) / 2 + np.log(v[0])},
    ]
    best = min(
        minimize(
            lambda v: 1 + v[0] ** 2 - 2 * v[0] * v[1], start, method="SLSQP",
            bounds=[(1e-3, 3), (0, 1 - 1e-9)], constraints=constraints,
            options={"ftol": 1e-12, "maxiter": 500},
        ).fun
        for start in ([1.0, 0.1], [0.9, 0.5], [1.1, 0.3])
    )  # fmt: skip
    assert float(gaussian_distortion_kl(bits, P)) == pytest.approx(best, abs=1e-6)
