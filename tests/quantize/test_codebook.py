"""Codebooks against known quantizers and against their own optimality conditions."""

import math

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.quantize import CodebookEncoder, entropy_constrained, lloyd


@pytest.mark.statistical
def test_lloyd_max_of_the_normal_law():
    # Oracle: Max (1960): d = 1 - 2/pi at one bit, 0.11748 at two; 5,000 samples, so that 4
    # standard errors of a squared error are 0.032 and 0.012 (codewords too far off cost more).
    x = np.random.default_rng(0).normal(size=5_000)
    for M, d, tolerance in ((2, 1 - 2 / math.pi, 0.032), (4, 0.11748, 0.012)):
        book = lloyd(x, M, rng=np.random.default_rng(1))
        assert book.mmse == pytest.approx(d, abs=tolerance)
        # Lloyd's first condition: codewords are the means of their nearest-neighbour cells.
        cell = np.argmin(np.square(x[:, None] - book.points[:, 0]), axis=1)
        means = [x[cell == z].mean() for z in range(M)]
        np.testing.assert_allclose(book.points[:, 0], means, atol=1e-9)


def test_weights_are_repetitions():
    # Oracle: the same set with points repeated; one codeword and one per point are exact (1e-12).
    x, w = np.array([[0.0, 0], [1, 0], [0, 2]]), np.array([1.0, 2, 3])
    repeated = np.repeat(x, w.astype(int), axis=0)
    for M in (1, 3):
        one = lloyd(x, M, rng=np.random.default_rng(0), weights=w)
        two = lloyd(repeated, M, rng=np.random.default_rng(0))
        assert one.mmse == pytest.approx(two.mmse, abs=1e-12)
    assert one.mmse == pytest.approx(0.0, abs=1e-12)


@pytest.mark.statistical
def test_entropy_constrained_beats_lloyd_at_equal_entropy():
    # Oracle: high-rate theory: at about 2 bits the entropy-constrained quantizer of the normal law
    # is better than Lloyd's 4 levels (H = 1.911 bits, d = 0.1175) by several percent; here less
    # entropy at less error. More lambda, less entropy.
    x = np.random.default_rng(2).normal(size=5_000)
    start = lloyd(x, 12, rng=np.random.default_rng(3))
    books = [entropy_constrained(x, start, lam) for lam in (0.02, 0.16, 0.4)]
    entropies = [b.entropy_bits for b in books]
    assert entropies == sorted(entropies, reverse=True)
    assert books[1].entropy_bits < 1.911
    assert books[1].mmse < 0.1175


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidSetting, match="codewords"):
        lloyd(np.zeros((3, 2)), 4, rng=rng)
    with pytest.raises(InvalidSetting):
        lloyd(np.full((3, 2), np.inf), 2, rng=rng)
    with pytest.raises(InvalidSetting):
        entropy_constrained(np.zeros((3, 2)), lloyd(np.zeros((3, 2)), 1, rng=rng), -1.0)
    encoder = CodebookEncoder(np.zeros((1, 2, 2)), np.zeros((1, 2)))
    with pytest.raises(InvalidSetting, match="coordinates"):
        encoder.encode(np.zeros((4, 3)), 0)
