"""Frozen tables against the smooth laws they stand for."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from veridical.photo.vdc.frozen import table_of
from veridical.photo.vdc.prior import PriorConfig, scale_of_row
from veridical.training.vdc.laws import HyperLaw, LatentLaw


@pytest.fixture(scope="module")
def law():
    return LatentLaw()


@pytest.fixture(scope="module")
def tables(law):
    return law.tables()


def test_the_smooth_law_is_the_mixture_of_its_docstring(law):
    # Oracle: scipy's normal distribution function, 1e-4 bits (single against double precision).
    x = np.linspace(-3, 3, 41)
    for row in (5, 20, 40):
        s = scale_of_row(row)
        mass = sum(
            share * (ndtr((x + 0.5) / t) - ndtr((x - 0.5) / t))
            for share, t in ((1 / (1 + np.exp(3.0)), 2 * s), (1 / (1 + np.exp(-3.0)), s))
        )
        truth = np.minimum(-np.log2(mass), 20)
        found = law.bits(torch.from_numpy(x).float(), torch.tensor(float(row))).detach().numpy()
        assert np.max(np.abs(found - truth)[truth < 18]) < 1e-3


@pytest.mark.parametrize("offset", [0, 1, 5, 8])
def test_coding_with_a_table_costs_the_smooth_entropy(law, tables, offset):
    # Oracle: entropy of the smooth law at that offset; the divergence from it to the table is
    # within 0.5 % and 0.004 bits (rows of 8 steps and more share one table for all offsets).
    for row in [*range(1, 40, 3), 39, 40, 50, 63]:
        scale = scale_of_row(row)
        values = np.arange(-int(12 * scale) - 3, int(12 * scale) + 4)
        x = torch.from_numpy(values - offset / 16).float()
        smooth = law.bits(x, torch.tensor(float(row))).detach().double().numpy()
        p = np.exp2(-smooth)
        p /= p.sum()
        entropy = float(np.sum(p * -np.log2(p)))
        t = table_of(np.array([offset]), np.array([row]))[0]
        cost = sum(
            q * tables.bits(np.array([v]), np.array([t]))
            for v, q in zip(values, p, strict=True)
            if q > 1e-7
        )
        assert -1e-3 < cost - entropy < 0.005 * entropy + 0.004, (row, cost, entropy)


def test_tables_of_hyperlatents_cost_the_smooth_entropy():
    # Oracle: as above, for a law with three different parts.
    torch.manual_seed(0)
    law = HyperLaw(PriorConfig(32, 4, 8, 8, 3))
    with torch.no_grad():
        law.mean.normal_(0, 3)
        law.log_scale.uniform_(-2, 1)
    tables = law.tables()
    values = np.arange(-60, 61)
    for anchor in range(3):
        z = torch.from_numpy(values).float()[:, None, None, None].expand(-1, 4, 1, 1)
        bits = law.bits(z, torch.full((121,), anchor)).detach().double().numpy()[:, :, 0, 0]
        for channel in range(4):
            p = np.exp2(-bits[:, channel])
            p /= p.sum()
            entropy = float(np.sum(p * -np.log2(p)))
            t = anchor * 4 + channel
            cost = sum(
                q * tables.bits(np.array([v]), np.array([t]))
                for v, q in zip(values, p, strict=True)
                if q > 1e-7
            )
            assert abs(cost - entropy) < 0.005 * entropy + 0.004
