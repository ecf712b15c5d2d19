"""Pairs of digits together against one after the other: seconds of a step, on this machine.

python benchmarks/digits.py [--preset cpu] [--device cuda] [--pairs 5]
"""

import argparse

import torch

from veridical.studies.mnist.presets import budget_named
from veridical.studies.mnist.training.adversarial import Job, Runtime, seconds_of_a_step
from veridical.studies.mnist.training.layers import ConvolutionMode
from veridical.training.loop import keep_memory


def main() -> None:
    """Print the time of a step per pair, alone and together, for each way of convolving."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    keep_memory()
    if given.device == "cpu":
        torch.set_num_threads(1)
    budget = budget_named(given.preset)
    digits = torch.rand(20 * budget.batch, budget.shape.side**2, device=given.device)
    rows = budget.rows[: given.pairs]
    for adversarial in (False, True):
        for mode in ConvolutionMode:
            runtime = Runtime(device=given.device, mode=mode)
            alone, together = (
                seconds_of_a_step(
                    Job(name="benchmark", rows=part, adversarial=adversarial),
                    budget, digits, runtime, steps=given.steps,
                ) / len(part)
                for part in (rows[:1], rows)
            )  # fmt: skip
            kind = "with critics" if adversarial else "lambda = 0"
            print(
                f"{kind:13} {mode.value:8} one pair {1e3 * alone:8.2f} ms, "
                f"of {len(rows)} together {1e3 * together:8.2f} ms a pair, ratio {alone / together:5.2f}"
            )


if __name__ == "__main__":
    main()
