"""One design from samples with its predicted and its measured price: a row of a table.

Half of the samples, drawn at random, make the codec; the other half measures what it costs on samples
that it has not seen. The same split for every design, so that rows of one table can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import whole_number
from veridical.block.design import design
from veridical.block.transform import TransformCodec
from veridical.errors import InvalidSetting
from veridical.measure import mean_with_error
from veridical.oneshot.sample_codec import SampleCodec


@dataclass(frozen=True)
class DesignJob:
    """What is to be designed.

    Attributes:
        samples: shape ``(n, d)`` or ``(n,)``.
        rate_bits: bits per sample.
        seeds: ``K``.
        perception: ``P``, squared units; infinity for the MMSE-first design at realism 0.
        variable_length: entropy-constrained.
        seed: of the split, of the design and of the measurement.
        method: ``codebook``, ``trellis`` or ``lattice``; the last two know neither seeds, design perception nor
            fixed length.
        common_bits: of the last two, per component that is sent.
    """

    samples: NDArray[np.float64] = field(repr=False)
    rate_bits: float
    seeds: int
    perception: float
    variable_length: bool = False
    seed: int = 0
    method: Literal["codebook", "trellis", "lattice"] = "codebook"
    common_bits: float = 0.0


def design_row(job: DesignJob) -> dict[str, Any]:
    """The row of :func:`designed` alone."""
    return designed(job)[1]


def designed(job: DesignJob) -> tuple[SampleCodec | TransformCodec, dict[str, Any]]:
    """Design and measure.

    Returns:
        The codec, and its row: ``mmse`` (``d``), ``transport_cost`` (``C``), ``predicted`` (``d + ((sqrt C - sqrt P)+)^2``,
        [T] eq. 42), ``measured`` with ``standard_error`` on the other half, and ``bits``: bytes of the
        real coder times 8, per sample.

    Raises:
        InvalidSetting: as :func:`veridical.design`; fewer than 4 samples.
    """
    x = np.asarray(job.samples, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) < 4:
        raise InvalidSetting(f"a design needs a table of 4 samples or more, got shape {x.shape}")
    whole_number(job.seed, "seed", 0, (1 << 64) - 1)
    order = np.random.default_rng(job.seed).permutation(len(x))
    train, other = x[order[: len(x) // 2]], x[order[len(x) // 2 :]]
    rng = np.random.default_rng([job.seed, 1])
    codec = (
        design(
            train,
            rate_bits=job.rate_bits,
            seeds=job.seeds,
            perception=None if np.isinf(job.perception) else job.perception,
            variable_length=job.variable_length,
            rng=rng,
        )
        if job.method == "codebook"
        else design(
            train,
            method=job.method,
            rate_bits=job.rate_bits,
            common_bits=job.common_bits,
            rng=rng,
        )
    )
    index = codec.encode(other, seed=job.seed)
    x_hat = codec.decode(index, rng, perception=job.perception, seed=job.seed)
    D = mean_with_error(np.sum(np.square(other - x_hat), axis=1))
    price = codec.calibration
    return codec, {
        "rate_bits": job.rate_bits,
        "seeds": job.seeds,
        "perception": job.perception,
        "mmse": price.mmse,
        "transport_cost": price.transport_cost,
        "predicted": price.distortion_for(job.perception),
        "measured": D.value,
        "standard_error": D.standard_error,
        "bits": 8 * len(codec.to_bytes(index, seed=job.seed)) / len(other),
    }
