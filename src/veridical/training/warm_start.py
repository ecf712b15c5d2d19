"""Training that goes on from other weights, also in a larger network.

A network with more channels or blocks starts as the function that the smaller one was: what is new
reads from everything, and nothing old reads from what is new. (Net2Net, Chen, Goodfellow and Shlens,
ICLR 2016, splits channels to the same end.)
"""

from __future__ import annotations

import re

from torch import Tensor

from veridical.training.networks import NetworkConfig, RestorationNetwork


def contains(larger: NetworkConfig, smaller: NetworkConfig) -> bool:
    """Whether every weight of the smaller network has a place in the larger one."""
    same_task = (larger.pictures, larger.timed, larger.side) == (
        smaller.pictures, smaller.timed, smaller.side,
    )  # fmt: skip
    pairs = zip(_sizes(larger), _sizes(smaller), strict=True)
    return same_task and all(a >= b for a, b in pairs)


def _sizes(config: NetworkConfig) -> tuple[int, ...]:
    return (*config.widths, *config.blocks, *config.blocks_up, config.bypass, config.spread)


def warm_start(model: RestorationNetwork, other: RestorationNetwork) -> None:
    """Copy the weights of a network of at most the same size, but for the end if the two differ in task.

    Args:
        model: With new weights. If :func:`contains` holds, it computes what ``other`` computes
            afterwards, up to rounding.
        other: Weights that do not fit into the model's are left out.
    """
    same_task = (model.config.pictures, model.config.bypass > 0) == (
        other.config.pictures, other.config.bypass > 0,
    )  # fmt: skip
    mine, theirs = model.state_dict(), other.state_dict()
    for key, old in theirs.items():
        if key in mine and (same_task or not key.startswith("tail")):
            # Scale and shift of a block's condition stand apart: each is as long as the block is wide.
            apart = (lambda v: v.unflatten(0, (2, -1))) if ".film." in key else (lambda v: v)
            # The first pictures at the input of another task are those of this one; what it sees
            # beside them keeps its random weights.
            _embed(apart(mine[key]), apart(old), 1 + (".film." in key), silent=same_task)
    for key, new in mine.items():
        if same_task and key not in theirs and re.search(r"blocks\.\d+\.conv2", key):
            new.zero_()  # a block that adds nothing


def _embed(new: Tensor, old: Tensor, output_axes: int, *, silent: bool) -> None:
    """Put ``old`` into the corner of ``new``, if it fits; if ``silent``, its rows read nothing else."""
    if new.dim() != old.dim() or any(a < b for a, b in zip(new.shape, old.shape, strict=True)):
        return
    corner = tuple(slice(n) for n in old.shape)
    if silent:
        new[corner[:output_axes]] = 0
    new[corner] = old
