#!/usr/bin/env bash
# Writes requirements/core.txt and requirements/dev.txt: the newest versions that pyproject.toml allows,
# without and with the extras, beside the torch that requirements/torch.txt names.
# Usage: requirements/lock.sh [python]
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${1:-python3}" -m venv "$scratch/venv"
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check)
freeze() {
    echo "# Made by 'make lock'; do not edit. $1"
    # The CPU build calls itself 2.x.y+cpu; a local version label cannot be asked of every index.
    "${pip[@]}" freeze --exclude veridical --exclude torch | sed 's/+cpu$//'
}
# `editables` and `hatchling` let the checkout be installed without a second, isolated build environment.
"${pip[@]}" install --quiet . "editables>=0.5" "hatchling>=1.27"
freeze "What decoding and encoding need." >"$scratch/core.txt"
"${pip[@]}" install --quiet -r requirements/torch.txt
"${pip[@]}" install --quiet -c requirements/torch.txt -c "$scratch/core.txt" ".[dev]"
freeze "torch is pinned beside, in torch.txt, and installed first." >"$scratch/dev.txt"
mv "$scratch/core.txt" "$scratch/dev.txt" requirements/
