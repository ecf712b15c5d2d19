"""The description for a package index: the README, whose relative links lead to the source."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Sets ``readme``."""

    def update(self, metadata: dict) -> None:
        """Make links and pictures absolute: an index shows neither files beside the README nor their folders.

        Without an address of the source links become their texts.
        """
        base = metadata.get("urls", {}).get("Source", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")

        def absolute(link: re.Match[str]) -> str:
            picture, text, place = link.groups()
            if not base:
                return "" if picture else text
            return f"{picture}[{text}]({base}/{'raw' if picture else 'blob'}/main/{place})"

        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _LINK.sub(absolute, text),
        }
