"""Training of the one flow that serves all codes of digits, and what it makes of the test digits."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veridical.estimate.digit_pairs import Pairs
from veridical.generate.digit_flow import DigitFlow, DigitFlowGenerator
from veridical.oneshot.digits import DigitNetworks
from veridical.training.digit_loop import Limits, load_state
from veridical.training.digit_outputs import as_bytes, load_output, save_output
from veridical.training.digit_rows import Budget, PairRow
from veridical.training.loop import Schedule

__all__ = ["ROUNDS", "Code", "codes_of", "flow_outputs"]

ROUNDS = ("flow", "reflow")
"""The generators: the flow as first trained, and after a round of reflow."""

_SEED = 2718
_SIMULATED = 4000


@dataclass(frozen=True, kw_only=True)
class Code:
    """One constructive code.

    Attributes:
        dim, levels: of its index.
        seeds: ``K``, networks that the seed switches.
        dithered: subtractive dither.
    """

    dim: int
    levels: int
    seeds: int = 1
    dithered: bool = False

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"code-{self.dim}-{self.levels}-" + ("dither" if self.dithered else str(self.seeds))

    def members(self, rows: tuple[PairRow, ...]) -> list[int]:
        """Places of its networks among the estimators."""
        wanted = [
            PairRow(dim=self.dim, levels=self.levels, copy=c, dithered=self.dithered)
            for c in range(self.seeds)
        ]
        return [rows.index(row) for row in wanted]


def codes_of(budget: Budget) -> tuple[Code, ...]:
    """Every rate with ``K = 1``, and some with ``K = 2, 4`` and dither."""
    plain = [Code(dim=r.dim, levels=r.levels) for r in budget.rows if r.weight == 0]
    more = [Code(dim=d, levels=L, seeds=k) for d, L in budget.seeded for k in (2, 4)]
    more += [Code(dim=d, levels=L, dithered=True) for d, L in budget.seeded]
    return (*plain, *more)


def _networks(
    budget: Budget, state: Mapping[str, Any], code: Code, limits: Limits
) -> DigitNetworks:
    rows = budget.estimators
    places = code.members(rows)
    pairs = Pairs([rows[e].member for e in places], budget.shape, limits.mode)
    pairs.put({k: v[torch.tensor(places)] for k, v in state["pairs"].items()})
    return DigitNetworks(pairs.to(limits.device))


def flow_outputs(
    budget: Budget, train: Tensor, test: Tensor, work: Path, out: Path, limits: Limits
) -> bool:
    """Train the flow with a round of reflow and write one file for each code; ``False`` if time ran out.

    Args:
        budget: sizes.
        train: training digits on the device.
        test: test digits.
        work: folder with the estimators' state and for checkpoints.
        out: folder of the files ``<code>.npz``.
        limits: device, time, reports.
    """
    codes = codes_of(budget)
    if all(load_output(out / f"{code.name}.npz") is not None for code in codes):
        return True
    state = load_state(work / "first-squared.pt", budget.digest(budget.estimators))
    if state is None:
        return False
    networks = [_networks(budget, state, code, limits) for code in codes]
    x = train.cpu().double().numpy()
    tables = torch.stack([
        torch.from_numpy(as_bytes(torch.from_numpy(net.estimate(net.encode(x, _SEED), _SEED))))
        for net in networks
    ])  # fmt: skip
    rounds = _rounds(budget, train, tables.to(limits.device), work, limits)
    if rounds is None:
        return False
    return _write(budget, codes, networks, rounds, train, test, out, state)


def _rounds(
    budget: Budget, train: Tensor, tables: Tensor, work: Path, limits: Limits
) -> list[tuple[DigitFlow, float]] | None:
    """Networks after the first round and after reflow, with the seconds each took."""
    size = budget.flow
    spread = float((train - train.mean(0)).square().mean().sqrt())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(31)
        first = DigitFlow(
            pixels=train.shape[1], codes=len(tables), width=size.width, depth=size.depth,
            noise=size.noise * spread,
        ).to(limits.device)  # fmt: skip

    def posterior(random: torch.Generator, n: int) -> tuple[Tensor, Tensor, Tensor]:
        code = torch.randint(len(tables), (n,), generator=random, device=limits.device)
        pick = torch.randint(len(train), (n,), generator=random, device=limits.device)
        noise = torch.randn(n, train.shape[1], generator=random, device=limits.device)
        return tables[code, pick].float() / 255 + first.noise * noise, train[pick], code

    done = _fit("flow", first, posterior, size.steps, budget, work, limits)
    if done is None:
        return None
    starts, ends, which = _simulated(done[0], posterior, size.reflow_pairs, budget, limits)

    def carried(random: torch.Generator, n: int) -> tuple[Tensor, Tensor, Tensor]:
        pick = torch.randint(len(starts), (n,), generator=random, device=limits.device)
        return starts[pick].float(), ends[pick].float() / 255, which[pick]

    again = _fit("reflow", copy.deepcopy(done[0]), carried, size.reflow_steps, budget, work, limits)
    return None if again is None else [done, again]


def _simulated(
    flow: DigitFlow, draw: Callable[..., tuple[Tensor, Tensor, Tensor]], pairs: int,
    budget: Budget, limits: Limits,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Starts, and the ends that the flow carried them to."""
    random = torch.Generator(limits.device).manual_seed(77)
    parts = []
    for first in range(0, pairs, _SIMULATED):
        start, _, code = draw(random, min(_SIMULATED, pairs - first))
        end = flow.carry(start, code, budget.flow.integration_steps)
        parts.append((start.half(), (end * 255).round().to(torch.uint8), code))
    starts, ends, codes = (torch.cat(column) for column in zip(*parts, strict=True))
    return starts, ends, codes


def _fit(
    name: str, network: DigitFlow, draw: Callable[..., tuple[Tensor, Tensor, Tensor]], steps: int,
    budget: Budget, work: Path, limits: Limits,
) -> tuple[DigitFlow, float] | None:  # fmt: skip
    """Least squares of the velocity, from the checkpoint if there is one; the averaged network."""
    path = work / f"{name}.pt"
    digest = f"{budget.digest(budget.estimators)} {budget.flow} {name}"
    averaged = copy.deepcopy(network).requires_grad_(False)
    network.train().requires_grad_(True)
    schedule = Schedule(steps=steps, learning_rate=budget.flow.rate)
    adam = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    step, already = 0, 0.0
    saved = load_state(path, digest)
    if saved is not None:
        averaged.load_state_dict(saved["averaged"])
        step, already = saved["step"], saved["seconds"]
        if step < steps:
            network.load_state_dict(saved["network"])
            adam.load_state_dict(saved["adam"])
    began = last = time.monotonic()
    narrow = (
        torch.autocast("cuda", torch.bfloat16)
        if budget.bfloat16 and limits.device.startswith("cuda")
        else contextlib.nullcontext()
    )
    while step < steps:
        for group in adam.param_groups:
            group["lr"] = schedule.rate(step)
        random = torch.Generator(limits.device).manual_seed(1000 * step + len(name))
        start, end, code = draw(random, budget.flow.batch)
        t = torch.rand(len(start), 1, generator=random, device=limits.device)
        with narrow:
            guess = network(torch.lerp(start, end, t), t, code).float()
        # The velocity's error is that of the end over 1 - t. Its square, which is larger late on the
        # way where little is left to decide, is weighted down by 1 - t, so that shapes come first.
        loss = ((guess - end).square() / (1.05 - t)).sum(1).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 100.0)
        adam.step()
        step += 1
        schedule.follow(averaged, network, step)
        now = time.monotonic()
        over = now > limits.until and step < steps
        if over or step == steps or now - last >= limits.checkpoint_seconds:
            kept: dict[str, Any] = {"averaged": averaged.state_dict(), "step": step}
            if step < steps:
                kept |= {"network": network.state_dict(), "adam": adam.state_dict()}
            kept |= {"digest": digest, "seconds": already + now - began}
            torch.save(kept, path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)
            last = now
        if over:
            return None
        limits.progress(step, steps)
    seconds = already + time.monotonic() - began
    limits.say(f"{name}: {steps} steps, {seconds:.0f} s")
    return averaged.eval(), seconds


def _write(
    budget: Budget, codes: tuple[Code, ...], networks: list[DigitNetworks],
    rounds: list[tuple[DigitFlow, float]], train: Tensor, test: Tensor, out: Path,
    state: Mapping[str, Any],
) -> bool:  # fmt: skip
    """Code the digits with every code and write its file."""
    x, y = (a.cpu().double().numpy() for a in (train, test))
    for number, (code, net) in enumerate(zip(codes, networks, strict=True)):
        index = net.encode(y, _SEED)
        x_mmse = net.estimate(index[: len(y) // 2], _SEED)
        arrays: dict[str, Any] = {
            "index": index.astype(np.uint8), "x_mmse": as_bytes(torch.from_numpy(x_mmse)),
            "train_index": net.encode(x, _SEED).astype(np.uint8),
        }  # fmt: skip
        for name, (flow, _) in zip(ROUNDS, rounds, strict=True):
            generator = DigitFlowGenerator(flow, number, budget.flow.integration_steps)
            x_real = generator.generate(x_mmse, np.random.default_rng([5, number]))
            # Files of their own, so that none is larger than what a bare machine hands back.
            drawn = {"pictures": as_bytes(torch.from_numpy(x_real))}
            save_output(out / f"{code.name}-{name}.npz", {"code": code.name}, drawn)
        facts = {
            "code": code.name, "dim": code.dim, "levels": code.levels, "seeds": code.seeds,
            "dithered": code.dithered, "seed": _SEED, "preset": budget.name,
            "estimator_seconds": state["seconds"] * code.seeds / len(budget.estimators),
            "flow_seconds": [seconds for _, seconds in rounds], "codes": len(codes),
        }  # fmt: skip
        save_output(out / f"{code.name}.npz", facts, arrays)
    return True
