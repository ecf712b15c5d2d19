"""Block codes: lattice, random and group codes with common randomness, composed as codecs."""
