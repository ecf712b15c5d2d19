"""What every estimator asks of the indices it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridical.errors import InvalidSetting


def checked_indices(index: Any, outputs: int) -> NDArray[np.int64]:
    """Indices as an array of shape ``(n,)``.

    Raises:
        InvalidSetting: not a list of whole numbers from 0 to ``outputs - 1``.
    """
    array = np.asarray(index)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidSetting(
            f"an index is a list of integers, got {array.dtype} of shape {array.shape}"
        )
    if array.size and not (array.min() >= 0 and array.max() < outputs):
        raise InvalidSetting(
            f"indices from {array.min()} to {array.max()} do not fit {outputs} outputs; "
            "was it coded by another design?"
        )
    return array.astype(np.int64, copy=False)
