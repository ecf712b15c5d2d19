"""Fixed-point layers against whole-number arithmetic, and under every setting of the machine."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from veridical.errors import BadWeights
from veridical.photo.vdc import fixed as exact
from veridical.photo.vdc.fixed import LARGEST_ACTIVATION, IntegerBias, IntegerConv, check_bound
from veridical.training.vdc.fixed import FixedBias, FixedConv, rescale


def frozen_form(layer):
    return IntegerConv(*(t.detach().numpy().astype(np.int64) for t in layer.integers()), layer.most)


def by_hand(a, weight, bias):
    """The convolution in 64-bit whole numbers, shape (out, height, width)."""
    k = weight.shape[-1]
    padded = np.pad(a, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))
    return np.einsum("ihwkl,oikl->ohw", windows, weight) + bias[:, None, None]


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.sampled_from([0.01, 0.3, 5.0, 1000.0])
)
def test_trained_and_frozen_layers_are_the_whole_number_convolution(seed, kernel, size):
    # Oracle: 64-bit whole numbers. Sizes beyond the format's ranges must be cut, not overflow.
    torch.manual_seed(seed)
    layer = FixedConv(7, 5, kernel)
    with torch.no_grad():
        layer.weight.mul_(size)
        layer.bias.uniform_(-size, size)
    frozen = frozen_form(layer)
    a = torch.randint(0, LARGEST_ACTIVATION + 1, (1, 7, 6, 9)).float()
    with torch.no_grad():
        trained = layer(a)[0].numpy()
    found = frozen(a[0].numpy())
    truth = by_hand(a[0].numpy().astype(np.int64), *frozen.numbers)
    assert np.array_equal(found, truth)
    assert np.array_equal(found, trained)
    assert np.array_equal(frozen(a[0].numpy(), slice(1, 4)), truth[1:4])
    check_bound(frozen, IntegerConv(*frozen.numbers, layer.most), name="two of them")


def test_the_bound_is_reached_and_exact_there():
    # Oracle: by hand, an input that makes every term as large as it can be, with one sign.
    layer = FixedConv(200, 3, 3)
    with torch.no_grad():
        layer.weight.fill_(100.0)
        layer.bias.fill_(100.0)
    frozen = frozen_form(layer)
    centre = frozen(np.full((200, 5, 5), LARGEST_ACTIVATION, np.float32))[:, 2, 2]
    assert np.array_equal(centre, frozen.bound())
    assert 0.7 * 2**23 < float(centre[0]) < 2**23


def test_what_could_round_is_refused():
    weight, bias = np.full((1, 100, 3, 3), 1000), np.zeros(1, dtype=np.int64)
    with pytest.raises(BadWeights, match="2\\^24"):
        check_bound(IntegerConv(weight, bias, 255), name="x")
    check_bound(IntegerConv(weight, bias, 17), name="x")
    with pytest.raises(BadWeights, match="2\\^24"):
        check_bound(IntegerConv(weight, bias, 17), IntegerBias(np.full((4, 1), 2**23)), name="x")
    with pytest.raises(BadWeights, match="not whole"):
        check_bound(IntegerConv(weight + 0.5, bias, 1), name="x")


@given(st.integers(-(2**23), 2**23), st.integers(1, 15))
def test_rescaling_rounds_half_up_and_clamps(accumulator, shift):
    # Oracle: Python's whole numbers.
    truth = min(max((accumulator + (1 << (shift - 1))) >> shift, -2000), 2000)
    assert rescale(torch.tensor(float(accumulator)), shift, -2000, 2000).item() == truth
    assert exact.rescale(np.array([accumulator], np.float32), shift, -2000, 2000).item() == truth


def test_gradients_are_those_of_the_real_layer():
    # Oracle: the convolution of real numbers that the fixed-point layer stands for.
    torch.manual_seed(3)
    layer = FixedConv(4, 3, 3)
    a = torch.randint(0, 200, (2, 4, 6, 6)).float().requires_grad_()
    rescale(layer(a), 9, -2000, 2000).sum().backward()
    x = a.detach().clone().requires_grad_()
    w = layer.weight.detach().clone().requires_grad_()
    torch.nn.functional.conv2d(x, w, padding=1).sum().backward()
    assert torch.allclose(layer.weight.grad, w.grad, rtol=1e-5)
    assert torch.allclose(a.grad, x.grad, atol=0.02)  # weights are rounded to 1/512


@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_the_same_numbers_whatever_the_memory_order(order):
    # Oracle: 64-bit whole numbers; a single rounding anywhere would show.
    torch.manual_seed(1)
    layer = FixedConv(96, 40, 3)
    with torch.no_grad():
        layer.weight.mul_(8)
    frozen = frozen_form(layer)
    a = np.random.default_rng(0).integers(0, 256, (96, 20, 48)).astype(np.float32)
    a = a[:, :, ::2] if order == "strided" else np.asarray(a, order=order)
    assert np.array_equal(frozen(a), by_hand(a.astype(np.int64), *frozen.numbers))


def test_biases_freeze_to_what_they_were():
    bias = FixedBias(4, 6)
    with torch.no_grad():
        bias.values.uniform_(-300, 300)
    table = bias().detach()
    assert torch.equal(table, table.round())
    assert float(IntegerBias(table.numpy().astype(np.int64)).bound().max()) <= 2**19
