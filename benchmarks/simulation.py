"""Channel simulation: rate in bytes really written, proposals and time of each method.

    OMP_NUM_THREADS=1 python benchmarks/simulation.py

``H(K)`` is the plug-in entropy of the indices (for dither, the mean ideal length of its conditional
tables); bytes are those of the message, headers included; the bound is ``I + log2(I + 1) + 4``. Proposals
are those drawn, in blocks. Times are processor microseconds a sample. A second table gives the total
variation between ordered random coding and the channel it stands for.
"""

import math
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from veridical.bitstream import FrequencyTables, encode_symbols
from veridical.oneshot.simulation_codes import DitherCode, bound_bits, selection_code
from veridical.quantize.simulation import (
    ArcChannel,
    ArcDither,
    Channel,
    GaussianChannel,
    GreedyRejection,
    LayeredDither,
    OrderedRandomCoding,
    PoissonRepresentation,
    TableChannel,
    UniformDither,
)

Line = tuple[str, str, Any, Callable[[int, np.random.Generator], Any]]


def seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the processor seconds it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def normal(d: int) -> Callable[[int, np.random.Generator], Any]:
    """A source of standard normal numbers."""
    return lambda n, rng: rng.normal(size=(n, d))


def circle(n: int, rng: np.random.Generator) -> Any:
    """Points uniform on the circle."""
    angle = rng.uniform(0, 2 * math.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def lines() -> list[Line]:
    """Channel, method and source of every row."""
    rows: list[Line] = []
    for rate, d, candidates in ((1.0, 1, 64), (4.0, 1, 512), (4.0, 8, 512)):
        channel = GaussianChannel.from_rate(rate, dimension=d)
        name = f"Gaussian, d = {d}"
        rows.append((name, "Poisson representation", PoissonRepresentation(channel), normal(d)))
        if d == 1:
            rows.append((name, "greedy rejection", GreedyRejection(channel), normal(d)))
        ordered = OrderedRandomCoding(channel, candidates)
        rows.append((name, f"ordered, N = {candidates}", ordered, normal(d)))
        rows.append((name, "direct layers", LayeredDither(channel), normal(d)))
        rows.append((name, "shifted layers", LayeredDither(channel, "shifted"), normal(d)))
    table = TableChannel(np.eye(16) * 0.8 + 0.0125, np.full(16, 1 / 16))
    arc = ArcChannel(8)
    for name, channel, source in (
        ("16 symbols, 19 % errors", table, lambda n, rng: rng.integers(0, 16, n)),
        ("circle, M = 8", arc, circle),
    ):
        rows.append((name, "Poisson representation", PoissonRepresentation(channel), source))
        rows.append((name, "greedy rejection", GreedyRejection(channel), source))
        rows.append((name, "ordered, N = 128", OrderedRandomCoding(channel, 128), source))
    rows.append(("circle, M = 8", "angular dither", ArcDither(8), circle))
    rows.append(("uniform noise, w = 0.5", "uniform dither", UniformDither(0.5), normal(1)))
    return rows


def uniform_information(w: float) -> float:
    """``I(X; X + U) = h(X + U) - log2 w`` for a normal ``X``, by quadrature."""
    from scipy.special import ndtr

    y = np.linspace(-9, 9, 20_001)
    p = (ndtr(y + w / 2) - ndtr(y - w / 2)) / w
    return float(np.trapezoid(-p * np.log2(np.maximum(p, 1e-300)), y) - math.log2(w))


def measured(method: Any, x: Any) -> tuple[float, float, float, float, float]:
    """``H(K)``, bits written, proposals, and microseconds to encode and to reproduce, a sample."""
    n = len(x)
    proposals = math.nan
    if hasattr(method, "select"):
        selection, encoding = seconds(lambda: method.select(x, 1))
        index, proposals = selection.index, float(np.mean(selection.proposals))
    else:
        index, encoding = seconds(lambda: method.encode(x, 1))
    _, decoding = seconds(lambda: method.reproduce(index, 1))
    times = (encoding / n * 1e6, decoding / n * 1e6)
    if isinstance(method, ArcDither):
        # The index is uniform whatever the seed: one flat table.
        flat = FrequencyTables.from_law(np.ones(method.outputs))
        message = encode_symbols(index, np.zeros_like(index), flat)
        return math.log2(method.outputs), 8 * len(message) / n, proposals, *times
    if isinstance(method, LayeredDither | UniformDither):
        code = DitherCode(method, 1.0)
        symbols = np.clip(index.ravel() + code.half, 0, 2 * code.half)
        entropy = code.tables.bits(symbols, code.contexts(1, n)) / n
        return entropy, 8 * len(code.to_bytes(index, seed=1)) / n, proposals, *times
    law = np.unique(index, return_counts=True)[1] / n
    written = 8 * len(selection_code(method).to_bytes(index)) / n
    return float(-law @ np.log2(law)), written, proposals, *times


def methods(n: int = 20_000) -> None:
    """The table of methods."""
    print(
        "| channel | method | I | H(K) | bits written | bound | proposals | encode us | decode us |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, label, method, source in lines():
        x = source(n, np.random.default_rng(0))
        method.encode(x[:100], 0)  # What is imported on first use is not timed.
        if isinstance(method, UniformDither):
            information = uniform_information(method.step)
        elif isinstance(method, ArcDither):
            information = math.log2(method.outputs)
        else:
            information = method.channel.information_bits
        entropy, written, proposals, encoding, decoding = measured(method, x)
        drawn = "-" if math.isnan(proposals) else f"{proposals:.0f}"
        print(
            f"| {name} | {label} | {information:.2f} | {entropy:.2f} | {written:.2f} "
            f"| {bound_bits(information):.2f} | {drawn} | {encoding:.2f} | {decoding:.2f} |",
            flush=True,
        )


def total_variation(channel: Channel, candidates: int, rng: np.random.Generator) -> float:
    """Mean over the source of ``TV`` between the law of resampling and the channel.

    Given ``x`` the former has density ``r(y) E[N / (r(y) + S)]`` with respect to the proposal law, with
    ``S`` the sum of ``N - 1`` other ratios. The expectation is over 1,000 draws; one half of them tells
    on which side of 1 it lies and the other by how much, so that noise does not pass for distance.
    """
    total, samples, draws = 0.0, 200, 1000
    for _ in range(samples):
        x = rng.normal(size=(1, 1))
        words = rng.integers(0, 2**64, (1, draws * candidates, 1), dtype=np.uint64)
        ratio = np.exp(channel.log_ratio(x, channel.propose(words)))[0].reshape(draws, candidates)
        at, others = ratio[:, :1], np.sum(ratio[:, 1:], axis=1)
        taken = candidates * at / np.maximum(at + others, 1e-300) - at
        side = np.sign(np.mean(taken[:, ::2], axis=1))
        total += 0.5 * float(np.mean(side * np.mean(taken[:, 1::2], axis=1))) / samples
    return total


def distances() -> None:
    """The table of total variation."""
    print("\n| I | N | total variation |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for rate in (1.0, 2.0, 4.0):
        channel = GaussianChannel.from_rate(rate)
        for factor in (1, 4, 16, 64):
            candidates = factor * int(2**rate)
            distance = total_variation(channel, candidates, rng)
            print(f"| {rate:.0f} | {candidates} | {distance:.3f} |", flush=True)


if __name__ == "__main__":
    methods()
    distances()
