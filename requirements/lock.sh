#!/usr/bin/env bash
# Writes requirements/core.txt and requirements/dev.txt: the newest versions that pyproject.toml allows,
# without and with the extras, beside the torch that requirements/torch.txt names; and renews the hashes of
# requirements/docs.txt. Every file of every version has its hash, so that pip refuses any other; torch.txt
# says why torch has none.
# Usage: requirements/lock.sh [python]
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${1:-python3}" -m venv "$scratch/venv"
"${1:-python3}" -m venv "$scratch/tool"
"$scratch/tool/bin/python" -m pip install --quiet uv
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check)
freeze() {
    # The CPU build calls itself 2.x.y+cpu; a local version label cannot be asked of every index.
    "${pip[@]}" freeze --exclude veridical --exclude torch | sed 's/+cpu$//'
}
hashed() {  # hashed PINS OUTPUT HEADER: the same versions, each with the hashes of all its files
    "$scratch/tool/bin/uv" pip compile --quiet --no-deps --universal --python-version 3.11.9 \
        --generate-hashes --no-header --no-annotate "$1" -o "$scratch/hashed.txt"
    { echo "# Made by 'make lock'; do not edit. $3"; cat "$scratch/hashed.txt"; } >"$scratch/whole.txt"
    mv "$scratch/whole.txt" "$2"
    rm "$scratch/hashed.txt"
}
# `editables` and `hatchling` let the checkout be installed without a second, isolated build environment.
"${pip[@]}" install --quiet . "editables>=0.5" "hatchling>=1.27"
freeze >"$scratch/core.txt"
"${pip[@]}" install --quiet -r requirements/torch.txt
"${pip[@]}" install --quiet -c requirements/torch.txt -c "$scratch/core.txt" ".[dev]"
freeze >"$scratch/dev.txt"
hashed "$scratch/core.txt" requirements/core.txt "What decoding and encoding need."
hashed "$scratch/dev.txt" requirements/dev.txt "torch is pinned beside, in torch.txt, and installed first."
hashed requirements/docs.txt requirements/docs.txt "What 'make docs' adds to the pinned environment."
