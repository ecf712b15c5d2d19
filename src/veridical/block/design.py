"""``veridical.design``: a working codec with its price list from nothing but samples, by any method.

>>> codec = veridical.design(samples, rate_bits=1, seeds=2, perception=0.0, rng=rng)  # up to 12 bits or so
>>> codec = veridical.design(samples, rate_bits=60, method="trellis", common_bits=0.5, rng=rng)  # any dimension
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from veridical.errors import InvalidSetting, typed_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike

    from veridical.block.transform import TransformCodec
    from veridical.oneshot.samples import SampleCodec
    from veridical.quantize.lattice import Family
    from veridical.quantize.trellis import Trellis


@overload
def design(
    samples: ArrayLike, *, method: Literal["codebook"] = "codebook", rate_bits: float,
    rng: np.random.Generator, **settings: Any,
) -> SampleCodec: ...  # fmt: skip
@overload
def design(
    samples: ArrayLike, *, method: Literal["trellis", "lattice"] | Trellis | Family, rate_bits: float,
    rng: np.random.Generator, common_bits: float = 0.0,
    progress: Callable[[int, int], None] = ...,
) -> TransformCodec: ...  # fmt: skip
@typed_errors()
def design(
    samples: ArrayLike,
    *,
    method: Any = "codebook",
    rate_bits: float,
    rng: np.random.Generator,
    **settings: Any,
) -> SampleCodec | TransformCodec:
    """Design a codec from samples.

    Args:
        samples: shape ``(n, d)``, or ``(n,)`` for numbers.
        method: ``"codebook"`` (:func:`veridical.oneshot.samples.design`: cells of any shape, best for few dimensions
            and bits), ``"trellis"`` (64 states) or a ``Trellis``, ``"lattice"`` (E8) or a ``Family``:
            :func:`veridical.block.transform_design.transform_codec`, for 8 to 1,000 dimensions and any rate.
        rate_bits: bits per sample, that is, per row.
        rng: source of all random choices of the design.
        settings: of the method: ``seeds``, ``perception``, ``weights``, ``variable_length``, ``search_settings``,
            ``plan_samples`` of a codebook, ``common_bits`` (per component that is sent) of the others,
            ``progress`` of both.

    Warns:
        UserWarning: samples that no such codec suits, with figures.

    Raises:
        InvalidSetting: bad samples or settings, or a setting that the method does not have.
        NotConverged: a plan was not found.
    """
    from veridical.arrays import check_rng
    from veridical.block.transform_design import transform_codec
    from veridical.oneshot import samples as oneshot
    from veridical.quantize.lattice import Family, gosset
    from veridical.quantize.trellis import Trellis

    check_rng(rng)
    code = Trellis(64) if method == "trellis" else gosset() if method == "lattice" else method
    if isinstance(code, Trellis | Family):
        _check_settings(settings, {"common_bits", "progress"}, method)
        return transform_codec(samples, code, rate_bits=rate_bits, rng=rng, **settings)
    if method != "codebook":
        raise InvalidSetting(
            f"method is 'codebook', 'trellis', 'lattice', a Trellis or a Family, not {method!r}"
        )
    _check_settings(
        settings,
        {"seeds", "perception", "weights", "variable_length", "search_settings", "plan_samples", "progress"},
        method,
    )  # fmt: skip
    return oneshot.design(samples, rate_bits=rate_bits, rng=rng, **settings)


def _check_settings(settings: dict[str, Any], known: set[str], method: object) -> None:
    if wrong := sorted(set(settings) - known):
        raise InvalidSetting(
            f"a design by {method!r} has no setting {', '.join(wrong)}; it takes {', '.join(sorted(known))}"
        )
