"""What a person should know besides the result: given to a function, or to the logger ``veridical``.

The library prints nothing. Every public function that converts or leaves something out takes ``notice``, a
function of one sentence; without one, sentences are warnings of the logger ``veridical``, which says nothing
until the program has configured ``logging``. What is loaded and how long it took is told at level INFO.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from veridical.errors import InvalidSetting

Notice = Callable[[str], None]

_LOGGER = logging.getLogger("veridical")
_LOGGER.addHandler(logging.NullHandler())


def log_notice(message: str) -> None:
    """A sentence as a warning of the logger ``veridical``."""
    _LOGGER.warning(message)


def silent(message: str) -> None:
    """A sentence that nobody reads."""
    del message


def check_callable(**functions: object) -> None:
    """Refuse what cannot be called.

    Raises:
        InvalidSetting: One of the named arguments is no function.
    """
    for name, function in functions.items():
        if not callable(function):
            raise InvalidSetting(f"{name} must be a function, got {function!r:.100}")


def told_to(notice: Notice) -> tuple[list[str], Notice]:
    """A list that remembers each sentence once, and the function that tells and remembers them."""
    told: list[str] = []

    def tell(message: str) -> None:
        if message not in told:
            told.append(message)
            notice(message)

    return told, tell
