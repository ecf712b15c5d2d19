"""The learned ``.vdc`` format."""

from __future__ import annotations

from veridical.bitstream.container import SIGNATURE
from veridical.errors import UnsupportedFormat


class _Vdc:
    name, suffixes, features = "VDC", (".vdc",), ()

    def sniff(self, head):
        return head[:4] == SIGNATURE[:4]

    def check(self, target, options):
        raise UnsupportedFormat("no")

    encode = open = check


VDC = _Vdc()
