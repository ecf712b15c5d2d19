"""The command ``veridical``, also as ``python -m veridical``."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; an interruption while it is still being imported is said on one line too."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from veridical import __version__

        sys.stdout.write(f"veridical {__version__}\n")
        return
    try:
        from veridical.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("veridical: interrupted\n")
        sys.exit(130)
    try:
        run()
    finally:
        gc.freeze()  # the memory of a process that ends need not be searched for cycles


if __name__ == "__main__":
    main()
