"""The network that predicts an estimator's error and a generator's transport cost from a picture's statistics.

```
 y, x_mmse, size, scale ─ statistics ─ four small networks ─ mean and variance of log d and log C
```
What a file tells leaves its error open by a factor of two, because pictures differ, and the estimator's own
expectation is of photographs: it takes a picture that was coded before for a finer file, and drawings for photographs.
Both show in the picture as a whole, in a few statistics of the kind that detectors of double compression use: steps
that keep to a grid of eight pixels, how often fine bands are empty where coarser ones are not, how often neighbours
are equal. The networks are fitted by Gaussian likelihood; their spread and the variance that they state are the uncertainty
(Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty estimation using deep ensembles, NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from veridical.errors import TrainingData
from veridical.photo.condition import BASIC_FEATURES
from veridical.photo.formats.jpeg_cells import TO_YCC
from veridical.photo.price import LEAST
from veridical.training.networks import zeroed
from veridical.training.residual import local_mean

_CLIP = 6.0
"""Statistics farther from their mean are taken for that many standard deviations."""

_BATCH, _RATE, _DROPPED = 128, 2e-3, 0.1
_LOG_VARIANCES = (-5.0, 4.0)


def _shares(x: Tensor, levels: Sequence[float], width: float) -> Tensor:
    """Soft cumulative histogram of (n, c, h, w): the share above each level; (n, levels)."""
    return torch.stack([torch.sigmoid((x - t) / width).mean((1, 2, 3)) for t in levels], 1)


def _level(x: Tensor, side: int, floor: float) -> Tensor:
    """Logarithm of the root mean square in squares of ``side`` pixels, over channels."""
    return torch.log(nn.functional.avg_pool2d(x.square().sum(1, keepdim=True), side) + floor) / 2


def _steps(luma: Tensor) -> list[Tensor]:
    """Along rows: third differences and equal neighbours at each of eight phases of columns."""
    n, pad = luma.shape[0], nn.functional.pad
    z = pad(luma, (1, 2, 0, 0), mode="replicate")
    third = (z[..., 3:] - 3 * z[..., 2:-1] + 3 * z[..., 1:-2] - z[..., :-3]).abs()
    z = pad(luma, (0, 1, 0, 0), mode="replicate")
    equal = ((z[..., 1:] - z[..., :-1]).abs() < 0.6).to(luma.dtype)
    out = [_shares(torch.log(third + 0.05), (-2, -1, 0, 1, 2, 3), 0.4)]
    for v in (torch.log(third + 1), equal):
        phases = v.reshape(n, -1, 8).mean(1)
        mean = phases.mean(1, keepdim=True)
        out += [mean, phases - mean, (phases - mean).abs().topk(2, 1).values]
    return out


class PictureStatistics(nn.Module):
    """``forward(y, x_mmse, size, features, scale)``: (n, :data:`N_STATISTICS`), the last the logarithm of the expected error.

    Shapes are those of ``BlockEstimator``; ``features`` begin with ``BASIC_FEATURES``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "to_ycc", 255 * torch.from_numpy(TO_YCC)[:, :, None, None], persistent=False
        )

    def forward(
        self, y: Tensor, x_mmse: Tensor, size: Tensor, features: Tensor, scale: Tensor
    ) -> Tensor:
        """See the class."""
        ycc = nn.functional.conv2d(y, self.to_ycc)
        luma, chroma = ycc[:, :1], ycc[:, 1:]
        out = [*_steps(luma), *_steps(luma.transpose(2, 3))]
        blurred = local_mean(luma, 3)
        fine, middle = (
            _level(luma - blurred, 8, 0.02),
            _level(blurred - local_mean(blurred, 5), 8, 0.02),
        )
        colour = _level(chroma - local_mean(chroma, 3), 8, 0.02)
        unit = torch.log(255 * scale)
        for band in (fine, middle, colour):
            out.append(_shares(band, (-1.5, -0.8, -0.2, 0.4, 1, 1.7, 2.5, 3.3), 0.3))
            out.append(_shares(band - unit, (-3, -2, -1.3, -0.6, 0, 0.7, 1.5), 0.3))
        out.append(_shares(fine - middle, (-2.5, -1.8, -1.2, -0.7, -0.2, 0.3), 0.25))
        out.append(_shares(colour - fine, (-2.5, -1.2, -0.4, 0.3, 1), 0.25))
        sizes = torch.log(size[:, :, ::4, ::4])
        out.append(_shares(sizes[:, :1], (-4, -3, -2, -1.4, -0.8, -0.3, 0.3, 1), 0.3))
        change = (x_mmse - y) / scale
        moved = _level(change / 3**0.5, 4, 1e-5)
        out.append(_shares(moved, (-5, -4, -3, -2, -1.4, -0.8, -0.3, 0.3), 0.3))
        out.append(
            _shares(moved - sizes.mean(1, keepdim=True), (-2, -1.3, -0.8, -0.4, 0, 0.5), 0.25)
        )
        mean = (1, 2, 3)
        out.append(sizes.mean((2, 3)))
        alone = (
            torch.log(change.square().mean(mean) + 1e-5),
            torch.log(luma.mean(mean) + 1),
            (luma > 250).to(y.dtype).mean(mean),
            (luma < 5).to(y.dtype).mean(mean),
            unit[:, 0, 0, 0],
        )
        out += [torch.stack(alone, 1), features[:, : len(BASIC_FEATURES)]]
        expected = (size[:, :, ::4, ::4] * scale).square().mean(mean)
        return torch.cat([*out, torch.log(expected + LEAST)[:, None]], 1)


N_STATISTICS = 2 * (6 + 2 * 11) + 3 * 15 + 6 + 5 + 8 + 8 + 6 + 3 + 5 + len(BASIC_FEATURES) + 1


def _member(width: int) -> nn.Sequential:
    first, second, last = (
        nn.Linear(a, b) for a, b in ((N_STATISTICS, width), (width, width), (width, 4))
    )
    d, s = nn.Dropout, nn.SiLU
    return nn.Sequential(
        d(_DROPPED), first, s(), d(_DROPPED), second, s(), d(_DROPPED), zeroed(last)
    )


class PriceNetwork(nn.Module):
    """``forward(y, x_mmse, size, features, scale)``: (n, 3), ``log(d + LEAST)``, ``log(C + LEAST)``, variance of the first's logarithm.

    Args:
        width: Of the hidden layers.
        members: Networks.
    """

    INPUTS = ("y", "x_mmse", "size", "features", "scale")
    OUTPUTS = ("price",)

    def __init__(self, width: int = 64, members: int = 4) -> None:
        super().__init__()
        self.sizes = {"width": width, "members": members}
        self.statistics = PictureStatistics()
        self.register_buffer("mean", torch.zeros(N_STATISTICS))
        self.register_buffer("factor", torch.ones(N_STATISTICS))
        self.members = nn.ModuleList(_member(width) for _ in range(members))

    def answers(self, statistics: Tensor) -> Tensor:
        """Of every member: means and log variances of the two logarithms, less the expected one; (members, n, 4)."""
        x = ((statistics - self.mean) * self.factor).clamp(-_CLIP, _CLIP)
        return torch.stack([member(x) for member in self.members])

    def from_statistics(self, statistics: Tensor) -> Tensor:
        """As ``forward``, from (n, N_STATISTICS)."""
        found = self.answers(statistics)
        means = statistics[:, -1:] + found[..., :2].mean(0)
        own = found[..., 2].clamp(*_LOG_VARIANCES).exp().mean(0)
        apart = (found[..., 0] - found[..., 0].mean(0)).square().mean(0)
        return torch.cat([means, torch.log(own + apart)[:, None]], 1)

    def forward(
        self, y: Tensor, x_mmse: Tensor, size: Tensor, features: Tensor, scale: Tensor
    ) -> Tensor:
        """See the class."""
        return self.from_statistics(self.statistics(y, x_mmse, size, features, scale))


def fit_price_network(
    statistics: np.ndarray,
    mmse: np.ndarray,
    cost: np.ndarray,
    weight: np.ndarray,
    *,
    steps: int = 2500,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PriceNetwork:
    """Fit to measurements.

    Args:
        statistics: Shape (n, N_STATISTICS).
        mmse: Error of the estimate, shape (n,).
        cost: Transport cost, shape (n,).
        weight: How often each is drawn, shape (n,).
        steps: Of each member.
        progress: Called with (done, total).

    Raises:
        TrainingData: No measurements.
    """
    if not len(mmse):
        raise TrainingData("a price network needs measurements; give validation pictures")
    rng = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PriceNetwork()
        x = torch.from_numpy(statistics.astype(np.float32))
        d, c = (torch.from_numpy(np.log(v + LEAST).astype(np.float32)) for v in (mmse, cost))
        y = torch.stack([d, c], 1) - x[:, -1:]
        spread = x.std(0, correction=0)
        network.mean.copy_(x.mean(0))
        network.factor.copy_(torch.where(spread > 1e-4, 1 / spread.clamp(min=1e-4), 0.0))
        adam = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=1e-2)
        for step in range(steps):
            for group in adam.param_groups:
                group["lr"] = _RATE * min(1.0, (steps - step) / (0.7 * steps))
            pick = rng.choice(len(x), _BATCH, p=weight / weight.sum())
            found = network.answers(x[pick])
            log_variance = found[..., 2:].clamp(*_LOG_VARIANCES)
            error = (found[..., :2] - y[pick]).square()
            loss = (error * torch.exp(-log_variance) + log_variance).mean((1, 2)).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
            progress(step + 1, steps)
    return network.eval()
