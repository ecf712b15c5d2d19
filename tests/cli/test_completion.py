"""Shell completion: the scripts, and what they are answered."""

import shutil
import subprocess
import sys

import pytest

ASKED = {
    "bash": ("complete_bash", "COMP_WORDS", "COMP_CWORD"),
    "zsh": ("complete_zsh", "_TYPER_COMPLETE_ARGS", None),
    "fish": ("complete_fish", "_TYPER_COMPLETE_ARGS", "_TYPER_COMPLETE_FISH_ACTION"),
}


def completed(run, monkeypatch, shell, line):
    """The words that a shell is offered for the last word of a line."""
    instruction, words, more = ASKED[shell]
    monkeypatch.setenv("_VERIDICAL_COMPLETE", instruction)
    monkeypatch.setenv(words, line)
    if more is not None:
        monkeypatch.setenv(more, str(len(line.split()) - 1) if shell == "bash" else "get-args")
    code, out, err = run()
    assert code == 0, err
    return out


@pytest.mark.parametrize("shell", ASKED)
def test_commands_and_options_are_completed(run, monkeypatch, shell):
    # Oracle: the one command that begins so; the options that begin so, and no others.
    found = completed(run, monkeypatch, shell, "veridical dec")
    assert "decode" in found
    assert "encode" not in found.replace("decode", "")
    found = completed(run, monkeypatch, shell, "veridical decode --re")
    assert "--realism" in found
    assert "--seed" not in found
    assert "vector-gaussian" in completed(run, monkeypatch, shell, "veridical limits vec")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_of_a_named_shell(run, shell):
    # Oracle: every shell has a script of its own, which calls back by the name that is answered;
    # a shell that is there must be able to read it.
    code, script, err = run("--show-completion", shell)
    assert code == 0, err
    assert "_VERIDICAL_COMPLETE" in script
    assert f"complete_{shell}" in script
    program = shutil.which(shell)
    if program is not None and shell != "powershell":
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_installing_and_unknown_shells(run, monkeypatch, tmp_path):
    # Oracle: the script in the home folder, and the line that loads it; nothing for another shell.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    code, _, err = run("--install-completion", "tcsh")
    assert code == 2
    assert "bash, zsh, fish" in err
    assert not list(tmp_path.iterdir())
    code, out, _ = run("--install-completion", "bash")
    assert code == 0
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert str(script) in out
    assert str(script) in (tmp_path / ".bashrc").read_text()
    assert "_VERIDICAL_COMPLETE" in script.read_text()


def test_a_command_alone_is_that_of_the_whole(run):
    """Oracle: the application with every command; what a command says of itself is equal to the byte."""
    from typer.testing import CliRunner

    from veridical.cli.main import COMMANDS, GROUPS, application

    whole = application()
    for name in (*COMMANDS, *GROUPS):
        said = CliRunner().invoke(whole, [name, "--help"], prog_name="veridical").output
        assert f"veridical {name}" in said
        assert run(name, "--help")[1] == said


def test_other_commands_are_not_imported():
    """Oracle: the modules of a fresh interpreter after ``info --help``; of the commands' those that it needs."""
    script = (
        "import sys; from veridical.cli import main; sys.argv = ['veridical', 'info', '--help']\n"
        "try: main.main()\n"
        "except SystemExit: print(*(m for m in sys.modules if m.startswith('veridical.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    there = {m.rsplit(".", 1)[1] for m in done.stdout.splitlines()[-1].split()}
    assert "inspect" in there
    assert not there & {"design", "demo", "limits", "samples", "serve", "study", "train", "view"}
