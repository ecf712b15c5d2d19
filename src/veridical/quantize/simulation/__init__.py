"""Channel simulation: ``X^`` drawn exactly from ``P(. | x)`` at the decoder, for little more than ``I`` bits.

Every method has ``encode(x, seed) -> index`` and ``reproduce(index, seed) -> x_hat``. The seed is common
randomness, as much as is needed; sample ``i`` of a batch has streams of its own.

Which one should I use?

* **Additive uniform noise, or the circle:** :class:`UniformDither`, :class:`ArcDither`. Exact, one
  rounding a number, and ``H(index | seed) = I``.
* **Gaussian noise, many samples or a high rate:** :class:`LayeredDither`. Exact, one rounding a
  number, up to half a bit a number above ``I``.
* **Any channel with a bounded density ratio, a few bits a sample:** :class:`PoissonRepresentation`. Exact,
  about ``sup r`` proposals, at most ``log2(I+1) + 4`` bits above ``I``.
* **The same, with an index that is the number of proposals:** :class:`GreedyRejection`. Exact; needs one
  more function of the channel, and works step by step.
* **No bound, or a fixed time:** :class:`OrderedRandomCoding`. Approximate: exact only as the number of
  candidates grows.

Channels: :class:`GaussianChannel`, :class:`TableChannel`, :class:`ArcChannel`, and :class:`RatioChannel`
from functions of your own.
"""

from veridical.quantize.simulation.arc import ArcChannel
from veridical.quantize.simulation.channel import Channel, RatioChannel, Simulator
from veridical.quantize.simulation.dither import ArcDither, LayeredDither, UniformDither
from veridical.quantize.simulation.finite import TableChannel
from veridical.quantize.simulation.gaussian import GaussianChannel
from veridical.quantize.simulation.greedy import GreedyRejection
from veridical.quantize.simulation.ordered import OrderedRandomCoding
from veridical.quantize.simulation.poisson import PoissonRepresentation
from veridical.quantize.simulation.proposals import Selection

__all__ = [
    "ArcChannel",
    "ArcDither",
    "Channel",
    "GaussianChannel",
    "GreedyRejection",
    "LayeredDither",
    "OrderedRandomCoding",
    "PoissonRepresentation",
    "RatioChannel",
    "Selection",
    "Simulator",
    "TableChannel",
    "UniformDither",
]
