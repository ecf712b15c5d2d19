"""The codes of the constructive route: networks at lambda = 0, and one generator that serves them all.

With ``K`` seeds a code has ``K`` encoder-estimator networks, and the seed symbol of a digit chooses
one; with dither the seed gives the offset that the encoder adds before quantizing and the decoder
subtracts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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
from veridical.studies.mnist.training.adversarial import Runtime, autocast
from veridical.studies.mnist.training.classifier import DigitClassifier
from veridical.studies.mnist.training.generator import (
    NOISE,
    DigitGenerator,
    OneStepGenerator,
    law_distance,
)
from veridical.studies.mnist.training.networks import Pairs
from veridical.studies.mnist.training.outputs import as_bytes
from veridical.studies.records import Record, make_folder, save_record
from veridical.training.loop import Execution, Schedule, train

Array = NDArray[np.float64]
_SEED = 2718
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


def code_outputs(
    budget: Budget, digits: tuple[Tensor, Tensor], states: Sequence[Mapping[str, Any]],
    classifier: DigitClassifier, work: Path, out: Path, runtime: Runtime,
) -> bool:  # fmt: skip
    """Train the generator and write the files of each code; ``False`` if time ran out.

    Args:
        budget: sizes.
        digits: training and test digits on the device.
        states: what the estimators' first and second part left.
        classifier: on whose features laws are compared; not the one that judges.
        work: folder of checkpoints.
        out: folder of the files ``<code>.npz`` and ``<code>-real.npz``.
        runtime: device, time, reports.
    """
    networks = [_networks(budget, states[-1], code, runtime) for code in budget.codes]
    x, y = (part.cpu().double().numpy() for part in digits)
    estimates = [net.estimate(net.encode(x, _SEED), _SEED) for net in networks]
    tables = torch.from_numpy(np.stack([_bytes(e) for e in estimates])).to(runtime.device)
    trained = _generator(budget, digits[0], tables, classifier, work, runtime)
    if trained is None:
        return False
    seconds = [float(state["seconds"]) / len(budget.estimators) for state in states]
    _write(budget, networks, trained, x, y, out, seconds)
    return True


def _bytes(x: Array) -> NDArray[np.uint8]:
    return as_bytes(torch.from_numpy(x))


def _generator(
    budget: Budget, x: Tensor, tables: Tensor, classifier: DigitClassifier, work: Path,
    runtime: Runtime,
) -> tuple[DigitGenerator, float] | None:  # fmt: skip
    """The averaged generator, from its checkpoint if there is one, and the seconds it took.

    Args:
        budget: sizes.
        x: training digits, ``(n, p)``.
        tables: their estimates by every code as bytes, ``(codes, n, p)``.
        classifier: on whose features laws are compared.
        work: folder of the checkpoint.
        runtime: device, time, reports.
    """
    from accelerate import Accelerator

    size, device, codes = budget.generator, runtime.device, len(tables)
    variance = float((x - x.mean(0)).square().sum(1).mean())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(31)
        network = DigitGenerator(
            pixels=x.shape[1], codes=codes, width=size.width, depth=size.depth
        ).to(device)

    def loss(network: DigitGenerator, step: int) -> Tensor:
        random = torch.Generator(device).manual_seed(1000 * step)
        given, others = torch.randint(len(x), (2, size.batch), generator=random, device=device)
        noise = torch.randn(size.batch, NOISE, generator=random, device=device)
        code = torch.full((size.batch,), step % codes, device=device)
        with autocast(budget, device):
            x_real = network(tables[step % codes, given].float() / 255, noise, code).float()
        error = (x[given] - x_real).square().sum(1).mean() / variance
        return law_distance(classifier, x_real, x[others]) + size.error * error

    done = train(
        network, loss,
        Schedule(
            steps=size.steps, learning_rate=size.rate, clip_norm=100.0, average=0.995,
            checkpoint_seconds=runtime.checkpoint_seconds,
        ),
        Execution(
            work / f"generator-{budget.digest(budget.estimators, second=True, generator=True)}.pt",
            Accelerator(cpu=device == "cpu"), runtime.until - time.monotonic(),
            lambda step, loss, seconds: runtime.progress(step, size.steps),
        ),
    )  # fmt: skip
    if done is None:
        return None
    runtime.say(f"generator: {size.steps} steps, {done[1]['seconds']:.0f} s")
    return cast("DigitGenerator", done[0]), done[1]["seconds"]


def _write(
    budget: Budget, networks: list[CodeNetworks], trained: tuple[DigitGenerator, float],
    x: Array, y: Array, out: Path, estimator_seconds: list[float],
) -> None:  # fmt: skip
    """Code training digits ``x`` and test digits ``y`` with every code and write its files."""
    make_folder(out)
    for number, (code, net) in enumerate(zip(budget.codes, networks, strict=True)):
        index, train_index = net.encode(y, _SEED), net.encode(x, _SEED)
        # Seed symbols belong to places, so that a part is estimated as the first part of the whole.
        x_mmse = net.estimate(index[: len(y) // 2], _SEED)
        train_mmse = net.estimate(train_index[: budget.convergence.digits], _SEED)
        generator = OneStepGenerator(trained[0], number)
        facts = {
            "code": code.name, "dim": code.dim, "levels": code.levels, "seeds": code.seeds,
            "dithered": code.dithered, "seed": _SEED, "preset": budget.name,
            "estimator_seconds": [s * code.seeds for s in estimator_seconds],
            "generator_seconds": trained[1], "codes": len(networks),
        }  # fmt: skip
        arrays: dict[str, Any] = {
            "index": index.astype(np.uint8), "train_index": train_index.astype(np.uint8),
            "x_mmse": _bytes(x_mmse), "train_x_mmse": _bytes(train_mmse),
        }  # fmt: skip
        save_record(Record(code.name, facts, arrays), out)
        # A file of its own, so that none is larger than what a bare machine hands back.
        pictures = {
            key: _bytes(generator.generate(given, np.random.default_rng([salt, number])))
            for key, given, salt in (("x_real", x_mmse, 5), ("train_x_real", train_mmse, 6))
        }
        save_record(Record(f"{code.name}-real", {"code": code.name}, pictures), out)
