"""Shows on every page the figures of the studies that it names, and all of them in the gallery."""

import re
from pathlib import Path

from mkdocs.structure.files import File
from veridical.studies.catalogue import STUDIES

DRAWN = Path("build/figures")
NAMED = re.compile(r"`veridical study ([a-z0-9-]+)`")


def on_files(files, config):
    """Add the drawn figures to the site."""
    for path in sorted(DRAWN.glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Append the figures of the studies named on a page about an equation; fill the gallery."""
    del config, files
    if page.file.src_uri == "gallery.md":
        return markdown + "".join(_entry(name) for name in STUDIES)
    if not page.file.src_uri.startswith("theory/"):
        return markdown
    names = dict.fromkeys(NAMED.findall(markdown))
    shown = [name for name in names if (DRAWN / f"{name}.png").is_file()]
    return markdown + "".join(f"\n\n![The study {n}](../figures/{n}.png)\n" for n in shown)


def _entry(name):
    """A study with its command and every picture that it draws."""
    study = STUDIES[name]
    pictures = sorted(DRAWN.glob(f"{name}.png")) + sorted(DRAWN.glob(f"{name}-*.png"))
    own = [p for p in pictures if p.stem == name or not any(p.stem.startswith(o) for o in STUDIES if o != name and len(o) > len(name))]
    sizes = f" `--preset` {', '.join(f'`{p}`' for p in study.presets)}." if len(study.presets) > 1 else ""
    shown = "".join(f"\n![{study.title}](figures/{p.name}){{ loading=lazy }}\n" for p in own)
    return f"\n## {study.title}\n\n`veridical study {name}`{sizes}\n{shown}"
