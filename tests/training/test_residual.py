"""Coordinates of the networks: what is seen as detail."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from veridical.training.residual import detail


@pytest.mark.parametrize("size", [(16, 16), (48, 32)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_detail_is_the_departure_from_the_mean_of_nine_by_nine(size, order):
    # Oracle: torch's average pooling, which counts only what lies in the picture; 1e-6.
    y = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(0))
    expected = y - avg_pool2d(y, 9, 1, 4, count_include_pad=False)
    seen = detail(y.contiguous(memory_format=order), torch.tensor(0.5))
    assert torch.allclose(seen, expected, rtol=0, atol=1e-6)
