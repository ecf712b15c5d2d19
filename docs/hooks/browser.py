"""Puts the page that decodes in the browser on the site, under try/."""

from mkdocs.structure.files import File

from veridical.web.site import site_files


def on_files(files, config):
    """Add the files of the page, weights included; its documents are not pages of this site."""
    for name, path in site_files().items():
        if path.suffix != ".md":
            files.append(File.generated(config, f"try/{name}", abs_src_path=str(path)))
    return files
