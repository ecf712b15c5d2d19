"""From indices to bytes and back: integer tables, entropy coder, container."""

from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols

__all__ = ["FrequencyTables", "decode_symbols", "encode_symbols"]
