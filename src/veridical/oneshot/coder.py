"""``veridical.SampleCoder``: a codec designed from samples, as an estimator of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.errors import InvalidSetting, typed_errors
from veridical.extras import require
from veridical.oneshot.samples import design

_base = require("sklearn.base")
_validation = require("sklearn.utils.validation")


class SampleCoder(_base.TransformerMixin, _base.BaseEstimator):  # type: ignore[misc] (sklearn has no types)
    """A one-shot codec of samples, for use alone or at the end of a pipeline.

    ``fit`` designs the codec (:func:`veridical.design`), ``encode`` gives indices, ``decode`` reconstructions at
    any realism, and ``score`` minus the error. ``transform`` is ``encode`` with the indices as a column, and
    ``inverse_transform`` is ``decode``, so that a pipeline codes and reconstructs.

    Args:
        rate_bits: Bits per sample.
        seeds: Number of seed symbols of the common randomness.
        perception: Squared W2 distance for which to design; None for use at every one.
        variable_length: Whether the rate is an entropy instead of the length of an index.
        realism: Of ``decode`` where it is not told one: 0 (least error) to 1 (the law of the samples).
        seed: Common randomness of encoder and decoder.
        random_state: Of the design and of what ``decode`` draws: a whole number for the same result at
            every call, numpy's Generator, or None.

    Attributes:
        codec_: The codec (:class:`veridical.oneshot.samples.SampleCodec`), with price list, bytes and ``save``.
        n_features_in_: Coordinates of a sample.

    Source: [T] eqs 40, 44, 45, through :func:`veridical.design`.
    """

    def __init__(
        self,
        rate_bits: float = 1.0,
        *,
        seeds: int = 1,
        perception: float | None = None,
        variable_length: bool = False,
        realism: float = 0.0,
        seed: int = 0,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.rate_bits = rate_bits
        self.seeds = seeds
        self.perception = perception
        self.variable_length = variable_length
        self.realism = realism
        self.seed = seed
        self.random_state = random_state

    @typed_errors()
    def fit(self, X: ArrayLike, y: object = None) -> SampleCoder:
        """Design the codec.

        Args:
            X: Samples, shape (n, d).
            y: Not read.

        Raises:
            InvalidSetting: As :func:`veridical.design`.
        """
        del y
        x = _validation.validate_data(self, X, dtype=np.float64)
        self.codec_ = design(
            x, rate_bits=self.rate_bits, seeds=self.seeds, perception=self.perception,
            variable_length=self.variable_length, rng=np.random.default_rng(self.random_state),
        )  # fmt: skip
        return self

    @typed_errors()
    def encode(self, X: ArrayLike) -> NDArray[np.int64]:
        """Indices of samples: shape (n, d) to (n,)."""
        _validation.check_is_fitted(self)
        x = _validation.validate_data(self, X, dtype=np.float64, reset=False)
        return self.codec_.encode(x, seed=self.seed)

    @typed_errors()
    def decode(self, index: ArrayLike, *, realism: float | None = None) -> NDArray[np.float64]:
        """Reconstructions of indices: shape (n,) or (n, 1) to (n, d).

        Args:
            index: From :meth:`encode` or :meth:`transform`.
            realism: 0 to 1; None for the one of the constructor.

        Raises:
            InvalidSetting: Another shape, what is no index of this codec, or a realism outside [0, 1].
        """
        _validation.check_is_fitted(self)
        z = np.asarray(index)
        z = z[:, 0] if z.ndim == 2 and z.shape[1] == 1 else z
        if z.ndim != 1 or z.dtype.kind not in "iu":
            raise InvalidSetting(
                f"indices are whole numbers of shape (n,) or (n, 1), not {z.dtype} of shape {z.shape}"
            )
        if z.size and not 0 <= z.min() <= z.max() < self.codec_.outputs:
            raise InvalidSetting(f"indices of this codec go from 0 to {self.codec_.outputs - 1}")
        a = self.realism if realism is None else realism
        rng = np.random.default_rng(self.random_state)
        return self.codec_.decode(z, rng, realism=a, seed=self.seed)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Minus the mean squared error per sample, ``-E|X - X^|^2``, at the realism of the constructor."""
        del y
        x = np.asarray(X, dtype=np.float64)
        return -float(np.mean(np.sum((x - self.decode(self.encode(x))) ** 2, axis=1)))

    def transform(self, X: ArrayLike) -> NDArray[np.int64]:
        """Indices as a column, shape (n, 1)."""
        return self.encode(X)[:, None]

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Reconstructions of a column of indices."""
        return self.decode(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
