"""The entropy model: order of the passes, trained against frozen, and its whole-number parts."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from veridical.errors import BadWeights, InvalidSetting
from veridical.photo.vdc import prior as exact
from veridical.photo.vdc.coding import EntropyModel
from veridical.photo.vdc.prior import PASSES, Prior, PriorConfig, pass_places, scale_of_row
from veridical.training.vdc.export import codec_tensors
from veridical.training.vdc.prior import compand, pass_mask


@pytest.fixture(scope="module")
def tensors(networks):
    return codec_tensors(networks)


@pytest.fixture(scope="module")
def frozen(networks, tensors):
    return Prior(networks.prior.config, tensors, "prior.")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (6, 7), (8, 8)])
def test_passes_code_every_number_once_and_alike_in_training_and_coding(height, width):
    # Oracle: a partition; the mask of training and the places of coding are one set.
    seen = torch.zeros(32, height, width)
    for k in range(PASSES):
        mask = pass_mask(k, 32, height, width)
        seen += mask
        assert np.array_equal(
            np.sort(pass_places(k, 32, height, width), axis=None), np.flatnonzero(mask)
        )
    assert torch.equal(seen, torch.ones_like(seen))


def test_from_the_second_pass_on_every_number_has_known_neighbours():
    # Oracle: by hand: at each position, pass k of k has k groups of channels known.
    known = torch.zeros(32, 6, 6, dtype=torch.bool)
    for k in range(PASSES):
        assert torch.all(known.sum(0) == 8 * k)
        known |= pass_mask(k, 32, 6, 6)


def test_companding_is_odd_rising_exact_at_first_and_bounded():
    x = torch.arange(-33000.0, 33001.0)
    y = compand(x)
    assert torch.equal(y, -y.flip(0))
    assert torch.all(y.diff() >= 0)
    assert torch.equal(y[(x.abs() <= 64)], x[x.abs() <= 64])
    assert float(y.max()) == 255
    assert torch.equal(y, y.round())
    assert np.array_equal(exact.compand(x.numpy().astype(np.int64)), y.numpy())


def test_rows_stand_for_the_scales_of_the_format():
    assert scale_of_row(0) == pytest.approx(0.11)
    assert scale_of_row(63) == pytest.approx(96)


@settings(max_examples=15)
@given(
    st.integers(0, 2**32 - 1), st.integers(0, 10_000),
    st.sampled_from([(7, 11), (1, 1), (1, 6), (5, 1), (8, 8)]),
)  # fmt: skip
def test_the_frozen_prior_is_the_trained_one(networks, frozen, seed, quality, size):
    # Oracle: the trained layers themselves, at the places of each pass; equal to the last bit.
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    z = torch.randint(-127, 128, (1, 8, 2, 3), generator=generator).float()
    known = torch.randint(-255, 256, (1, 32, height, width), generator=generator).float()
    h = networks.prior.features(z, torch.tensor([quality]))[:, :, :height, :width]
    found = frozen.features(z[0].numpy().astype(np.int64), quality)[:, :height, :width]
    assert np.array_equal(h[0].numpy(), found)
    for k in range(PASSES):
        places = pass_places(k, 32, height, width)
        every = networks.prior.laws(k, h, known)
        for mine, theirs in zip(every, frozen.coded_laws(k, found, known[0].numpy()), strict=True):
            assert torch.equal(mine, mine.round())
            assert np.array_equal(mine.numpy().reshape(-1)[places], theirs)


def test_the_lively_prior_is_lively(networks):
    # What the other tests of this folder would miss with a constant prior.
    z = torch.randint(-9, 10, (1, 8, 2, 2), generator=torch.Generator().manual_seed(0)).float()
    h = networks.prior.features(z, torch.tensor([5000]))
    mean, row = networks.prior.laws(2, h, torch.zeros(1, 32, 8, 8))
    assert mean.unique().numel() > 30
    assert row.unique().numel() > 10


@given(st.integers(0, 10_000))
def test_biases_of_a_quality_are_interpolated_in_whole_numbers(networks, frozen, quality):
    # Oracle: Python's whole numbers.
    table = networks.prior.quality().numpy().astype(np.int64)
    place = quality * 512 // 10_000
    low = min(place // 256, 1)
    part = place - 256 * low
    truth = (table[low] * (256 - part) + table[low + 1] * part + 128) >> 8
    found = networks.prior._quality_bias(torch.tensor([quality]))[0].numpy()
    assert np.array_equal(found, truth)
    assert np.array_equal(frozen.quality_bias(quality), truth)


def test_weights_that_could_round_are_refused(networks, tensors, entropy):
    config, name = networks.prior.config, "prior.contexts.2.known.weight"
    large = tensors | {name: np.full_like(tensors[name], 3000)}
    with pytest.raises(BadWeights, match="pass 2, first layer"):
        Prior(config, large, "prior.")
    for bad in (tensors[name].astype(np.float32), np.full(tensors[name].shape, np.nan)):
        with pytest.raises(BadWeights, match="not whole"):
            Prior(config, tensors | {name: bad}, "prior.")
    with pytest.raises(BadWeights, match="shape"):
        Prior(config, tensors | {name: tensors[name][:, :-1]}, "prior.")
    for tables in ((entropy.latent_tables,) * 2, (entropy.hyper_tables,) * 2):
        with pytest.raises(InvalidSetting):
            EntropyModel(entropy.prior, *tables)


@pytest.mark.parametrize(
    "change", [{"latents": 48}, {"latents": 0}, {"hyper": 1}, {"anchors": 1}, {"context": 2}]
)
def test_sizes_that_do_not_fit_are_refused(change):
    with pytest.raises(InvalidSetting):
        dataclasses.replace(PriorConfig(), **change)
