"""Quantizers: from a source sample to an integer index and back."""

from veridical.quantize.codebook import (
    Codebook,
    CodebookEncoder,
    cell_entropy_bits,
    conditional_means,
    entropy_constrained,
    lloyd,
)

__all__ = [
    "Codebook",
    "CodebookEncoder",
    "cell_entropy_bits",
    "conditional_means",
    "entropy_constrained",
    "lloyd",
]
