"""NOTICE says where everything comes from that is no code; locks pin the bytes of what is installed."""

import json
import re
from pathlib import Path

import pytest

import veridical

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = Path(veridical.__file__).parent
NOTICE = (CHECKOUT / "NOTICE").read_text(encoding="utf-8")


def test_every_kind_of_data_is_named():
    # Oracle: the files of the package that are neither code nor text.
    data = {".onnx", ".npz", ".webp", ".png", ".safetensors", ".bin"}
    for path in (p for p in PACKAGE.rglob("*") if p.suffix in data):
        place = path.relative_to(PACKAGE.parent).as_posix()
        family = path.stem.partition("-")[0]
        assert path.name in NOTICE or f"{family}*" in NOTICE or f"{path.parent.name}/*" in NOTICE, (
            place
        )


def test_the_sources_add_up():
    # Oracle: the cards: the number of pictures that every network was trained on; and the totals.
    counts = [int(n) for n in re.findall(r"^ +(\d+)  (?!in all)\S", NOTICE, re.MULTILINE)]
    (total,) = (int(n) for n in re.findall(r"^ +(\d+)  in all", NOTICE, re.MULTILINE))
    assert sum(counts) == total
    unknown = map(int, re.findall(r"^ +(\d+)  .*\[W\]$", NOTICE, re.MULTILINE))
    assert f"all\n{sum(unknown)}:" in NOTICE.partition("[W]: the licence of the single picture")[2]
    by_licence = re.search(r"Totals by licence: (\d+) .*?, (\d+) .*?, (\d+)", NOTICE)
    assert sum(map(int, by_licence.groups())) == total
    for card in (PACKAGE / "photo" / "weights").glob("*.json"):
        said = json.loads(card.read_text(encoding="utf-8")).get("training_data", {})
        assert said.get("pictures", total) == total, card.name


@pytest.mark.parametrize("name", ["core", "dev", "docs"])
def test_every_pin_has_hashes(name):
    # Oracle: pip refuses a list in which one has hashes and another has none.
    pins = re.split(r"\n(?=\w)", (CHECKOUT / "requirements" / f"{name}.txt").read_text())[1:]
    assert len(pins) > 15
    assert all("--hash=sha256:" in pin and "==" in pin for pin in pins)
