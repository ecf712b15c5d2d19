"""Random codes: measured cosines, distortion and laws against the exact law and the limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.block.channels import CellChannel, SphereChannel, SymbolChannel
from veridical.block.codebook import SphereCodebook
from veridical.block.cosine import BestCosine
from veridical.block.mismatch import law_mismatch
from veridical.block.random_coding import block_price, random_code
from veridical.errors import DamagedFile, InvalidSetting, NotConverged
from veridical.limits import gaussian_distortion, gaussian_transport_cost


def normal(blocks, n, *key):
    return np.random.default_rng(key).standard_normal((blocks, n))


def standard_errors(values, expected):
    """How far the mean of independent values is from what was expected, in standard errors of it."""
    values = np.asarray(values)
    return abs(values.mean() - expected) * math.sqrt(len(values)) / values.std(ddof=1)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("n", "index_bits", "seed_bits"), [(2, 2, 1), (6, 5, 4), (10, 8, 5), (6, 5, math.inf)]
)
def test_measured_best_cosines_follow_the_exact_law(n, index_bits, seed_bits):
    # Oracle: the exact law; means over codebooks (independent) within 4 standard errors. Over 40
    # codebooks these are at most 0.02; would miss a bias of the cosine beneath about 0.02 to 0.08.
    chosen, best = [], []
    for k in range(40):
        book = SphereCodebook(n, index_bits, seed_bits, k)
        x = normal(200, n, k, n)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        index = book.encode(x, k)
        chosen.append(np.mean(np.sum(x * book.chosen(index, k), axis=1)))
        if seed_bits < math.inf:
            best.append(np.mean(np.sum(x * book.words_at(book.encode_whole(x)), axis=1)))
    assert standard_errors(chosen, BestCosine(n, index_bits).mean()) < 4
    if best:
        assert standard_errors(best, BestCosine(n, index_bits + seed_bits).mean()) < 4


@pytest.mark.parametrize("seed_bits", [0, 3, math.inf])
@pytest.mark.parametrize("n", [3, 1100])
def test_encoding_is_the_nearest_word(n, seed_bits):
    # Oracle: brute force over every index of the sub-codebook, through the decoder's own words; exact.
    # Blocks of 1100 take the path that codes block by block.
    book = SphereCodebook(n, 6, seed_bits, 5)
    x = normal(20, n, 3)
    index = book.encode(x, 11)
    words = [book.chosen(np.full(20, z), 11) for z in range(64)]
    scores = np.array([np.sum(x * w, axis=1) for w in words])
    np.testing.assert_array_equal(index, np.argmax(scores, axis=0))
    np.testing.assert_allclose(np.linalg.norm(words, axis=2), 1, atol=1e-12)


def test_words_are_made_in_place_and_in_chunks():
    # Oracle: a codebook too large to keep agrees with one word at a time (exact), and its best word
    # beats 500 others; the seed and the codebook's name both change the index.
    big, x = SphereCodebook(16, 4, 20, 1), normal(50, 16, 1)
    assert big._small is None
    places = np.array([7, 12_345_678, 2**24 - 1])
    np.testing.assert_array_equal(
        big.words_at(places), np.concatenate([big._words((1, 1), int(p), 1) for p in places])
    )
    wide = SphereCodebook(20, 18, 0, 1)
    y = normal(2, 20, 2)
    best = np.sum(y * wide.chosen(wide.encode(y, 0), 0), axis=1)
    others = y @ wide.words_at(np.arange(0, 2**18, 500)).T
    assert np.all(best[:, None] >= others)
    assert not np.array_equal(big.encode(x, 1), big.encode(x, 2))
    other = SphereCodebook(16, 4, 20, 2)
    assert not np.array_equal(big.encode(x, 1), other.encode(x, 1))


@pytest.mark.statistical
@pytest.mark.parametrize("channel", [SphereChannel, SymbolChannel])
@pytest.mark.parametrize("Rc", [0.0, 0.5, math.inf])
def test_price_and_measured_distortion(channel, Rc):
    # Oracle: d, C and D = d + a^2 C of the price list, over 40 codebooks, within 4 standard errors
    # (at most 2 %).
    if channel is SymbolChannel and Rc == math.inf:
        Rc = 1.0
    rows = []
    for k in range(40):
        code = random_code(6, 1.0, Rc, variance=2.0, codebook_seed=k, channel=channel)
        x = math.sqrt(2.0) * normal(150, 6, k, 8)
        rng = np.random.default_rng(k)
        index = code.encode(x, seed=k)
        mmse = code.decode(index, rng, realism=0.0, seed=k)
        real = code.decode(index, rng, seed=k)
        middle = code.decode(index, rng, realism=0.4, seed=k)
        pairs = ((x, mmse), (mmse, real), (x, real), (x, middle))
        rows.append([np.mean((a - b) ** 2) for a, b in pairs] + [np.mean(real**2)])
    price = code.calibration
    expected = (price.mmse, price.transport_cost, price.distortion_at(1.0),
                price.distortion_at(0.4), 2.0)  # fmt: skip
    for column, value in zip(np.transpose(rows), expected, strict=True):
        assert standard_errors(column, value) < 4


def test_prices_tend_to_the_limit():
    # Oracle: limits.gaussian ([T] eq. 65), a room that shares no code: always above it, falling with
    # n, within 0.3 % of s2 at n = 10^4.
    for Rc in (0.0, 0.5, math.inf):
        prices = [block_price(n, n / 2, n * Rc, variance=3.0) for n in (2, 8, 64, 1000, 10_000)]
        for P in (0.0, 0.2):
            limit = float(gaussian_distortion(0.5, P, Rc, 3.0))
            D = np.array([p.distortion_for(P) for p in prices])
            assert np.all(np.diff(D) < 0)
            assert limit < D[-1] < limit + 0.01
        cost = float(gaussian_transport_cost(0.5, Rc, 3.0))
        assert prices[-1].transport_cost == pytest.approx(cost, abs=0.01)
    assert block_price(6, 6).mmse == pytest.approx(block_price(6, 6).transport_cost, rel=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize(("channel", "Rc"), [(SphereChannel, math.inf), (CellChannel, 0.0)])
def test_exact_laws(channel, Rc):
    # Oracle: in one given codebook X- is a standard normal block: each coordinate, a diagonal, the
    # squared length (chi-squared) and an angle by Kolmogorov-Smirnov, 20,000 blocks, p > 1e-4. Would
    # miss a deviation of a distribution function by less than 1.6 %.
    from scipy.stats import kstest

    code = random_code(3, 1.0, Rc, codebook_seed=3, channel=channel)
    x = normal(20_000, 3, 12)
    real = code.decode(code.encode(x, seed=6), np.random.default_rng(2), seed=6)
    for line in (*real.T, real @ [0.6, 0.0, 0.8], real @ [0.6, -0.8, 0.0]):
        assert kstest(line, "norm").pvalue > 1e-4
    assert kstest(np.sum(real**2, axis=1), "chi2", args=(3,)).pvalue > 1e-4
    turn = np.arctan2(real[:, 1], real[:, 0])
    assert kstest(turn, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-4


@pytest.mark.statistical
def test_the_sphere_channel_has_the_length_of_the_source_and_one_codebook_shows():
    # Oracle: the length is chi in every codebook (KS, p > 1e-4); with 4 words in the plane the
    # directions are not uniform (40,000 blocks; KS rejects, p < 1e-6), which averaging over codebooks
    # mends (1,000 codebooks, one block each, p > 1e-4).
    from scipy.stats import kstest

    def angles(k, blocks):
        code = random_code(2, 1.0, 0.0, codebook_seed=k)
        x = normal(blocks, 2, k, 5)
        out = code.decode(code.encode(x), np.random.default_rng(k))
        return np.arctan2(out[:, 1], out[:, 0]), np.sum(out**2, axis=1)

    one, length = angles(1, 40_000)
    assert kstest(length, "chi2", args=(2,)).pvalue > 1e-4
    assert kstest(one, "uniform", args=(-math.pi, 2 * math.pi)).pvalue < 1e-6
    many = np.concatenate([angles(100 + k, 1)[0] for k in range(1000)])
    assert kstest(many, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-4


@pytest.mark.statistical
def test_divergence_of_the_block_law():
    # Oracle: at n=2 the divergence of the angle's density, a histogram of 200,000 outputs over 400
    # bins (bias 400/2/200,000 = 0.001 nats), agrees with both estimates within 0.02; the symbol
    # channel's is larger at n=8, R=1/2; equal seeds repeat.
    code = random_code(2, 1.0, 0.5, codebook_seed=2)
    found = law_mismatch(code, counted=60_000, drawn=20_000, seed=3, rng=np.random.default_rng(0))
    x = normal(200_000, 2, 9)
    y = code.decode(code.encode(x, seed=8), np.random.default_rng(1), seed=8)
    count = np.histogram(np.arctan2(y[:, 1], y[:, 0]), 400, (-math.pi, math.pi))[0] / 200_000
    divergence = float(np.sum(count * np.log(np.maximum(400 * count, 1e-12))))
    assert abs(found.upper_nats - divergence) < 0.02
    assert abs(found.lower_nats - divergence) < 0.02
    assert found.w2_squared_bound == pytest.approx(found.upper_nats)
    kept = {}
    for channel in (SphereChannel, SymbolChannel):
        code = random_code(8, 0.5, 0.5, codebook_seed=1, channel=channel)
        kept[channel] = law_mismatch(
            code, counted=20_000, drawn=800, seed=1, rng=np.random.default_rng(5)
        )
    assert kept[SphereChannel].upper_nats + 0.05 < kept[SymbolChannel].upper_nats
    for bad in (
        random_code(2, 1.0, math.inf), random_code(2, 1.0, channel=CellChannel),
    ):  # fmt: skip
        with pytest.raises(InvalidSetting, match="that of the source"):
            law_mismatch(bad, counted=10, drawn=10, seed=0, rng=np.random.default_rng(0))
    with pytest.raises(InvalidSetting, match="2 or more"):
        law_mismatch(code, counted=1, drawn=10, seed=0, rng=np.random.default_rng(0))


@given(bits=st.sampled_from([0, 1, 5, 16, 17, 22, 24]), count=st.integers(0, 40), data=st.data())
def test_bytes_give_the_indices_back(bits, count, data):
    # Oracle: identity; the size is nR bits an index and at most 12 bytes more (16 for the words).
    code = random_code(24, bits / 24)
    z = np.array(data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count)))
    z = z.astype(np.int64)
    message = code.to_bytes(z)
    assert len(message) <= bits * count / 8 + 16
    np.testing.assert_array_equal(code.from_bytes(message, count), z)
    broken = bytearray(message)
    broken[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedFile):
        code.from_bytes(bytes(broken), count)
    with pytest.raises(DamagedFile):
        code.from_bytes(message[:-1], count)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, 0.4), "2/6 = 0.333333 and 3/6 = 0.5"),
        ((6, 0.5, 0.1), "0/6 = 0 and 1/6 = 0.166667"),
        ((25, 1.0), "largest rate is 24/25 = 0.96, and at this rate the largest dimension is 24"),
        ((20, 1.0, 2.0), "largest common_bits is 36/20 = 1.8, or math.inf"),
        ((4, math.nan), "rate_bits"), ((4, math.inf), "rate_bits"), ((4, -1.0), "rate_bits"),
        ((4, 1.0, math.nan), "common_bits"), ((4, 1.0, -0.5), "common_bits"),
        ((4, True), "rate_bits"), ((4, "1"), "rate_bits"),
        ((1, 1.0), "dimension"), ((2.0, 1.0), "dimension"), ((0, 1.0), "dimension"),
    ],
)  # fmt: skip
def test_settings_outside_their_range(arguments, message):
    with pytest.raises(InvalidSetting, match=message):
        random_code(*arguments)


def test_bad_variance_seed_channel():
    for bad in (0.0, -1.0, math.nan, math.inf, True, "1"):
        with pytest.raises(InvalidSetting, match="variance"):
            random_code(4, 1.0, variance=bad)
    for bad in (-1, 2**64, True, 1.5, None):
        with pytest.raises(InvalidSetting, match="codebook_seed"):
            random_code(4, 1.0, codebook_seed=bad)
    with pytest.raises(InvalidSetting, match="SphereChannel"):
        random_code(4, 1.0, 1.0, channel=CellChannel)
    with pytest.raises(InvalidSetting, match="14 bits"):
        random_code(15, 1.0, channel=CellChannel)
    with pytest.raises(InvalidSetting, match="at most 24"):
        random_code(20, 1.0, 1.0).codebook.encode_whole(np.zeros((1, 20)))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 3)), np.zeros(4), np.full((1, 4), math.nan), np.full((1, 4), math.inf),
        np.full((1, 4), 1e200), "blocks", np.zeros((1, 4), dtype=complex),
    ],
)  # fmt: skip
def test_blocks_that_are_none(bad):
    with pytest.raises(InvalidSetting, match="block"):
        random_code(4, 1.0).encode(bad)


def test_bad_indices_and_rare_cells(monkeypatch):
    code = random_code(4, 1.0)
    for bad in ([16], [-1], [0.5], [[0]]):
        with pytest.raises(InvalidSetting, match=r"ind(ex|ices)"):
            code.decode(np.array(bad), np.random.default_rng(0))
        with pytest.raises(InvalidSetting, match=r"ind(ex|ices)"):
            code.to_bytes(np.array(bad))
    for bad in (-1, 1.0, True):
        with pytest.raises(InvalidSetting, match="count"):
            code.from_bytes(code.to_bytes(np.array([1])), bad)
    monkeypatch.setattr("veridical.block.channels._ROUNDS", 0)
    rare = random_code(4, 1.0, channel=CellChannel)
    with pytest.raises(NotConverged, match="SphereChannel"):
        rare.decode(np.array([3]), np.random.default_rng(0))


def test_extremes():
    # Oracle: rate 0 estimates 0 and generates the source at cost s2; no blocks give none; huge and
    # tiny blocks have the word of their direction (exact).
    zero = random_code(5, 0.0, 1.0)
    index = zero.encode(np.ones((4, 5)))
    assert not index.any()
    assert not zero.decode(index, np.random.default_rng(0), realism=0.0).any()
    assert zero.decode(index, np.random.default_rng(0)).std() > 0.5
    assert (zero.calibration.mmse, zero.calibration.transport_cost) == (1.0, 1.0)
    code = random_code(5, 1.0, 1.0)
    assert code.decode(code.encode(np.zeros((0, 5))), np.random.default_rng(0)).shape == (0, 5)
    x = normal(10, 5, 1)
    for scale in (1e149, 1e-149):
        np.testing.assert_array_equal(code.encode(x * scale), code.encode(x))
    assert (code.rate_bits, code.common_bits) == (1.0, 1.0)
