"""The network of prices: its statistics, its fit, its export."""

import numpy as np
import onnxruntime
import pytest
import torch

from veridical.errors import TrainingData
from veridical.photo.condition import BASIC_FEATURES
from veridical.photo.price import LEAST
from veridical.training.export import example, to_onnx
from veridical.training.price_network import (
    N_STATISTICS,
    PictureStatistics,
    PriceNetwork,
    fit_price_network,
)

NAMES = len(BASIC_FEATURES)


def told(luma, error=0.02):
    """Inputs of a grey picture in levels, (height, width), whose estimate is the picture itself."""
    y = torch.from_numpy(luma.astype(np.float32) / 255).repeat(1, 3, 1, 1)
    size = torch.full_like(y, 0.5)
    return y, y.clone(), size, torch.zeros(1, NAMES), torch.full((1, 1, 1, 1), error)


def steps_of(statistics, direction):
    """The third differences of a direction by phase of eight, less their mean."""
    start = direction * 28 + 6 + 1
    return statistics[0, start : start + 8]


@pytest.mark.parametrize("phase", range(8))
def test_a_grid_of_eight_shows_at_its_phase(phase):
    # Oracle: the picture: flat columns that step once in eight. The largest third difference lies at the step.
    x = np.arange(96)
    luma = np.tile(20.0 * ((x + 7 - phase) // 8 % 2) + 100, (64, 1))
    s = PictureStatistics()(*told(luma))
    assert int(steps_of(s, 0).argmax()) == phase
    assert steps_of(s, 1).abs().max() < 1e-4
    turned = PictureStatistics()(*told(luma.T.copy()))
    assert int(steps_of(turned, 1).argmax()) == phase


def test_statistics_do_not_see_the_size():
    # Oracle: a periodic picture and one of twice its size, at more than an edge effect (0.05 of shares and logarithms; found 0.04).
    luma = 128 + 60 * np.sin(np.arange(128) * np.pi / 8)[:, None] * np.ones(128)
    one, two = (PictureStatistics()(*told(np.tile(luma, (k, k)))) for k in (1, 2))
    assert one.shape == (1, N_STATISTICS)
    assert (one - two).abs().max() < 0.05


def test_the_expected_error_is_the_last():
    # Oracle: (0.5 * 0.02)^2 everywhere, relative 1e-5.
    s = PictureStatistics()(*told(np.full((32, 48), 90.0)))
    assert float(s[0, -1].exp()) == pytest.approx(1e-4 + LEAST, rel=1e-5)


def test_the_smallest_pictures_have_finite_statistics():
    # Oracle: contract, at the smallest size that networks take, flat black and white.
    for level in (0.0, 255.0):
        assert torch.isfinite(PictureStatistics()(*told(np.full((16, 16), level)))).all()


@pytest.fixture(scope="module")
def fit():
    """Data of a known law: 3 dB more where twenty statistics, all alike, are above 0, noise of 1 dB there and of .4 dB elsewhere."""
    rng = np.random.default_rng(0)
    s = np.zeros((3000, N_STATISTICS))
    s[:, :20] = rng.normal(size=(3000, 1))
    s[:, -1] = rng.normal(-7, 1, 3000)
    odd = s[:, 0] > 0
    off = 3 * odd + np.where(odd, 1.0, 0.4) * rng.normal(size=3000)
    d = np.exp(s[:, -1]) * 10 ** (off / 10)
    return s, fit_price_network(s, d, 0.5 * d, np.ones(3000), steps=600)


def test_the_fit_finds_its_law(fit):
    # Oracle: the law, at points two standard deviations from the step: within .25 dB; the stated deviation within 20 %.
    _, network = fit
    for value, off, sigma in ((-1.5, 0.0, 0.4), (1.5, 3.0, 1.0)):
        s = torch.zeros(1, N_STATISTICS)
        s[0, :20], s[0, -1] = value, -7.0
        with torch.no_grad():
            d, c, variance = (10 / np.log(10) * v for v in network.from_statistics(s)[0].double())
        assert float(d) == pytest.approx(-70 / np.log(10) + off, abs=0.25)
        assert float(c - d) == pytest.approx(10 * np.log10(0.5), abs=0.25)
        found = 10 / np.log(10) * np.sqrt(np.exp(float(variance) * np.log(10) / 10))
        assert found == pytest.approx(sigma, rel=0.2)


def test_the_same_data_give_the_same_network(fit):
    # Oracle: the first fit, bit for bit.
    s, _ = fit
    d = np.exp(s[:, -1])
    a, b = (fit_price_network(s, d, d, np.ones(len(s)), steps=3).state_dict() for _ in range(2))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_torch_and_onnx_agree(fit):
    # Oracle: torch; weights in half precision and float32 leave 1e-3 of a logarithm (found 3e-5).
    _, network = fit
    inputs = example(network, features=(2, NAMES))
    graph = to_onnx(network, inputs, {})
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for shape in ((2, 160, 192), (1, 16, 48)):
        n, height, width = shape
        given = {k: v[:n, :, :height, :width] if v.dim() == 4 else v[:n] for k, v in inputs.items()}
        (found,) = session.run(None, {k: v.numpy() for k, v in given.items()})
        with torch.no_grad():
            assert found == pytest.approx(network(**given).numpy(), abs=1e-3)


def test_no_measurements():
    empty = np.ones(0)
    with pytest.raises(TrainingData):
        fit_price_network(np.ones((0, N_STATISTICS)), empty, empty, empty)


def test_it_begins_with_what_the_estimator_expects():
    # Oracle: a new network adds nothing to the logarithm of the expected error, exact.
    s = torch.randn(5, N_STATISTICS)
    found = PriceNetwork().eval().from_statistics(s)
    assert torch.equal(found[:, 0], s[:, -1])
