"""Training of the networks for conventional formats: estimator, flow, one round of reflow.

All stages work in units of the residual scale ``s`` (see ``photo.condition``):

* estimator: ``x_mmse = y + s N(y)``, loss ``w(y) |x - x_mmse|^2``; the weight depends on what the
  decoder sees alone, so the minimiser stays ``E[x | y]``;
* spread: a head of the estimator learns the local size of ``x - x_mmse``, by Gaussian likelihood;
* flow: from standard normal noise to the whitened residual (``training.flow_parts``);
* reflow: the same with ``r`` replaced by the flow's own end point from that ``n``, which makes
  the lines straight enough for few steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from veridical.generate.flow import integrate_on_arcs
from veridical.training.flow_parts import (
    end_loss,
    interpolate_path,
    normal_noise,
    spread_loss,
    stratified_times,
)
from veridical.training.loop import train
from veridical.training.networks import RestorationNetwork, to_channels_last
from veridical.training.photo_data import Pairs
from veridical.training.photo_parts import (
    Batches,
    Preset,
    Report,
    accelerator_for,
    estimator_config,
    finish,
    flow_config,
    load_stage,
)
from veridical.training.residual import estimate, predict_residual, whiten
from veridical.training.warm_start import warm_start
from veridical.writing import write_text

if TYPE_CHECKING:
    from accelerate import Accelerator

    from veridical.training.photo_parts import Start


def train_estimator(
    pairs: Pairs,
    preset: Preset,
    run: Path,
    report: Report,
    *,
    seed: int = 1,
    seconds: float | None = None,
    start: Start | None = None,
) -> nn.Module | None:
    """Least-squares stage; ``None`` if ``seconds`` ran out, as for the other stages.

    With ``start`` it goes on from that model's estimator, where the shapes agree.
    """
    accelerator = accelerator_for(preset)
    batches = Batches(pairs, preset, seed, accelerator)
    torch.manual_seed(seed)  # initial weights only; nothing else reads the global generator
    model = RestorationNetwork(estimator_config(preset, spread=False))
    if start is not None:
        warm_start(model, start.estimator)
    model = to_channels_last(model)

    def loss(network: RestorationNetwork, step: int) -> Tensor:
        x, y, features, scale = batches(step)
        with accelerator.autocast():
            out, _ = estimate(network, y, features, scale)
        return ((out.float() - x) ** 2 * _weight(y, scale)).mean()

    result = train(
        model, loss, preset.estimator, run / "estimator.ckpt", accelerator=accelerator, hidden=model.hidden_weights(), stop_after_seconds=seconds,
        report=lambda s, v, t: report("estimator", s, preset.estimator.steps, v, t),
    )  # fmt: skip
    return finish("estimator", result, run)


def _weight(y: Tensor, scale: Tensor) -> Tensor:
    """Inverse of the squared error to expect of a patch, from what the decoder sees of it.

    Busy patches have larger errors; measured on the training files, in proportion to the 0.27th
    power of the gradient energy. Without this a few of them would drown all others.
    """
    grey = y.mean(1, keepdim=True)
    energy = grey.diff(dim=2).square().mean((1, 2, 3)) + grey.diff(dim=3).square().mean((1, 2, 3))
    return 1 / (scale**2 * (energy[:, None, None, None] / scale**2 + 0.01) ** 0.27)


def train_spread(
    pairs: Pairs,
    preset: Preset,
    run: Path,
    report: Report,
    *,
    seed: int = 4,
    seconds: float | None = None,
) -> nn.Module | None:
    """The head that predicts the local size of the error; nothing else of the estimator moves."""
    accelerator = accelerator_for(preset)
    batches = Batches(pairs, preset, seed, accelerator)
    trained = load_stage("estimator", estimator_config(preset, spread=False), run)
    torch.manual_seed(seed)
    model = RestorationNetwork(estimator_config(preset)).requires_grad_(False)
    model.load_state_dict(trained.state_dict(), strict=False)
    model.spread.requires_grad_(True)
    model = to_channels_last(model)

    def loss(network: RestorationNetwork, step: int) -> Tensor:
        x, y, features, scale = batches(step)
        with accelerator.autocast():
            out, size = estimate(network, y, features, scale)
        return spread_loss(x - out.float(), size.float(), scale)

    result = train(
        model, loss, preset.spread, run / "spread.ckpt", accelerator=accelerator, hidden=model.hidden_weights(), stop_after_seconds=seconds,
        report=lambda s, v, t: report("spread", s, preset.spread.steps, v, t),
    )  # fmt: skip
    return finish("spread", result, run)


def _flow_loss(
    network: RestorationNetwork,
    estimator: RestorationNetwork,
    accelerator: Accelerator,
    seen: tuple[Tensor, Tensor, Tensor],
    ends: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    time: Tensor,
) -> Tensor:
    """:func:`end_loss` on the line between ``n, r = ends(x_mmse, size)``."""
    y, features, scale = seen
    with accelerator.autocast():
        with torch.no_grad():
            x_mmse, size = estimate(estimator, y, features, scale)
        n, r = ends(x_mmse, size)
        u = interpolate_path(n, r, time)
        out = predict_residual(network, u, time, x_mmse, size, y, features, scale)
    return end_loss(out, r, time)


def train_flow(
    pairs: Pairs,
    preset: Preset,
    run: Path,
    report: Report,
    *,
    seed: int = 2,
    seconds: float | None = None,
    start: Start | None = None,
) -> nn.Module | None:
    """Rectified-flow stage; begins with the weights of the estimator where the shapes agree.

    With ``start`` it begins with that model's flow instead.
    """
    accelerator = accelerator_for(preset)
    batches = Batches(pairs, preset, seed, accelerator)
    estimator = load_stage("spread", estimator_config(preset), run)
    estimator = to_channels_last(estimator.to(accelerator.device))
    torch.manual_seed(seed)
    model = RestorationNetwork(flow_config(preset))
    warm_start(model, estimator if start is None else start.flow)
    model = to_channels_last(model)

    def loss(network: RestorationNetwork, step: int) -> Tensor:
        x, y, features, scale = batches(step)

        def ends(x_mmse: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
            r = whiten(x - x_mmse, size, scale).float()
            noise = normal_noise((preset.batch_size, *r.shape[1:]), [seed, step, 0], r.device)
            return batches.mine(noise), r

        time = batches.mine(stratified_times(preset.batch_size, [seed, step, 7], x.device))
        return _flow_loss(network, estimator, accelerator, (y, features, scale), ends, time)

    result = train(
        model, loss, preset.flow, run / "flow.ckpt", accelerator=accelerator, hidden=model.hidden_weights(), stop_after_seconds=seconds,
        report=lambda s, v, t: report("flow", s, preset.flow.steps, v, t),
    )  # fmt: skip
    return finish("flow", result, run)


def _reflow_pairs(
    pairs: Pairs,
    preset: Preset,
    run: Path,
    report: Report,
    seed: int,
    accelerator: Accelerator,
    flow: RestorationNetwork,
    estimator: RestorationNetwork,
) -> np.memmap:
    """End points of the flow for ``reflow_batches`` batches, half precision, resumable."""
    batches = Batches(pairs, preset, seed, accelerator)
    shape = (preset.reflow_batches, preset.batch_size, 3, preset.patch, preset.patch)
    path, mark = run / "reflow.f16", run / f"reflow.done-{'-of-'.join(map(str, batches.part))}"
    with accelerator.main_process_first():
        new = not path.exists() or path.stat().st_size != 2 * int(np.prod(shape))
        for old in run.glob("reflow.done-*") if new else ():
            old.unlink()  # before the file is made anew, which they would call full
        store = np.memmap(path, dtype=np.float16, mode="w+" if new else "r+", shape=shape)
    first = int(mark.read_text(encoding="utf-8")) if mark.exists() else 0
    with torch.inference_mode():
        for step in range(first, preset.reflow_batches):
            _, y, features, scale = batches(step)
            with accelerator.autocast():
                x_mmse, size = estimate(estimator, y, features, scale)
                n = batches.mine(normal_noise(shape[1:], [seed, step], y.device))

                def predict(u: Tensor, time: float) -> Tensor:
                    t = torch.full((len(u),), time, device=u.device)
                    return predict_residual(flow, u, t, x_mmse, size, y, features, scale).float()  # noqa: B023 (used at once)

                store[step, batches.part[0] :: batches.part[1]] = (
                    integrate_on_arcs(predict, n, preset.reflow_steps)
                    .cpu()
                    .numpy()
                    .astype(np.float16)
                )
            if step % 10 == 9 or step + 1 == preset.reflow_batches:
                store.flush()
                write_text(mark, str(step + 1))
                report("reflow pairs", step + 1, preset.reflow_batches, 0.0, 0.0)
    accelerator.wait_for_everyone()
    return store


def train_reflow(
    pairs: Pairs,
    preset: Preset,
    run: Path,
    report: Report,
    *,
    seed: int = 3,
    seconds: float | None = None,
) -> nn.Module | None:
    """One round of reflow."""
    accelerator = accelerator_for(preset)
    estimator = load_stage("spread", estimator_config(preset), run)
    flow = load_stage("flow", flow_config(preset), run)
    estimator, flow = (to_channels_last(m.to(accelerator.device)) for m in (estimator, flow))
    store = _reflow_pairs(pairs, preset, run, report, seed, accelerator, flow, estimator)
    batches = Batches(pairs, preset, seed, accelerator)
    model = RestorationNetwork(flow_config(preset))
    model.load_state_dict(flow.state_dict())
    model = to_channels_last(model.requires_grad_(True))

    def loss(network: RestorationNetwork, step: int) -> Tensor:
        k = int(np.random.default_rng([seed, step, 1]).integers(preset.reflow_batches))
        _, y, features, scale = batches(k)
        r = batches.mine(torch.from_numpy(store[k].astype(np.float32))).to(y.device)
        n = batches.mine(normal_noise(store.shape[1:], [seed, k], r.device))
        time = batches.mine(stratified_times(preset.batch_size, [seed, step, 7], r.device))
        seen = (y, features, scale)
        return _flow_loss(network, estimator, accelerator, seen, lambda *_: (n, r), time)

    result = train(
        model, loss, preset.reflow, run / "reflow.ckpt", accelerator=accelerator, hidden=model.hidden_weights(), stop_after_seconds=seconds,
        report=lambda s, v, t: report("reflow", s, preset.reflow.steps, v, t),
    )  # fmt: skip
    return finish("reflow", result, run)
