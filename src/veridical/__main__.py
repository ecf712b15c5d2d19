"""The command ``veridical``, also as ``python -m veridical``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; an interruption while it is still being imported is said on one line too."""
    try:
        from veridical.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("veridical: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
