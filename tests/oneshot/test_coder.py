"""The estimator in the manner of scikit-learn."""

import warnings

import numpy as np
import pytest

import veridical
from veridical.errors import InvalidSetting

sklearn = pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).normal(size=(2_000, 3)) * [2.0, 1.0, 0.1]


def test_it_is_an_estimator_of_scikit_learn():
    # Oracle: scikit-learn's own checks, all of them.
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = check_estimator(veridical.SampleCoder(random_state=0), on_skip=None)
    assert len(done) > 30
    assert {d["status"] for d in done} <= {"passed", "skipped"}


def test_it_is_the_codec_that_design_gives(samples):
    # Oracle: veridical.design with the same generator; equal indices and reconstructions.
    coder = veridical.SampleCoder(rate_bits=2, seeds=2, seed=5, random_state=7).fit(samples)
    codec = veridical.design(samples, rate_bits=2, seeds=2, rng=np.random.default_rng(7))
    index = coder.encode(samples)
    assert np.array_equal(index, codec.encode(samples, seed=5))
    for a in (0.0, 0.5, 1.0):
        expected = codec.decode(index, np.random.default_rng(7), realism=a, seed=5)
        assert np.array_equal(coder.decode(index, realism=a), expected)


def test_the_score_is_the_price(samples):
    # Oracle: on the design samples realism 0 has exactly the error d of the price list (1e-9), and realism 1 has
    # d + C within 4 standard errors.
    coder = veridical.SampleCoder(rate_bits=3, random_state=0).fit(samples)
    price = coder.codec_.calibration
    assert coder.score(samples) == pytest.approx(-price.mmse, rel=1e-9)
    coder.set_params(realism=1.0)
    error = np.sum((samples - coder.decode(coder.encode(samples))) ** 2, axis=1)
    bar = 4 * error.std() / np.sqrt(len(samples))
    assert abs(-coder.score(samples) - price.distortion_at(1)) < bar


def test_in_a_pipeline(samples):
    # Oracle: the pipeline's own inverse gives what scaling and codec give by hand; a grid search finds that
    # more bits are less error.
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipe = make_pipeline(StandardScaler(), veridical.SampleCoder(random_state=0)).fit(samples)
    scaler, coder = pipe[0], pipe[-1]
    z = pipe.transform(samples)
    assert z.shape == (len(samples), 1)
    expected = scaler.inverse_transform(coder.decode(z[:, 0]))
    assert np.array_equal(pipe.inverse_transform(z), expected)
    grid = GridSearchCV(veridical.SampleCoder(random_state=0), {"rate_bits": [1.0, 3.0]}, cv=3)
    assert grid.fit(samples).best_params_ == {"rate_bits": 3.0}


def test_what_is_no_index_is_refused(samples):
    coder = veridical.SampleCoder(random_state=0).fit(samples)
    for index in ([[0.5]], [0, 2], [-1], np.zeros((2, 2), int)):
        with pytest.raises(InvalidSetting):
            coder.decode(index)
