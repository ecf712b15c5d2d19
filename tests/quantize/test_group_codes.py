"""Trellis codes over Z_p, their chains and the search in their cosets, against exhaustive enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veridical.errors import InvalidSetting, TargetUnreachable
from veridical.quantize.group import (
    MOST_COST,
    Level,
    NestedChain,
    TrellisCode,
    cheapest_words,
    checked_prime,
    whole_costs,
)

SETTINGS = settings(max_examples=40, deadline=None)


@st.composite
def chains(draw):
    """Small chains of every shape whose largest code has at most 5^5 words."""
    p = draw(st.sampled_from([2, 3, 5]))
    period = draw(st.integers(1, 5))
    turns = draw(st.integers(1, 2 if p < 5 and period < 4 else 1))
    room = period if p < 5 or period < 5 else 4
    message = draw(st.integers(1, room))
    shaping = draw(st.integers(0, room - message))
    seed = draw(st.integers(0, room - message - shaping))
    memory = draw(st.tuples(*[st.integers(0, 2)] * 3))
    return NestedChain(
        p=p, n=period * turns, period=period, shaping=shaping, message=message, seed=seed,
        memory=memory, taps=(draw(st.integers(0, 99)), 1, 2),
    )  # fmt: skip


def everything(p, k):
    """All vectors of k symbols, shape (p^k, k)."""
    return np.array(list(itertools.product(range(p), repeat=k))).reshape(p**k, k)


def keys(words, p):
    return set(map(tuple, words.tolist()))


@SETTINGS
@given(chains())
def test_chain_is_nested_and_counts(chain):
    # Oracle: enumeration. Each code has exactly p^k words, closed under subtraction (of random
    # pairs), and every word of G1 is in G2 and every word of G2 in G3; exact.
    rng = np.random.default_rng(0)
    inner = None
    for code in chain.codes:
        words = code.words(everything(chain.p, code.dimension))
        found = keys(words, chain.p)
        assert len(found) == chain.p**code.dimension
        a, b = rng.integers(len(words), size=(2, 20))
        assert keys((words[a] - words[b]) % chain.p, chain.p) <= found
        assert inner is None or inner <= found
        inner = found


@SETTINGS
@given(chains())
def test_seed_and_message_name_disjoint_cosets(chain):
    # Oracle: enumeration. The cosets of G1 that all messages name within the coset of one seed are
    # disjoint and fill the coset of G2; the cosets of all seeds fill G3. Exact.
    p, (one, two, three) = chain.p, chain.codes
    small = one.words(everything(p, one.dimension))
    messages = chain.message_words(everything(p, chain.index_symbols))
    union = [keys((small + m) % p, p) for m in messages]
    assert sum(map(len, union)) == len(set().union(*union)) == p**two.dimension
    big = three.words(everything(p, three.dimension))
    offsets = chain.seed_words(3, 40)
    assert not three.split(offsets)[1].any()
    cosets = {tuple(row) for row in (two.split(big)[1]).tolist()}
    assert len(cosets) == p ** (three.dimension - two.dimension)
    assert {tuple(row) for row in two.split(offsets)[1].tolist()} <= cosets


@SETTINGS
@given(chains(), st.integers(0, 2**32 - 1), st.sampled_from([2, 1000]))
def test_search_agrees_with_brute_force_over_the_coset(chain, seed, top):
    # Oracle: the least sum over all words of the coset, exact; costs of 0 and 1 make many ties.
    rng = np.random.default_rng(seed)
    for code in chain.codes:
        costs = rng.integers(0, top, size=(3, chain.n, chain.p)).astype(np.int32)
        offsets = rng.integers(0, chain.p, size=(3, chain.n))
        inputs, words = cheapest_words(code, costs, offsets)
        assert np.array_equal(words, (code.words(inputs) + offsets) % chain.p)
        everyone = (code.words(everything(chain.p, code.dimension)) + offsets[:, None]) % chain.p
        sums = np.take_along_axis(costs[:, None], everyone[..., None], axis=3).sum(axis=(2, 3))
        mine = np.take_along_axis(costs, words[..., None], axis=2).sum(axis=(1, 2))
        assert np.array_equal(mine, sums.min(axis=1))


@SETTINGS
@given(chains(), st.integers(0, 2**32 - 1))
def test_split_inverts_words_and_separates_cosets(chain, seed):
    # Oracle: definition. Free symbols come back; the syndrome is 0 exactly on the code and the same
    # for a word and its sum with a word of the code; exact.
    rng = np.random.default_rng(seed)
    for code in chain.codes:
        u = rng.integers(0, chain.p, size=(5, code.dimension))
        back, rest = code.split(code.words(u))
        assert np.array_equal(back, u)
        assert not rest.any()
        any_word = rng.integers(0, chain.p, size=(5, chain.n))
        same = (any_word + code.words(u)) % chain.p
        assert np.array_equal(code.split(any_word)[1], code.split(same)[1])


def test_a_long_code_by_its_generator_matrix():
    # Oracle: linear algebra. Words are inputs times the matrix of the words of unit inputs, mod p.
    chain = NestedChain(p=7, n=120, period=12, shaping=1, message=5, seed=3, memory=(1, 2, 1))
    code = chain.codes[2]
    matrix = code.words(np.eye(code.dimension, dtype=np.int64))
    u = np.random.default_rng(0).integers(0, 7, size=(9, code.dimension))
    assert np.array_equal(code.words(u), u @ matrix % 7)
    # A free symbol reaches no further than the memory allows: 3 symbols of its level, here 60 places.
    assert max(np.ptp(np.flatnonzero(row)) for row in matrix) <= 60


def test_search_of_many_blocks_is_the_search_of_each():
    # Oracle: the batch of 300 (over the 128 of one pass) against single blocks; exact.
    chain = NestedChain(p=3, n=30, period=6, shaping=1, message=2, seed=1, memory=(1, 2, 1))
    rng = np.random.default_rng(1)
    costs = rng.integers(0, 500, size=(300, 30, 3)).astype(np.int32)
    offsets = rng.integers(0, 3, size=(300, 30))
    whole = cheapest_words(chain.codes[2], costs, offsets)[1]
    for k in (0, 127, 128, 299):
        one = cheapest_words(chain.codes[2], costs[k : k + 1], offsets[k : k + 1])[1]
        assert np.array_equal(one[0], whole[k])


@pytest.mark.statistical
def test_more_memory_finds_nearer_words():
    # Oracles at R = 1/2, Hamming: without memory half the symbols are right and half are guesses,
    # D = 1/4 exactly in the mean; no code falls below the limit 0.1100; tuned memories in between.
    # 32,000 fair bits, fixed seed: standard errors 0.0024 without memory, below 0.0013 with it;
    # 4 of them. Would miss a loss of less than about 0.01 between neighbours.
    x = np.random.default_rng(2).integers(0, 2, size=(32, 1000))
    costs = (x[..., None] != np.arange(2)).astype(np.int32)
    errors = []
    for m, number in ((0, 0), (2, 0), (6, 8)):
        chain = NestedChain(p=2, n=1000, period=2, shaping=0, message=1, seed=0,
                            memory=(0, m, 0), taps=(0, number, 0))  # fmt: skip
        words = cheapest_words(chain.codes[1], costs, np.zeros_like(x))[1]
        errors.append(np.mean(words != x))
    assert abs(errors[0] - 0.25) < 4 * 0.0024
    assert errors[0] > errors[1] + 0.01 > errors[2] + 0.02
    assert errors[2] > 0.11 - 4 * 0.0013


@pytest.mark.parametrize("p", [0, 1, 4, 9, 221, 257, 2.0, True, "3"])
def test_p_must_be_prime(p):
    with pytest.raises(InvalidSetting, match=r"prime|use"):
        checked_prime(p)


def test_composites_name_the_primes_beside_them():
    with pytest.raises(InvalidSetting, match="9 is 3 x 3; use 7 or 11"):
        NestedChain(p=9, n=4, period=4, shaping=0, message=1, seed=0, memory=(1, 1, 1))
    assert [checked_prime(p) for p in (2, 3, 5, 251)] == [2, 3, 5, 251]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n": 21}, "take 20 or 30"),
        ({"n": 7}, "take 10 or 20"),
        ({"seed": 5}, "inconsistent chain"),
        ({"message": 0}, "message"),
        ({"shaping": -1}, "shaping"),
        ({"period": 2.5}, "period"),
        ({"memory": (9, 9, 9)}, "65536"),
        ({"memory": (1, -1, 1)}, "memory"),
        ({"memory": (1, 2)}, "three"),
    ],
)
def test_inconsistent_chains(change, match):
    good = {"p": 2, "n": 20, "period": 10, "shaping": 2, "message": 4, "seed": 4}
    good |= {"memory": (1, 2, 1)}
    NestedChain(**good)
    with pytest.raises(InvalidSetting, match=match):
        NestedChain(**(good | change))


def test_rates_are_reached_or_the_nearest_named():
    # Oracle: multiples of log2(p)/N by hand.
    chain = NestedChain.from_rates(
        5, 70, period=7, rate_bits=1.0, common_bits=0.663, shaping_bits=0.33, memory=(1, 1, 1)
    )
    assert (chain.shaping, chain.message, chain.seed) == (1, 3, 2)
    assert chain.rate_bits == pytest.approx(3 / 7 * math.log2(5))
    assert chain.common_bits + chain.shaping_bits == pytest.approx(chain.rate_bits)
    with pytest.raises(TargetUnreachable, match=r"1\.32680?\d* and 1\.65851?\d*"):
        NestedChain.from_rates(5, 70, period=7, rate_bits=1.5, memory=(1, 1, 1))
    with pytest.raises(TargetUnreachable, match=r"at most 0\.3 bits"):
        NestedChain.from_rates(2, 20, period=10, rate_bits=0.7, common_bits=0.5, memory=(1, 1, 1))
    with pytest.raises(TargetUnreachable, match="more than log2 2"):
        NestedChain.from_rates(2, 20, period=10, rate_bits=1.5, memory=(1, 1, 1))
    for bad in (-0.1, math.nan, True, "1"):
        with pytest.raises(InvalidSetting, match="rate_bits"):
            NestedChain.from_rates(2, 20, period=10, rate_bits=bad, memory=(1, 1, 1))
    with pytest.raises(TargetUnreachable):
        NestedChain.from_rates(2, 20, period=10, rate_bits=math.inf, memory=(1, 1, 1))


def test_levels_that_contradict_themselves():
    taps = np.zeros((4, 1), dtype=np.int64)
    two, both = Level(np.array([0, 2]), taps), Level(np.array([2, 3]), taps)
    for levels in ((two, both), (Level(np.array([4]), taps),), (Level(np.array([2, 1]), taps),),
                   (Level(np.array([1]), taps + 2),), (Level(np.array([1]), taps[:3]),)):  # fmt: skip
        with pytest.raises(InvalidSetting):
            TrellisCode(2, 4, levels)
    with pytest.raises(InvalidSetting, match="n = 0"):
        TrellisCode(2, 0, ())


def test_bad_symbols_and_costs():
    code = NestedChain(p=3, n=6, period=6, shaping=1, message=2, seed=1, memory=(1, 2, 1)).codes[1]
    offsets = np.zeros((2, 6), dtype=np.int64)
    for bad in (np.zeros((2, 4)), np.zeros((2, 3)), np.full((2, 3), 3), np.full((2, 3), -1)):
        with pytest.raises(InvalidSetting, match="free symbols"):
            code.words(bad)
    with pytest.raises(InvalidSetting, match="offsets"):
        cheapest_words(code, np.zeros(3, np.int32), offsets + 3)
    with pytest.raises(InvalidSetting, match="fit"):
        cheapest_words(code, np.zeros((5, 3), np.int32), offsets)
    for costs in (np.zeros(3), np.array([0, -1, 2]), np.array([0, MOST_COST // 6 + 1, 0])):
        with pytest.raises(InvalidSetting, match="whole_costs"):
            cheapest_words(code, costs, offsets)
    with pytest.raises(InvalidSetting, match="finite"):
        whole_costs([0.0, math.nan], 6)
    assert cheapest_words(code, np.zeros(3, np.int32), offsets[:0])[1].shape == (0, 6)


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=9), st.integers(1, 5000))
def test_whole_costs_keep_their_proportions(costs, n):
    # Oracle: differences scaled by one power of two, to half a unit each; sums of n stay in range.
    whole = whole_costs(costs, n)
    assert whole.min() == 0
    assert int(whole.max()) * n < MOST_COST
    spread = max(costs) - min(costs)
    if spread > 0:
        scale = 2.0 ** np.floor(np.log2((MOST_COST / n - 1) / spread))
        np.testing.assert_allclose(
            whole, (np.array(costs) - min(costs)) * scale, atol=0.5 + 1e-3, rtol=0
        )
