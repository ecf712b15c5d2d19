"""Shows on every page the figures of the studies that it names, from what the studies have drawn."""

import re
from pathlib import Path

from mkdocs.structure.files import File

DRAWN = Path("build/figures")
NAMED = re.compile(r"`veridical study ([a-z0-9-]+)`")


def on_files(files, config):
    """Add the drawn figures to the site."""
    for path in sorted(DRAWN.glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Append the figures of the studies named on a page about an equation."""
    del config, files
    if not page.file.src_uri.startswith("theory/"):
        return markdown
    names = dict.fromkeys(NAMED.findall(markdown))
    shown = [name for name in names if (DRAWN / f"{name}.png").is_file()]
    return markdown + "".join(f"\n\n![The study {n}](../figures/{n}.png)\n" for n in shown)
