"""The search for ``R(D, P)``: what is known in closed form, then Newton paths and ascents of the dual."""

from __future__ import annotations

import numpy as np

from veridical.limits.bracket import Bracket
from veridical.limits.climb import TINY, climb
from veridical.limits.divergence import Divergence
from veridical.limits.finite import NormalForm
from veridical.limits.known import cheapest, forced, identity_or_constant
from veridical.limits.paths import LARGE, follow_paths


def search(
    form: NormalForm, divergence: Divergence | None, tolerance: float, max_iterations: int
) -> Bracket:
    """The bracket of a problem; it closes to ``tolerance`` nats, unless the arithmetic is in the way."""
    bracket = Bracket(form, divergence, tolerance, max_iterations)
    # Iterates that overflow are thrown away by the certificates, without warnings.
    with np.errstate(all="ignore"):
        for step in (identity_or_constant, forced, cheapest, _climb_first, follow_paths, climb):
            if not bracket.done:
                step(bracket)
    return bracket


def _climb_first(bracket: Bracket) -> None:
    """Transport costs for which the ascent is the shorter way."""
    form = bracket.form
    if form.cost is not None and (form.perception < TINY or form.d.size > LARGE):
        climb(bracket, careful=form.perception < TINY, whole=False)
