"""Codecs of one-shot sources: the four parts, composed and priced."""
