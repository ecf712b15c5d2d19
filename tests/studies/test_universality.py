"""Universality: what the study says of the line, found again by other means."""

import itertools

import numpy as np
import pytest

from veridical.errors import NotConverged
from veridical.studies.records import load_record
from veridical.studies.universality import (
    LINE,
    circle_prices,
    line_prices,
    loss_bound,
    one_seed_designs,
    partitions,
    seeded_partitions,
)
from veridical.transport import exact_plan


def priced(x, cells):
    """``d`` and ``W2^2`` of deterministic cells (one row a seed), by the library's plans."""
    atoms, masses, d = [], [], 0.0
    for row in cells:
        for z in set(row):
            members = x[row == z]
            atoms.append(members.mean())
            masses.append(members.size / x.size / len(cells))
            d += np.sum((members - members.mean()) ** 2) / x.size / len(cells)
    cost = exact_plan(
        np.column_stack([x, 0 * x]), np.column_stack([atoms, 0 * np.array(atoms)]), y_weights=masses
    ).cost
    return d, cost


def test_the_loss_on_the_line_is_found_again():
    # Oracles: means and errors written out; W2 by the network simplex in the plane instead of
    # sorting, for all 1,024 ordered pairs of the 32 partitions, counted without the study's code;
    # 1e-9. Six even points at +-1, +-2, +-5: least d = 26/9, least D(0) = 29/6, and the best single
    # encoder loses (413/72) / (29/6) - 1 = 18.68 % at P = 0.
    table = np.array([
        priced(LINE, np.array([(0, *first), (0, *second)]))
        for first, second in itertools.combinations_with_replacement(
            itertools.product((0, 1), repeat=5), 2
        )
    ])  # fmt: skip
    own = line_prices(LINE, seeded_partitions(6))
    assert np.allclose(np.sort(own.mmse), np.sort(table[:, 0]), atol=1e-9)
    assert np.allclose(np.sort(own.mmse + own.w2_squared), np.sort(table.sum(axis=1)), atol=1e-9)
    assert table[:, 0].min() == pytest.approx(26 / 9, abs=1e-9)
    assert table.sum(axis=1).min() == pytest.approx(29 / 6, abs=1e-9)
    root = np.append(np.linspace(0, 1.8, 50), 1e3)
    D = table[:, :1] + np.maximum(np.sqrt(table[:, 1:]) - root, 0) ** 2
    loss = np.max(D / D.min(axis=0), axis=1).min() - 1
    assert loss == pytest.approx(413 / 72 / (29 / 6) - 1, abs=1e-9)
    assert own.losses(root**2).min() == pytest.approx(loss, abs=1e-9)


def test_no_stochastic_encoder_escapes_the_certified_loss():
    # Oracle: 40,000 random stochastic encoders, half of them near deterministic ones: each loses at
    # least the certified 12 % against the deterministic ones at P = 0 or P = inf. A floor above the
    # least value of a deterministic encoder is refused.
    x, own = LINE, line_prices(LINE, seeded_partitions(6))
    zero = own.mmse + own.w2_squared
    normal = 0.5 * (own.mmse.min() + zero.min())
    bound = loss_bound(x, own, 0.5, 1.12 * normal)
    assert bound == pytest.approx(0.12, abs=1e-12)
    rng = np.random.default_rng(3)
    corners = partitions(6)[rng.integers(32, size=(40_000, 2))]
    blur = np.repeat([1.0, 0.1], 20_000)[:, None, None]
    q = (1 - blur) * corners + blur * rng.random((40_000, 2, 6))
    found = line_prices(x, q)
    loss = np.maximum(found.mmse / own.mmse.min(), (found.mmse + found.w2_squared) / zero.min())
    assert np.min(loss) - 1 >= bound
    with pytest.raises(NotConverged, match="below the floor"):
        loss_bound(x, own, 0.5, 1.13 * normal)


def test_prices_of_stochastic_encoders():
    # Oracles: a stochastic encoder of n points is a deterministic one of 4n points, each point four
    # times, when its probabilities are quarters; 1e-12.
    rng = np.random.default_rng(4)
    x, quarters = np.sort(rng.normal(size=5)), rng.integers(5, size=(20, 2, 5))
    fine = (np.arange(4) < quarters[..., None]).astype(float).reshape(20, 2, 20)
    one, other = line_prices(x, quarters / 4), line_prices(np.repeat(x, 4), fine)
    assert np.allclose(one.w2_squared, other.w2_squared, atol=1e-12)
    # d of the whole is that of the split points: the same cells, the same means.
    assert np.allclose(one.mmse, other.mmse, atol=1e-12)


def test_on_the_octagon_one_encoder_serves_every_perception():
    # Oracle: every encoder up to rotation, exact plans; the half circles a quarter turn apart have
    # the least D at each of 30 perceptions; 1e-12.
    everything, turned = circle_prices(8)
    P = np.linspace(0, 0.8, 30) ** 2
    assert np.all(turned.distortion(P)[0] <= everything.distortion(P).min(axis=0) + 1e-12)


def test_without_a_seed_designs_per_perception_gain_nothing():
    # Oracle: [T] Props 1, 2: the MMSE design is the best at every P; the search may reach it and
    # never falls below; 1e-9 relative.
    table = one_seed_designs(np.array([0.0, 0.3]), samples=120)
    assert np.all(table[:, 0] <= table[:, 1] * (1 + 1e-9))


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["t1", "t2", "t3", "t4", "t5", "t7"])
def test_pictures_of_the_circle_hold_measurements_on_the_formulas(name, studied):
    # Oracle: [T] eqs 24 to 26, 50,000 samples at fixed seeds, 4 standard errors; every shown sample
    # of X^ lies on its predicted arc, 1e-12. Would miss an error of D of 1 to 2 %.
    record = load_record(studied(name)[0])
    assert record.facts["largest_deviation_in_standard_errors"] < 4
    for k, cloud in enumerate(record.facts["clouds"]):
        points = record.arrays[f"{k}:x_hat"] - (1 - cloud["a"]) * record.arrays[f"{k}:x_mmse"]
        assert np.allclose(np.hypot(*points.T), cloud["a"], atol=1e-12)
    if name == "t2":
        counts = record.arrays["counts"]
        # Pearson's statistic of 24 even bins has mean 23 and deviation 6.8.
        assert np.sum((counts - counts.mean()) ** 2) / counts.mean() < 23 + 4 * 6.8
