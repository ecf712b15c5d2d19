"""The command ``veridical design``: codecs for any samples, with predicted and measured prices."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import typer

from veridical.batch import Engine, Outcome, Task, run_batch
from veridical.cli import terminal
from veridical.cli.files import check_output
from veridical.cli.many import EngineName, check_all_done
from veridical.cli.photo import Force
from veridical.cli.samples import MOST_NUMBERS, read_samples
from veridical.cli.tables import AsCsv, AsJson, Perceptions, Rates, Row, numbers, show
from veridical.errors import InvalidSetting

_HEADS = {
    "rate_bits": "R", "seeds": "K", "perception": "P", "mmse": "d", "transport_cost": "C",
    "predicted": "D price", "measured": "D found", "standard_error": "s.e.",
}  # fmt: skip


def design(
    file: Annotated[
        Path, typer.Argument(help="Samples: .npy (n, d) or CSV with one sample a line.")
    ],
    *,
    rate: Rates = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seeds",
            "-k",
            help="Number of codebooks K that a seed chooses from (default: 1); repeat for several.",
        ),
    ] = None,
    perception: Perceptions = None,
    variable_length: Annotated[
        bool, typer.Option(help="Entropy-constrained cells; the rate is that of the real coder.")
    ] = False,
    method: Annotated[
        Literal["codebook", "trellis", "lattice"],
        typer.Option(
            help="codebook (few dimensions and bits), or trellis or lattice (8 to 1,000 dimensions)."
        ),
    ] = "codebook",
    common_bits: Annotated[
        float,
        typer.Option(help="Trellis and lattice: bits of common randomness a component, or inf."),
    ] = 0.0,
    seed: Annotated[
        int, typer.Option(help="Seed of the split of the samples, the design and the measurement.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Save the codec (.npz) for veridical samples; one design only."),
    ] = None,
    max_numbers: Annotated[
        int, typer.Option(help="Most numbers (samples times dimension) that are read.")
    ] = MOST_NUMBERS,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Designs at a time.")] = None,
    engine: EngineName = "loky",
    force: Force = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Design codecs for every rate, number of seeds and perception; half of the samples measure them."""
    from veridical.studies.sweep import DesignJob, design_row, designed

    if method != "codebook" and (seeds or variable_length):
        raise InvalidSetting(
            "--seeds and --variable-length are of codebooks; trellis and lattice take --common-bits "
            "and are of variable length"
        )
    if method == "codebook" and common_bits:
        raise InvalidSetting("--common-bits is of trellis and lattice; a codebook takes --seeds")
    if out is not None:
        check_output(out, file, force)
    samples = read_samples(file, max_numbers)
    tasks = [
        Task(
            f"{R:g} bits, K = {K}, P = {P:g}",
            DesignJob(samples, R, K, P, variable_length, seed, method, common_bits),
        )
        for R, K, P in product(
            numbers(rate, "rate"), seeds or [1], numbers(perception, "perception", "0")
        )
    ]

    if out is not None and len(tasks) > 1:
        raise InvalidSetting("--out saves one codec; give one rate, number of seeds and perception")

    def say(outcome: Outcome) -> None:
        if outcome.error is not None:
            terminal.fail(f"{outcome.key}: {outcome.error}")

    if len(tasks) == 1:
        with terminal.progress("designing"):
            codec, row = designed(tasks[0].payload)
        if out is not None:
            codec.save(out)
        show(_narrow([row], as_json or as_csv), as_json, as_csv)
        return
    with terminal.progress("designing") as update:
        summary = run_batch(
            design_row, tasks, engine=Engine(engine, jobs), progress=update, report=say
        )
    rows = [o.result for o in summary.outcomes if o.error is None]
    if rows:
        show(_narrow(rows, as_json or as_csv), as_json, as_csv)
    check_all_done(summary)


def _narrow(rows: list[Row], whole: bool) -> list[Row]:
    """Short heads and five digits, so that a table fits 80 columns; JSON and CSV keep all."""
    if whole:
        return rows
    return [
        {_HEADS.get(k, k): float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]
