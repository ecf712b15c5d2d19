"""Codecs of digits: networks as encoder and estimator, a flow as generator, common randomness.

With ``K`` seeds there are ``K`` networks, and the seed symbol of a digit chooses one; with dither the
seed gives the offset that the encoder adds before quantizing and the decoder takes away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veridical.codec import PartsCodec
from veridical.errors import InvalidSetting
from veridical.estimate.digit_pairs import WIDEST, Pairs
from veridical.generate.digit_flow import DigitFlowGenerator
from veridical.interpolate import Calibration
from veridical.random import random_symbols, random_uniforms

__all__ = ["DigitCodec", "DigitNetworks", "digit_codec"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
DigitCodec = PartsCodec[Array, Whole, np.random.Generator]

_BATCH = 500
_DITHER_STREAM = 1


@dataclass(frozen=True)
class DigitNetworks:
    """Encoder and estimator: ``K`` networks of one ``(dim, L)``, or one with dither.

    Attributes:
        pairs: the networks, on their device.
    """

    pairs: Pairs = field(repr=False)

    def __post_init__(self) -> None:
        kinds = {(m.dim, m.levels, m.dithered) for m in self.pairs.members}
        if len(kinds) != 1 or (self.dithered and len(self.pairs.members) > 1):
            raise InvalidSetting("a code has networks of one dim and L, and one where it dithers")
        self.pairs.eval()

    @property
    def dithered(self) -> bool:
        """Whether the seed is a dither."""
        return self.pairs.members[0].dithered

    def _known(self, n: int, seed: int) -> tuple[Whole, Array]:
        """Seed symbol ``(n,)`` and dither ``(n, 4)`` on +-1/2 of each digit."""
        symbols = random_symbols(seed, n, len(self.pairs.members))
        if not self.dithered:
            return symbols, np.zeros((n, WIDEST))
        uniforms = random_uniforms(seed, n * WIDEST, stream=_DITHER_STREAM)
        return symbols, uniforms.reshape(n, WIDEST) - 0.5

    def _run(
        self, x: NDArray[np.generic], seed: int, run: Callable[[Tensor, Tensor], Tensor]
    ) -> NDArray[np.generic]:
        """``run`` on batches by every network; each digit takes the result of its own."""
        symbols, dither = self._known(len(x), seed)
        device = self.pairs.get_buffer("bin").device
        out = []
        with torch.inference_mode():
            for first in range(0, len(x), _BATCH):
                part = slice(first, first + _BATCH)
                given = torch.from_numpy(np.ascontiguousarray(x[part])).to(device)
                u = torch.from_numpy(dither[part].astype(np.float32)).to(device)
                result = run(given, u)
                own = torch.from_numpy(symbols[part]).to(device)
                out.append(result[own, torch.arange(len(own), device=device)].cpu().numpy())
        return np.concatenate(out)

    def encode(self, x: Array, seed: int) -> Whole:
        """Indices ``(n, dim)`` of digits ``(n, p)``.

        Raises:
            InvalidSetting: pictures of another size.
        """
        if x.ndim != 2 or x.shape[1] != self.pairs.shape.side**2:
            raise InvalidSetting(f"digits have {self.pairs.shape.side**2} pixels, not {x.shape}")
        pairs = self.pairs
        index = self._run(
            x.astype(np.float32), seed, lambda g, u: pairs.quantize(pairs.encode(g), u)[0]
        )
        return index[:, : pairs.members[0].dim].astype(np.int64)

    def estimate(self, index: Whole, seed: int) -> Array:
        """Estimates ``(n, p)`` of indices ``(n, dim)``.

        Raises:
            InvalidSetting: an index outside the code.
        """
        member = self.pairs.members[0]
        z = np.asarray(index)
        whole = z.ndim == 2 and z.shape[1] == member.dim and np.issubdtype(z.dtype, np.integer)
        if not whole or (z.size and not (z.min() >= 0 and z.max() < member.levels)):
            raise InvalidSetting(
                f"an index of this code has {member.dim} numbers below {member.levels}, "
                f"got {z.dtype} of shape {z.shape}"
            )
        wide = np.zeros((len(z), WIDEST), dtype=np.int64)
        wide[:, : member.dim] = z
        members = len(self.pairs.members)

        def run(given: Tensor, u: Tensor) -> Tensor:
            return self.pairs.decode(self.pairs.lookup(given.expand(members, *given.shape), u))

        return self._run(wide, seed, run).astype(np.float64)


def digit_codec(
    networks: DigitNetworks, generator: DigitFlowGenerator, calibration: Calibration
) -> DigitCodec:
    """The four parts together; ``calibration`` as measured on digits."""
    return PartsCodec(networks, networks, generator, calibration)
