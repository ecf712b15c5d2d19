"""From indices to bytes and back: integer tables, entropy coder, container."""

from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols
from veridical.bitstream.integers import ZipfCode

__all__ = ["FrequencyTables", "ZipfCode", "decode_symbols", "encode_symbols"]
