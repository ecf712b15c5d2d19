"""Executes the notebooks anew and shows them as pages; one that fails stops the build."""

import os
from pathlib import Path

import nbformat
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter

FOLDER = "notebooks/"


def on_files(files, config):
    """Replace each notebook by its page and pictures; the notebook itself stays, to be downloaded."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a debugger's warning
    for source in [f for f in files if f.src_uri.startswith(FOLDER) and f.src_uri.endswith(".ipynb")]:
        notebook = nbformat.read(source.abs_src_path, as_version=4)
        try:
            NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        except CellExecutionError as cause:
            raise PluginError(f"{source.src_uri} does not run: {cause}") from cause
        name = Path(source.src_uri).stem
        body, resources = MarkdownExporter().from_notebook_node(
            notebook, resources={"output_files_dir": f"{name}_files"}
        )
        body += f"\n\n[The notebook]({name}.ipynb)\n"
        files.append(File.generated(config, f"{FOLDER}{name}.md", content=body))
        for place, data in resources["outputs"].items():
            files.append(File.generated(config, f"{FOLDER}{place}", content=data))
    return files
