"""Generators: from the least-squares estimate to a sample that looks like the source.

All have one method, ``generate(x_mmse, rng, context) -> x_real``, and may stand in any codec; only the
transport cost ``C = E|X~ - X-|^2`` differs, which is what realism costs. Which one should I use?

* **An optimal plan** (:mod:`~veridical.generate.plan`): ``C = W2^2``, the least there is. For samples
  whose plan can be computed; what :func:`veridical.design` takes.
* **Posterior sampling** (:mod:`~veridical.generate.posterior`): ``C = d``, optimal without common
  randomness only ([T] Prop. 2), but nothing has to be solved.
* **A rectified flow** (:mod:`~veridical.generate.sample_flow`): a network, for any dimension and for
  samples that are never stored; between the two in cost, nearer to the first after reflow.
* **A pursuit map** (:mod:`~veridical.generate.pursuit_map`): affine, then monotone along directions; nearly
  ``W2^2`` for estimates with a density, in any dimension and without a network.

``veridical.oneshot.swap.with_generator`` puts one in the place of another and measures its cost.
"""
