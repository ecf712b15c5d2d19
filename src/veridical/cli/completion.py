"""Shell completion for a shell that is named; without a name, Typer asks which shell called it."""

from __future__ import annotations

import typer

from veridical.errors import InvalidSetting

_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_OPTIONS = ("--show-completion", "--install-completion")


def asks_for_completion(words: list[str]) -> bool:
    """Whether the command line is one of the two options with the name of a shell."""
    return len(words) == 2 and words[0] in _OPTIONS and not words[1].startswith("-")


def completion(option: str, shell: str) -> None:
    """Print the completion script of a shell, or install it.

    Args:
        option: ``--show-completion`` or ``--install-completion``.
        shell: bash, zsh, fish, powershell or pwsh.

    Raises:
        InvalidSetting: Another shell.
    """
    from typer.completion import get_completion_script, install

    if shell not in _SHELLS:
        raise InvalidSetting(f"no completion for {shell!r}; choose one of {', '.join(_SHELLS)}")
    names = {"prog_name": "veridical", "complete_var": "_VERIDICAL_COMPLETE"}
    if option == "--show-completion":
        typer.echo(get_completion_script(shell=shell, **names))
        return
    _, path = install(shell=shell, **names)
    typer.echo(f"completion for {shell} is in {path}; it works in the next shell that you open")
