"""Files that are whole or not there: written beside their place under another name, then renamed.

Killed at any moment, a writer leaves what stood there before or the whole new file. What a killed
writer may leave besides ends in ``.tmp``, so that no folder of pictures takes it for one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from veridical.errors import UnwritableOutput

__all__ = ["replacing", "write_text", "write_whole"]


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside ``target``, which takes its place when the block ends without error.

    The block may write it by its path but must have closed it: Windows renames no open file.

    Raises:
        UnwritableOutput: The file cannot be written.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # A temporary file is its owner's alone; an output has the rights of any other file.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
        temporary = None
    except OSError as cause:
        raise UnwritableOutput(f"cannot write {target}: {cause.strerror or cause}") from cause
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_whole(target: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file through ``write``, which is given it open for bytes.

    Raises:
        UnwritableOutput: The file cannot be written.
    """
    with replacing(target) as temporary, temporary.open("w+b") as file:
        write(file)


def write_text(target: Path, text: str) -> None:
    """Write a text file in UTF-8, with the same bytes on every system.

    Raises:
        UnwritableOutput: The file cannot be written.
    """
    write_whole(target, lambda file: file.write(text.encode("utf-8")))
