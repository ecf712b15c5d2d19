#!/usr/bin/env bash
# Writes requirements/dev.txt: the newest versions that pyproject.toml allows, beside the torch that
# requirements/torch.txt names. Usage: requirements/lock.sh [python]
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${1:-python3}" -m venv "$scratch/venv"
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet -r requirements/torch.txt
"${pip[@]}" install --quiet -c requirements/torch.txt ".[dev]"
{
    echo "# Made by 'make lock'; do not edit. torch is pinned beside, in torch.txt, and installed first."
    # The CPU build calls itself 2.x.y+cpu; a local version label cannot be asked of every index.
    "${pip[@]}" freeze --exclude veridical --exclude torch | sed 's/+cpu$//'
} >"$scratch/dev.txt"
mv "$scratch/dev.txt" requirements/dev.txt
