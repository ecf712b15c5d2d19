"""Digits: the experiment of [BM], section 4, and the constructive route beside it."""
