"""``veridical train photo`` in double precision, with drawings of one kind and short fits: a process of a training by several.

In single precision the sums of gradients in another order differ by 1e-7, and Adam, whose first step is the sign of each
gradient, makes whole steps of that where a gradient is nearly 0. In double precision that is 1e-16, and below what Adam adds to
its divisor (1e-8).
"""

import functools
import sys

import torch

from veridical.cli.main import main
from veridical.training import loop, photo_prices, photo_run, price_files, sources
from veridical.training.muon import ConvolutionMuon
from veridical.training.pieces import fit_scale
from veridical.training.price_network import fit_price_network
from veridical.training.stages import Batches


def in_double(batch):
    """A batch of double precision."""
    return lambda self, step: tuple(v.double() for v in batch(self, step))


def stage_in_double(stage):
    """A stage of networks of double precision."""

    def staged(self, name):
        self.estimator.double()
        self.generator.double()
        return stage(self, name)

    return staged


def write_single(write):
    """Weights as every training writes them."""

    def written(self, *given):
        torch.set_default_dtype(torch.float32)
        torch.Tensor.float = single
        self.estimator.float()
        self.generator.float()
        write(self, *given)

    return written


if __name__ == "__main__":
    single = torch.Tensor.float
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    Batches.__call__ = in_double(Batches.__call__)
    loop.ConvolutionMuon = functools.partial(ConvolutionMuon, single=True)  # not in bfloat16
    photo_run._Training.stage = stage_in_double(photo_run._Training.stage)
    photo_run._Training.write = write_single(photo_run._Training.write)
    for module in (sources, price_files):
        module.KINDS = ["flat"]
    price_files._QUALITIES = (10, 40, 90)
    photo_run.fit_scale = functools.partial(fit_scale, n=30)
    photo_run.validate = lambda *given: {"quality 10": [0.0]}
    photo_prices.fit_price_network = functools.partial(fit_price_network, steps=100)
    sys.exit(main())
