"""Every exception the package raises on purpose.

One tree, one file: a caller who catches :class:`VeridicalError` catches everything that is the
fault of the input or the settings; anything else that escapes is a defect of the package. Every
message states the cause and the remedy. The command line turns a :class:`VeridicalError` into one
line on standard error and exit code 2 (3 for :class:`SomeFailed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "BadWeights",
    "DamagedFile",
    "InvalidSetting",
    "MissingDependency",
    "MissingFile",
    "NotAnImage",
    "NotConverged",
    "OutOfMemory",
    "OutputExists",
    "PictureTooLarge",
    "SomeFailed",
    "SystemFault",
    "TargetUnreachable",
    "TrainingData",
    "UnsupportedFormat",
    "UnwritableOutput",
    "VeridicalError",
    "WrongModel",
    "typed_errors",
]


class VeridicalError(Exception):
    """Base of every error that the package raises on purpose."""


class InvalidSetting(VeridicalError, ValueError):
    """A parameter is outside its domain (realism 1.2, a negative perception, zero steps)."""


class MissingFile(VeridicalError, FileNotFoundError):
    """An input file does not exist or cannot be read."""


class NotAnImage(VeridicalError, ValueError):
    """The bytes are not a picture in any format that Pillow knows."""


class UnsupportedFormat(VeridicalError, ValueError):
    """A picture, but in a format or mode that the requested operation does not cover."""


class DamagedFile(VeridicalError, ValueError):
    """The file starts as a picture but is truncated or its content contradicts itself."""


class PictureTooLarge(VeridicalError, ValueError):
    """The picture has more pixels than the limit against decompression bombs allows."""


class SomeFailed(VeridicalError, RuntimeError):
    """Some of many jobs failed and the others are done; the command line exits with 3."""


class TargetUnreachable(VeridicalError, ValueError):
    """No quality setting reaches the requested size or rate."""


class OutputExists(VeridicalError, FileExistsError):
    """The output file exists and overwriting was not asked for."""


class UnwritableOutput(VeridicalError, OSError):
    """The output cannot be written (no such folder, no permission, disc full, unknown suffix)."""


class BadWeights(VeridicalError, RuntimeError):
    """A weights file is missing, is damaged, or its digest is not the recorded one."""


class WrongModel(VeridicalError, RuntimeError):
    """A coded file was made with other weights than those at hand; the message names both."""


class MissingDependency(VeridicalError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class TrainingData(VeridicalError, ValueError):
    """A training folder holds no usable picture, or a prepared set does not fit its recipe."""


class NotConverged(VeridicalError, RuntimeError):
    """An iterative method stopped before its certificate; the best bracket is attached.

    Attributes:
        best: the best certified result so far (for example a ``Bound``), or ``None``.
    """

    def __init__(self, message: str, best: object | None = None) -> None:
        super().__init__(message)
        self.best = best


class SystemFault(VeridicalError, OSError):
    """The operating system refused something that no other error describes."""

    @classmethod
    def of(cls, cause: OSError) -> SystemFault:
        """The error of the system with the file that it is about."""
        what = "" if cause.filename is None else f"{cause.filename}: "
        return cls(
            f"{what}{cause.strerror or cause}; check the path, its permissions and the free space"
        )


class OutOfMemory(VeridicalError, MemoryError):
    """There is less memory than the work needs."""

    @classmethod
    def of(cls) -> OutOfMemory:
        """What helps in every case."""
        return cls(
            "there is not enough memory; use a smaller tile (--tile), fewer workers (--jobs) or a smaller input"
        )


@contextmanager
def typed_errors() -> Iterator[None]:
    """The boundary of public functions: what the system or its limits refuse is a :class:`VeridicalError`."""
    try:
        yield
    except VeridicalError:
        raise
    except MemoryError as cause:
        raise OutOfMemory.of() from cause
    except OSError as cause:
        raise SystemFault.of(cause) from cause
    except (OverflowError, RecursionError) as cause:
        raise InvalidSetting(f"a number or the depth of the input is too large: {cause}") from cause
