"""The group codec: round trips, independence of the batch, prices, and the law of what it draws."""

import math
from dataclasses import replace

import numpy as np
import pytest

from veridical.block.group import GroupGenerator
from veridical.block.group_design import Effort, choose_taps, design_group_codec
from veridical.block.letters import design_letters, information_bits
from veridical.errors import DamagedFile, InvalidSetting
from veridical.limits import bernoulli_distortion, least_distortion
from veridical.quantize.group import NestedChain
from veridical.sources.alphabet import Alphabet, bernoulli, quantized_gaussian

SMALL = Effort(blocks=6, calibration_blocks=40, weights=(0.5, 1.0), rounds=1, virtual_rounds=6)
BITS = np.array([0.0, 1.0])
BINARY = NestedChain(
    p=2, n=300, period=10, shaping=1, message=5, seed=2, memory=(3, 3, 1), taps=(12, 15, 0)
)
TERNARY = NestedChain(p=3, n=240, period=8, shaping=0, message=5, seed=2, memory=(0, 2, 1),
                      taps=(0, 13, 0))  # fmt: skip


@pytest.fixture(scope="module")
def coin():
    return design_group_codec(
        bernoulli(0.3), BINARY, rng=np.random.default_rng(0), letters=BITS, effort=SMALL
    )


@pytest.fixture(scope="module")
def gauss():
    source = quantized_gaussian(9)
    return design_group_codec(source, TERNARY, rng=np.random.default_rng(1), effort=SMALL)


def drawn(design, blocks, key):
    return design.codec.encoder.source.sample(
        blocks, design.codec.chain.n, np.random.default_rng(key)
    )


@pytest.mark.parametrize("name", ["coin", "gauss"])
def test_indices_survive_the_bytes_at_the_rate_of_the_chain(name, request):
    # Oracle: identity; length is R bits a symbol plus the 12 bytes that the coder's page promises.
    codec = request.getfixturevalue(name).codec
    x = drawn(request.getfixturevalue(name), 7, 3)
    index = codec.encode(x, seed=4)
    data = codec.to_bytes(index)
    assert np.array_equal(codec.from_bytes(data, 7), index)
    assert 8 * len(data) <= codec.chain.rate_bits * x.size + 8 * 12
    for bad in (data[:-4], data[:9] + bytes([data[9] ^ 1]) + data[10:]):
        with pytest.raises(DamagedFile):
            codec.from_bytes(bad, 7)
    with pytest.raises(DamagedFile):
        codec.from_bytes(data, 8)


@pytest.mark.parametrize("name", ["coin", "gauss"])
def test_a_block_does_not_depend_on_the_batch(name, request):
    # Oracle: block i of a batch against a shorter batch and against another seed; exact.
    codec = request.getfixturevalue(name).codec
    x = drawn(request.getfixturevalue(name), 9, 5)
    index = codec.encode(x, seed=6)
    assert np.array_equal(codec.encode(x[:3], seed=6), index[:3])
    assert np.array_equal(codec.words(index[:3], seed=6), codec.words(index, seed=6)[:3])
    assert not np.array_equal(codec.encode(x, seed=7), index)
    assert codec.encode(x[:0]).shape == (0, index.shape[1])
    assert codec.decode(index[:0], np.random.default_rng(0)).shape == (0, x.shape[1])


@pytest.mark.parametrize("name", ["coin", "gauss"])
def test_words_lie_in_the_coset_that_seed_and_index_name(name, request):
    # Oracle: syndromes. Word minus the seed's word is in G2, minus the message's in G1; every word is
    # in G3; exact.
    design = request.getfixturevalue(name)
    codec, chain = design.codec, design.codec.chain
    index = codec.encode(drawn(design, 5, 8), seed=9)
    words = codec.words(index, seed=9)
    one, two, three = chain.codes
    rest = (words - chain.seed_words(9, 5)) % chain.p
    assert not three.split(words)[1].any()
    assert not two.split(rest)[1].any()
    assert not one.split((rest - chain.message_words(index)) % chain.p)[1].any()


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["coin", "gauss"])
def test_price_list_holds_on_new_blocks(name, request):
    # Oracle: D = d + a^2 C (orthogonality) with the codec's own price list, whose numbers come from 40
    # other blocks; 60 new blocks, fixed seeds, 4 standard errors of both over blocks. Would miss an
    # error of D below about 3 %.
    design = request.getfixturevalue(name)
    codec = design.codec
    x = drawn(design, 60, 10)
    index = codec.encode(x, seed=11)
    for a in (0.0, 0.4, 1.0):
        out = codec.decode(index, np.random.default_rng(12), realism=a, seed=11)
        per_block = np.mean(np.square(x - out), axis=1)
        error = per_block.std(ddof=1) * math.sqrt(1 / 60 + 1 / 40)
        assert abs(per_block.mean() - codec.calibration.distortion_at(a)) < 4 * error
    same = codec.decode(index, np.random.default_rng(12), perception=0.0, seed=11)
    assert np.array_equal(same, out)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["coin", "gauss"])
def test_full_realism_follows_the_law_of_the_source_in_blocks(name, request):
    # Oracle: independent symbols of the source's law, at a fixed seed and 200 blocks: frequency of
    # every symbol (4.5 standard errors, for up to 9 symbols), frequency of equal neighbours, and the
    # variance of the mean of a block (4 each). Would miss a block law that differs in none of these by
    # more than about 1 %, 1 % and 40 %.
    design = request.getfixturevalue(name)
    codec, source = design.codec, design.codec.encoder.source
    x = drawn(design, 200, 13)
    out = codec.decode(codec.encode(x, seed=14), np.random.default_rng(15), seed=14)
    symbols = source.symbols(out)
    blocks, n = symbols.shape
    seen = np.bincount(symbols.ravel(), minlength=source.law.size) / symbols.size
    # The design knows its letters' law from 40 blocks of n symbols only.
    error = np.sqrt(source.law * (1 - source.law) * (1 / symbols.size + 1 / (40 * n)))
    assert np.all(np.abs(seen - source.law) < 4.5 * error)
    equal = np.mean(symbols[:, 1:] == symbols[:, :-1], axis=1)
    expected = float(seen @ seen)
    assert abs(equal.mean() - expected) < 4 * equal.std(ddof=1) / math.sqrt(blocks)
    ratio = n * out.mean(axis=1).var(ddof=1) / source.variance
    assert abs(ratio - 1) < 4 * math.sqrt(2 / (blocks - 1))


@pytest.mark.statistical
def test_measured_points_lie_between_the_limit_and_a_scalar(coin, gauss):
    # Oracles: D(R, Rc, P) of the limits room (a proven lower bound) below; above, six tenths of the
    # variance, where D = d at rate 0 is the whole of it. Would miss a loss of less than 2 dB.
    for design in (coin, gauss):
        codec, source = design.codec, design.codec.encoder.source
        chain, price = codec.chain, codec.calibration
        bound = least_distortion(
            source.points, source.law, chain.rate_bits, 0.02, chain.common_bits, rounds=2
        )
        assert price.distortion_for(0.02) > bound.lower_distortion
        assert price.mmse < 0.6 * source.variance
        assert price.transport_cost < price.mmse
        # What the words can hide, and what a symbol shows of it.
        assert design.virtual_bits < chain.rate_bits + chain.common_bits
        assert design.operational_bits < chain.rate_bits + 0.02


@pytest.mark.statistical
def test_time_sharing_of_letters(coin):
    # Oracle: D(a) = (1-a) D(0) + a D(1) from the same codec, alphabets kept; 100 blocks, fixed seed, 4
    # standard errors over blocks; D(0) above Shannon's limit by the closed form of [BM].
    codec = coin.codec
    x = drawn(coin, 100, 16)
    index = codec.encode(x, seed=17)
    rate = {}
    for a in (0.0, 0.5, 1.0):
        out = codec.decode_letters(index, np.random.default_rng(18), realism=a, seed=17)
        assert set(np.unique(out)) == {0.0, 1.0}
        per_block = np.mean(out != x, axis=1)
        rate[a] = per_block.mean(), per_block.std(ddof=1) / 10
    assert abs(rate[0.5][0] - 0.5 * (rate[0.0][0] + rate[1.0][0])) < 4 * rate[0.5][1]
    assert float(bernoulli_distortion(0.3, 0.5)) < rate[0.0][0] < 0.15 < rate[1.0][0]


@pytest.mark.statistical
def test_common_randomness_lowers_the_transport_cost_only(coin):
    # Oracle: theory: C falls with Rc and d does not move; both from 40 blocks, with a standard error of
    # 0.002 each: 4 standard errors of the difference are 0.012. At Rc = 0 operational and virtual
    # encoding are the same search but for the weights, and C is near d.
    none = design_group_codec(
        bernoulli(0.3), replace(BINARY, seed=0), rng=np.random.default_rng(0), letters=BITS,
        effort=SMALL,
    )  # fmt: skip
    with_seed, without = coin.codec.calibration, none.codec.calibration
    assert abs(with_seed.mmse - without.mmse) < 0.012
    assert with_seed.transport_cost < without.transport_cost - 0.012
    assert abs(without.transport_cost - without.mmse) < 0.02


def test_repairs_bring_the_decoder_to_the_word_that_was_meant(coin):
    # Oracle: the distortion after repairs is never above that without, block by block, and is below
    # it in sum: of these 20 blocks some went astray at first; exact.
    codec = coin.codec
    x = drawn(coin, 20, 19)
    errors = []
    for repairs in (0, 6):
        encoder = replace(codec.encoder, repairs=repairs)
        words = codec.words(encoder.encode(x, 20), seed=20)
        errors.append(np.sum(words != x, axis=1))
    assert np.all(errors[1] <= errors[0])
    assert errors[1].sum() < errors[0].sum()


def test_letters_of_a_perfect_code():
    # Oracle: Shannon's Bernoulli(0.3) at 1/2 bit: D by the closed form, letters of probability
    # (p - D)/(1 - 2D), slope ln((1-D)/D); 1e-5. A uniform law costs more.
    D = float(bernoulli_distortion(0.3, 0.5))
    best = design_letters(bernoulli(0.3), 2, 0.5, shaping_bits=1.0, fixed=BITS)
    joint = bernoulli(0.3).law[:, None] * best.channel
    assert np.sum(joint * best.distortion) == pytest.approx(D, abs=1e-5)
    assert best.law[1] == pytest.approx((0.3 - D) / (1 - 2 * D), abs=1e-5)
    assert best.slope == pytest.approx(math.log((1 - D) / D), rel=1e-4)
    assert information_bits(joint) == pytest.approx(0.5, abs=1e-6)
    flat = design_letters(bernoulli(0.3), 2, 0.5, fixed=BITS)
    np.testing.assert_allclose(flat.law, 0.5)
    assert np.sum(bernoulli(0.3).law[:, None] * flat.channel * flat.distortion) > D + 0.005
    some = design_letters(bernoulli(0.3), 2, 0.5, shaping_bits=0.1, fixed=BITS)
    assert 0.09 < 1 - some.entropy_bits <= 0.1


@pytest.mark.parametrize(
    ("unit", "origin"), [(2.0**-27, 0.0), (2.0**-200, 0.0), (2.0**200, 0.0), (1.0, 2.0**20)]
)
def test_letters_do_not_depend_on_unit_or_origin(unit, origin):
    # Oracle: the letters of the same law in unit 1 about 0; powers of two scale exactly, and moving by
    # 2^20 rounds the points to 1e-10: error of 1e-6.
    source = quantized_gaussian(40)
    one = design_letters(source, 5, 1.3)
    other = design_letters(Alphabet(unit * (source.points + origin), source.law), 5, 1.3)
    np.testing.assert_allclose(other.values / unit - origin, one.values, rtol=0, atol=1e-6)


def test_letters_that_stand_for_the_same_number():
    # Oracle: relabelling 0, 0, 1 makes one third of ones without a shaping code; the entropy of the
    # letters is log2 3 (1e-9), the hard letters are 0 and 1, and equal estimates share their channel.
    chain = NestedChain(p=3, n=96, period=16, shaping=0, message=5, seed=0, memory=(0, 2, 0),
                        taps=(0, 5, 0))  # fmt: skip
    letters = np.array([0.0, 0.0, 1.0])
    design = design_group_codec(
        bernoulli(0.3), chain, rng=np.random.default_rng(5), letters=letters, effort=SMALL
    )
    assert design.letters.entropy_bits == pytest.approx(math.log2(3), abs=1e-9)
    index = design.codec.encode(drawn(design, 3, 6))
    hard = design.codec.decode_letters(index, np.random.default_rng(0), realism=0.0)
    assert np.array_equal(hard, letters[design.codec.words(index)])
    values = np.array([[0.2, 0.2, 0.7]])
    rows = np.array([[[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]])
    generator = GroupGenerator(bernoulli(0.3), values, rows)
    x_mmse = np.repeat(values[:, [0, 2]], 400, axis=1)
    out = generator.generate(x_mmse, np.random.default_rng(7))
    # 400 fair draws at a fixed seed, 4 standard errors; certain ones where the channel is certain.
    assert abs(out[0, :400].mean() - 0.5) < 0.1
    assert out[0, 400:].min() == 1


def test_bad_sources_and_symbols(coin):
    codec = coin.codec
    x = drawn(coin, 2, 0)
    for bad in (x[:, :-1], x[0], x[None]):
        with pytest.raises(InvalidSetting, match=r"\(blocks, 300\)"):
            codec.encode(bad)
    for value in (0.5, 2.0, math.nan, math.inf, -1e300):
        bad = x.copy()
        bad[1, 3] = value
        with pytest.raises(InvalidSetting, match="not in the alphabet"):
            codec.encode(bad)
    with pytest.raises(InvalidSetting, match="numbers"):
        codec.encode("bits")
    index = codec.encode(x)
    for bad in (index + 2, index[:, 1:], index * 0.5):
        with pytest.raises(InvalidSetting, match="index"):
            codec.decode(bad, np.random.default_rng(0))
    with pytest.raises(InvalidSetting):
        codec.to_bytes(index + 2)
    with pytest.raises(InvalidSetting, match="estimates"):
        codec.generator.generate(x + 0.01, np.random.default_rng(0), index)


def test_bad_settings():
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidSetting, match=r"0\.8812"):
        design_group_codec(bernoulli(0.3), replace(BINARY, message=9, seed=0, shaping=0), rng=rng)
    with pytest.raises(InvalidSetting, match="letters"):
        design_letters(bernoulli(0.3), 2, 0.5, fixed=np.array([0.0, math.nan]))
    with pytest.raises(InvalidSetting, match="tries"):
        choose_taps(bernoulli(0.3), BINARY, rng=rng, tries=0)
    for bad in ({"blocks": 0}, {"weights": ()}, {"weights": (-1.0,)}, {"rounds": -1}):
        with pytest.raises(InvalidSetting):
            Effort(**bad)


def test_chosen_taps_are_no_worse():
    # Oracle: number 0, which is among the tries, on the same blocks; the register of the message first.
    source, plain = quantized_gaussian(9), replace(TERNARY, taps=(0, 0, 0))
    chosen = choose_taps(source, plain, rng=np.random.default_rng(3), tries=6, blocks=6)
    small = Effort(blocks=2, calibration_blocks=30, rounds=0, virtual_rounds=1)
    price = [
        design_group_codec(source, c, rng=np.random.default_rng(4), effort=small).codec.calibration
        for c in (plain, chosen)
    ]
    assert chosen.taps[1] != 0
    assert price[1].mmse < price[0].mmse
