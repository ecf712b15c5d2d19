"""TeX formulas as MathML, which browsers show without a script and without a network."""

import html
import re

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content, page, config, files):
    """Replace what the extension arithmatex has marked."""
    del config, files

    def shown(found):
        display = "block" if found[2] == "[" else "inline"
        formula = convert(html.unescape(found[3]), display=display)
        if "\\" in formula or "&</" in formula:  # left as it was
            raise PluginError(f"{page.file.src_uri}: a formula has what is not known: {found[3]}")
        return formula

    return _FORMULA.sub(shown, content)
