"""Couplings, maps and Wasserstein distances between laws and sample sets.

Which one should I use?

* **Two finite sets, up to some thousands of points each:** :func:`exact_plan`, with a certificate;
  in one dimension it sorts and takes millions.
* **Many samples, few sites:** :func:`plan_to_sites`; the potentials of :func:`learn_cells` assign
  new samples too.
* **Two large sets and a smooth answer:** :func:`sinkhorn`, which brackets the exact one.

All costs are squared Euclidean distances. For a distance with its standard error between samples
of two laws see :mod:`veridical.measure`.
"""

from veridical.transport.cells import LaguerreCells, Sampler, learn_cells, power_assign
from veridical.transport.entropic import Sinkhorn, sinkhorn
from veridical.transport.exact import exact_plan, plan_on_a_line
from veridical.transport.plan import Plan, squared_distances, weighted_points
from veridical.transport.refine import plan_to_sites, refined_plan

__all__ = [
    "LaguerreCells",
    "Plan",
    "Sampler",
    "Sinkhorn",
    "exact_plan",
    "learn_cells",
    "plan_on_a_line",
    "plan_to_sites",
    "power_assign",
    "refined_plan",
    "sinkhorn",
    "squared_distances",
    "weighted_points",
]
