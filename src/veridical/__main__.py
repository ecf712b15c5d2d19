"""``python -m veridical`` is the command ``veridical``."""

from veridical.cli.main import main

main()
