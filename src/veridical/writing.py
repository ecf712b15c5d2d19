"""Files that are whole or not there: written beside their place under another name, then renamed.

Killed at any moment, a writer leaves what stood there before or the whole new file, also where the
machine itself stops. What a killed writer may leave besides ends in ``.tmp``, so that no folder of
pictures takes it for one. Only regular files are replaced: a device or a pipe is no place for a result.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from veridical.errors import UnwritableOutput, VeridicalError

_LONG_NAME = 200
"""Bytes of a name from which on the temporary one leaves it out; systems allow 255 in all."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside ``target``, which takes its place when the block ends without error.

    A file that is replaced gives its permissions to the new one; a symbolic link is replaced itself. The
    block may write the temporary file by its path but must have closed it: Windows renames no open file.

    Raises:
        UnwritableOutput: The file cannot be written, or something stands there that is no regular file.
    """
    temporary: Path | None = None
    try:
        mode = check_regular(target)
        name = target.name if len(os.fsencode(target.name)) <= _LONG_NAME else ""
        place = target.with_name(f".{name}.{secrets.token_hex(6)}.tmp")
        # A new file has the rights of any other; one that replaces another is private until it does.
        new = os.O_RDWR | os.O_CREAT | os.O_EXCL
        handle = os.open(place, new, 0o666 if mode is None else 0o600)
        temporary = place
        os.close(handle)
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        _to_disk(temporary, os.O_RDWR)
        temporary.replace(target)
        temporary = None
        with suppress(OSError):  # not every system lets a folder be opened
            _to_disk(target.parent, os.O_RDONLY)
    except VeridicalError:
        raise
    except (OSError, ValueError) as cause:  # a name with a NUL byte is a ValueError
        raise UnwritableOutput(
            f"cannot write {target}: {getattr(cause, 'strerror', None) or cause}; check the path, its "
            "permissions and the free space"
        ) from cause
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_regular(target: Path) -> int | None:
    """The permissions of the regular file that stands at ``target``, None if nothing stands there.

    Raises:
        UnwritableOutput: Something else stands there, such as a pipe, a device or a folder.
    """
    try:
        found = target.stat().st_mode
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found):
        raise UnwritableOutput(f"{target} is no regular file; name another output")
    return found & 0o777


def _to_disk(path: Path, access: int) -> None:
    handle = os.open(path, access)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
