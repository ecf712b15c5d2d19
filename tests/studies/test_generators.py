"""The comparison of generators, in a small size: prices, and a killed run that goes on."""

import numpy as np
import pytest
import torch

from veridical.studies.generators import Sizes, compare


@pytest.mark.statistical
def test_posterior_sampling_costs_d_and_a_run_is_resumed(tmp_path):
    # Oracles: [T] Prop. 1: at K = 1 posterior sampling costs d, and so does the exact plan; 4
    # standard errors of 600 samples plus the 2 % by which new samples differ from 800 design
    # samples. A second run reads what the first one left and gives the same numbers.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    sizes = Sizes(
        sources=("moons",), design=800, measure=600, transport=200, rounds=0, steps=20,
        realism=(0.0, 1.0), shown=50,
    )  # fmt: skip
    record = compare(tmp_path, sizes)
    torch.set_num_threads(before)
    d, error = record.facts["table"]["moons; 2 bits, K = 1"]["mmse"]
    costs = record.arrays["moons; 2 bits, K = 1; cost"]
    for value, own in costs[:2]:
        assert abs(value - d) < 4 * np.hypot(own, error) + 0.02 * d
    reports = []
    again = compare(tmp_path, sizes, progress=lambda a, b: reports.append((a, b)))
    assert again.facts == record.facts
    for name, value in record.arrays.items():
        assert np.array_equal(value, again.arrays[name])
