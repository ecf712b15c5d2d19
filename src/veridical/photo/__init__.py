"""The photo codec: networks, integer prior, tiling, shipped weights, .vdc files."""
