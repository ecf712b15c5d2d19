"""The command ``veridical serve``: the page on which files are decoded, on this machine alone."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from veridical.cli import terminal

DEFAULT_PORT = 8017


def serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")
    ] = DEFAULT_PORT,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    site: Annotated[
        Path | None,
        typer.Option(help="Write the page to a folder, for any web server, and stop."),
    ] = None,
) -> None:
    """Offer a page that decodes files at any realism in a browser; only this machine can reach it."""
    from veridical.web.server import PageServer
    from veridical.web.site import write_site

    if site is not None:
        total = write_site(site)
        terminal.say(f"{site}: {total / 1e6:.0f} MB, for any web server")
        return
    with PageServer(port) as server:
        terminal.say(f"{server.url} (stop with Ctrl+C)")
        if show:
            webbrowser.open(server.url)
        server.serve_forever()
