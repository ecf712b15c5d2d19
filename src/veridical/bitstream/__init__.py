"""From indices to bytes and back: integer tables, entropy coder, container."""

from veridical.bitstream.container import Container, Header
from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols, seed_key
from veridical.bitstream.integers import ZipfCode
from veridical.bitstream.tables import SymbolDecoder, SymbolEncoder, TableSet

__all__ = [
    "Container",
    "FrequencyTables",
    "Header",
    "SymbolDecoder",
    "SymbolEncoder",
    "TableSet",
    "ZipfCode",
    "decode_symbols",
    "encode_symbols",
    "seed_key",
]
