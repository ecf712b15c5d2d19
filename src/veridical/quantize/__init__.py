"""Quantizers: from a source sample to an integer index and back."""
