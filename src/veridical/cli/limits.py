"""The commands ``veridical limits ...``: what no code can beat, as a table, JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated

import typer

from veridical.cli.limits_finite import add_commands, distortions, rate_grid
from veridical.cli.tables import (
    POINTS,
    Common,
    Distortions,
    Perceptions,
    Rates,
    Row,
    Tolerance,
    number,
    numbers,
    tabular,
)

Variance = Annotated[float, typer.Option(help="Variance of the source.")]
Eigenvalues = Annotated[str, typer.Option(help="Comma-separated variances.")]

limits_app = typer.Typer(
    help="What no code can beat: rate, distortion, perception.", no_args_is_help=True
)


@limits_app.command()
@tabular
def bernoulli(
    *,
    p: Annotated[float, typer.Option("--probability", help="Probability of a one.")],
    distortion: Distortions = None,
    perception: Perceptions = None,
) -> Iterator[Row]:
    """R(D, P) of a Bernoulli source: Hamming distortion, total variation."""
    from veridical.limits import bernoulli_rate_bits, bernoulli_thresholds

    for D, P in product(numbers(distortion, "distortion"), numbers(perception, "perception", "0")):
        rate = float(bernoulli_rate_bits(p, D, P))
        first, second = (float(x) for x in bernoulli_thresholds(p, P))
        yield {
            "p": p, "distortion": D, "perception": P, "rate_bits": rate,
            "lower_bits": rate, "upper_bits": rate, "free_until": first, "zero_from": second,
        }  # fmt: skip


@limits_app.command()
@tabular
def circle(
    *,
    outputs: Annotated[
        list[str] | None, typer.Option("--outputs", "-m", help="M. " + POINTS)
    ] = None,
    seeds: Annotated[
        list[str] | None, typer.Option("--seeds", "-k", help="K, or inf. " + POINTS)
    ] = None,
    perception: Perceptions = None,
) -> Iterator[Row]:
    """One-shot D(P) of the unit circle with M outputs and K seeds."""
    from veridical.limits import circle_distortion, circle_mmse, circle_w2_squared

    for M, K, P in product(
        numbers(outputs, "outputs"),
        numbers(seeds, "seeds", "1"),
        numbers(perception, "perception", "0"),
    ):
        D = float(circle_distortion(M, P, K))
        yield {
            "outputs": M, "seeds": K, "perception": P, "distortion": D,
            "mmse": float(circle_mmse(M)), "w2_squared": float(circle_w2_squared(M, K)),
        }  # fmt: skip


@limits_app.command()
@tabular
def gaussian(
    *,
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
    variance: Variance = 1.0,
) -> Iterator[Row]:
    """D(R, Rc, P) of a scalar Gaussian: squared error, squared Wasserstein-2."""
    from veridical.limits import gaussian_distortion, gaussian_transport_cost

    for R, Rc, P in rate_grid(rate, common, perception):
        yield {
            "rate_bits": R, "common_bits": Rc, "perception": P,
            "distortion": float(gaussian_distortion(R, P, Rc, variance)),
            "transport_cost": float(gaussian_transport_cost(R, Rc, variance)),
        }  # fmt: skip


@limits_app.command(name="gaussian-rate")
@tabular
def gaussian_rate(
    *,
    distortion: Distortions = None,
    perception: Perceptions = None,
    variance: Variance = 1.0,
) -> Iterator[Row]:
    """R(D, P) of a scalar Gaussian with unlimited common randomness: squared error, squared Wasserstein-2."""
    from veridical.limits import gaussian_rate_bits

    for D, P in product(numbers(distortion, "distortion"), numbers(perception, "perception", "0")):
        rate = float(gaussian_rate_bits(D, P, variance))
        yield {"distortion": D, "perception": P, "rate_bits": rate}


@limits_app.command(name="gaussian-kl")
@tabular
def gaussian_kl(
    *,
    rate: Rates = None,
    perception: Perceptions = None,
    variance: Variance = 1.0,
) -> Iterator[Row]:
    """D(R, P) of a scalar Gaussian where P bounds KL(reconstruction || source) in nats.

    Unlimited common randomness.
    """
    from veridical.limits import gaussian_distortion_kl

    for R, P in product(numbers(rate, "rate"), numbers(perception, "perception", "0")):
        D = float(gaussian_distortion_kl(R, P, variance))
        yield {"rate_bits": R, "perception_nats": P, "distortion": D}


@limits_app.command(name="circle-block")
@tabular
def circle_block(
    *,
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
) -> Iterator[Row]:
    """D(R, Rc, P) of blocks of points on the unit circle."""
    from veridical.limits import circle_block_distortion

    for R, Rc, P in rate_grid(rate, common, perception):
        D = float(circle_block_distortion(R, P, Rc))
        yield {"rate_bits": R, "common_bits": Rc, "perception": P, "distortion": D}


def _spectrum(eigenvalues: str) -> list[float]:
    return [number(x) for x in eigenvalues.split(",")]


@limits_app.command(name="vector-gaussian")
@tabular
def vector_gaussian(
    *,
    eigenvalues: Eigenvalues,
    rate: Rates = None,
    perception: Perceptions = None,
    common: Common = None,
    tolerance: Tolerance = 1e-7,
) -> Iterator[Row]:
    """D(R, Rc, P) of a vector Gaussian, and the penalty of an encoder that ignores perception."""
    from veridical.limits import oblivious_distortion, vector_gaussian_distortion

    spectrum = _spectrum(eigenvalues)
    for R, Rc, P in rate_grid(rate, common, perception):
        found = vector_gaussian_distortion(spectrum, R, P, Rc, tolerance=tolerance)
        plain = oblivious_distortion(spectrum, R, P, Rc)
        yield {
            "rate_bits": R, "common_bits": Rc, "perception": P, **distortions(found),
            "oblivious_distortion": plain,
            "penalty": max(plain / found.distortion - 1.0, 0.0) if found.distortion else 0.0,
        }  # fmt: skip


@limits_app.command(name="vector-gaussian-kl")
@tabular
def vector_gaussian_kl(
    *,
    eigenvalues: Eigenvalues,
    rate: Rates = None,
    perception: Perceptions = None,
    tolerance: Tolerance = 1e-7,
) -> Iterator[Row]:
    """D(R, P) of a vector Gaussian where P bounds KL(reconstruction || source) in nats, unlimited common randomness."""
    from veridical.limits import vector_gaussian_distortion_kl

    spectrum = _spectrum(eigenvalues)
    for R, P in product(numbers(rate, "rate"), numbers(perception, "perception", "0")):
        found = vector_gaussian_distortion_kl(spectrum, R, P, tolerance=tolerance)
        yield {"rate_bits": R, "perception_nats": P} | distortions(found)


add_commands(limits_app)
