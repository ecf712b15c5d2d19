"""The codes of the constructive route: networks at lambda = 0, and one flow that serves them all.

With ``K`` seeds a code has ``K`` encoder-estimator networks, and the seed symbol of a digit chooses
one; with dither the seed gives the offset that the encoder adds before quantizing and the decoder
subtracts.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veridical.random import random_symbols, random_uniforms
from veridical.studies.mnist.presets import Budget
from veridical.studies.mnist.table import MAX_DIM, Code
from veridical.studies.mnist.training.adversarial import Runtime, autocast, load_state
from veridical.studies.mnist.training.flow import DigitFlow, DigitFlowGenerator
from veridical.studies.mnist.training.networks import Pairs
from veridical.studies.mnist.training.outputs import as_bytes
from veridical.studies.records import Record, make_folder, save_record
from veridical.training.loop import Schedule, train

Array = NDArray[np.float64]
Draw = Callable[[torch.Generator, int], tuple[Tensor, Tensor, Tensor]]
"""Starts, ends and codes of ``n`` paths."""

_SEED = 2718
_SIMULATED = 4000
_BATCH = 500
_DITHER_STREAM = 1


@dataclass(frozen=True)
class CodeNetworks:
    """Encoder and estimator of a code: ``K`` networks of one ``(dim, L)``, or one with dither."""

    pairs: Pairs

    def _run(
        self, x: NDArray[np.generic], seed: int, run: Callable[[Tensor, Tensor], Tensor]
    ) -> NDArray[Any]:
        """``run`` on batches by every network; each digit takes the result of its own.

        Args:
            x: what ``run`` is given, with the dither ``(n, 4)`` on +-1/2.
            seed: of the seed symbols, and of the dither of a dithered code.
            run: returns one result for each network.
        """
        n = len(x)
        symbols, dither = random_symbols(seed, n, len(self.pairs.members)), np.zeros((n, MAX_DIM))
        if self.pairs.members[0].dithered:
            uniforms = random_uniforms(seed, n * MAX_DIM, stream=_DITHER_STREAM)
            dither = uniforms.reshape(n, MAX_DIM) - 0.5
        device = self.pairs.get_buffer("bin").device
        out = []
        with torch.inference_mode():
            for first in range(0, n, _BATCH):
                part = slice(first, first + _BATCH)
                given = torch.from_numpy(np.ascontiguousarray(x[part])).to(device)
                u = torch.from_numpy(dither[part].astype(np.float32)).to(device)
                result = run(given, u)
                own = torch.from_numpy(symbols[part]).to(device)
                out.append(result[own, torch.arange(len(own), device=device)].cpu().numpy())
        return np.concatenate(out)

    def encode(self, x: Array, seed: int) -> NDArray[np.int64]:
        """Indices ``(n, dim)`` of digits ``(n, p)``."""
        pairs = self.pairs
        index = self._run(
            x.astype(np.float32), seed, lambda g, u: pairs.quantize(pairs.encode(g), u)[0]
        )
        return index[:, : pairs.members[0].dim].astype(np.int64)

    def estimate(self, index: NDArray[np.int64], seed: int) -> Array:
        """Estimates ``(n, p)`` of indices ``(n, dim)``."""
        members = len(self.pairs.members)

        def run(given: Tensor, u: Tensor) -> Tensor:
            return self.pairs.decode(self.pairs.lookup(given.expand(members, *given.shape), u))

        wide = np.pad(index, ((0, 0), (0, MAX_DIM - index.shape[1])))
        return self._run(wide, seed, run).astype(np.float64)


def _networks(
    budget: Budget, state: Mapping[str, Any], code: Code, runtime: Runtime
) -> CodeNetworks:
    rows = [budget.estimators.index(row) for row in code.rows]
    pairs = Pairs([row.member for row in code.rows], budget.shape, runtime.mode)
    pairs.load_state_dict({k: v[torch.tensor(rows)] for k, v in state["pairs"].items()})
    return CodeNetworks(pairs.eval().to(runtime.device))


def flow_outputs(
    budget: Budget, train_digits: Tensor, test: Tensor, work: Path, out: Path, runtime: Runtime
) -> bool:
    """Train the flow and its reflow, write the files of each code; ``False`` if time ran out.

    Args:
        budget: sizes.
        train_digits: training digits on the device.
        test: test digits.
        work: folder with the estimators' state and for checkpoints.
        out: folder of the files ``<code>.npz`` and ``<code>-<generator>.npz``.
        runtime: device, time, reports.
    """
    if all((out / f"{code.name}.npz").is_file() for code in budget.codes):
        return True
    state = load_state(work / "first-squared.pt", budget.digest(budget.estimators))
    if state is None:
        return False
    networks = [_networks(budget, state, code, runtime) for code in budget.codes]
    x = train_digits.cpu().double().numpy()
    estimates = [net.estimate(net.encode(x, _SEED), _SEED) for net in networks]
    tables = torch.from_numpy(np.stack([_bytes(e) for e in estimates]))
    flows = _flows(budget, train_digits, tables.to(runtime.device), work, runtime)
    if flows is None:
        return False
    _write(budget, networks, flows, x, test.cpu().double().numpy(), out, state["seconds"])
    return True


def _bytes(x: Array) -> NDArray[np.uint8]:
    return as_bytes(torch.from_numpy(x))


def _flows(
    budget: Budget, digits: Tensor, tables: Tensor, work: Path, runtime: Runtime
) -> dict[str, tuple[DigitFlow, float]] | None:
    """The flow and the one after reflow, with the seconds each took."""
    size, device = budget.flow, runtime.device
    spread = float((digits - digits.mean(0)).square().mean().sqrt())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(31)
        fresh = DigitFlow(
            pixels=digits.shape[1], codes=len(tables), width=size.width, depth=size.depth,
            noise=size.noise * spread,
        ).to(device)  # fmt: skip

    def posterior(random: torch.Generator, n: int) -> tuple[Tensor, Tensor, Tensor]:
        code = torch.randint(len(tables), (n,), generator=random, device=device)
        pick = torch.randint(len(digits), (n,), generator=random, device=device)
        noise = torch.randn(n, digits.shape[1], generator=random, device=device)
        return tables[code, pick].float() / 255 + fresh.noise * noise, digits[pick], code

    flow = _fit("flow", fresh, posterior, size.steps, budget, work, runtime)
    if flow is None:
        return None
    random = torch.Generator(device).manual_seed(77)
    parts = []
    for first in range(0, size.reflow_pairs, _SIMULATED):
        start, _, code = posterior(random, min(_SIMULATED, size.reflow_pairs - first))
        end = flow[0].integrate(start, code, size.integration_steps)
        parts.append((start.half(), (end * 255).round().to(torch.uint8), code))
    starts, ends, codes = (torch.cat(column) for column in zip(*parts, strict=True))

    def simulated(random: torch.Generator, n: int) -> tuple[Tensor, Tensor, Tensor]:
        pick = torch.randint(len(starts), (n,), generator=random, device=device)
        return starts[pick].float(), ends[pick].float() / 255, codes[pick]

    again = copy.deepcopy(flow[0]).requires_grad_(True)
    reflow = _fit("reflow", again, simulated, size.reflow_steps, budget, work, runtime)
    return None if reflow is None else {"flow": flow, "reflow": reflow}


def _fit(
    name: str, network: DigitFlow, draw: Draw, steps: int, budget: Budget, work: Path,
    runtime: Runtime,
) -> tuple[DigitFlow, float] | None:  # fmt: skip
    """Least squares of the velocity, from the checkpoint if there is one; the averaged network."""
    from accelerate import Accelerator

    def loss(network: DigitFlow, step: int) -> Tensor:
        random = torch.Generator(runtime.device).manual_seed(1000 * step + len(name))
        start, end, code = draw(random, budget.flow.batch)
        t = torch.rand(len(start), 1, generator=random, device=runtime.device)
        with autocast(budget, runtime.device):
            guess = network(torch.lerp(start, end, t), t, code).float()
        # The velocity's error is that of the end over 1 - t. Its square, which is larger late on the
        # way where little is left to decide, is weighted down by 1 - t, so that shapes come first.
        return ((guess - end).square() / (1.05 - t)).sum(1).mean()

    done = train(
        network, loss,
        Schedule(
            steps=steps, learning_rate=budget.flow.rate, clip_norm=100.0,
            checkpoint_seconds=runtime.checkpoint_seconds,
        ),
        work / f"{name}-{budget.digest(budget.estimators, flow=True)}.pt",
        accelerator=Accelerator(cpu=runtime.device == "cpu"),
        report=lambda step, loss, seconds: runtime.progress(step, steps),
        stop_after_seconds=runtime.until - time.monotonic(),
    )  # fmt: skip
    if done is None:
        return None
    runtime.say(f"{name}: {steps} steps, {done[1]['seconds']:.0f} s")
    return cast("DigitFlow", done[0]), done[1]["seconds"]


def _write(
    budget: Budget, networks: list[CodeNetworks], flows: Mapping[str, tuple[DigitFlow, float]],
    x: Array, y: Array, out: Path, estimator_seconds: float,
) -> None:  # fmt: skip
    """Code training digits ``x`` and test digits ``y`` with every code and write its files."""
    make_folder(out)
    for number, (code, net) in enumerate(zip(budget.codes, networks, strict=True)):
        index, train_index = net.encode(y, _SEED), net.encode(x, _SEED)
        # Seed symbols belong to places, so that a part is estimated as the first part of the whole.
        x_mmse = net.estimate(index[: len(y) // 2], _SEED)
        train_mmse = net.estimate(train_index[: budget.convergence.digits], _SEED)
        for name, (flow, _) in flows.items():
            generator = DigitFlowGenerator(flow, number, budget.flow.integration_steps)
            # Files of their own, so that none is larger than what a bare machine hands back.
            pictures = {
                key: _bytes(generator.generate(given, np.random.default_rng([salt, number])))
                for key, given, salt in (("pictures", x_mmse, 5), ("train_pictures", train_mmse, 6))
            }
            save_record(Record(f"{code.name}-{name}", {"code": code.name}, pictures), out)
        facts = {
            "code": code.name, "dim": code.dim, "levels": code.levels, "seeds": code.seeds,
            "dithered": code.dithered, "seed": _SEED, "preset": budget.name,
            "estimator_seconds": estimator_seconds * code.seeds / len(budget.estimators),
            "flow_seconds": [seconds for _, seconds in flows.values()], "codes": len(networks),
        }  # fmt: skip
        arrays: dict[str, Any] = {
            "index": index.astype(np.uint8), "train_index": train_index.astype(np.uint8),
            "x_mmse": _bytes(x_mmse), "train_x_mmse": _bytes(train_mmse),
        }  # fmt: skip
        save_record(Record(code.name, facts, arrays), out)
