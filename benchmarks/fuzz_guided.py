"""Coverage-guided fuzzing of the readers of coded files: inputs that reach new code are kept and bred.

    python -m pip install atheris
    python benchmarks/fuzz_guided.py --minutes 10 --corpus runs/fuzz

The first line is for an environment of its own: atheris is a tool for this script alone. One thread,
one process at a time: each target gets its share of the minutes in turns, and the corpus folder keeps
what was found, so that the next call goes on from there. A mutation repairs the checksums of chunks
half of the time, so that what lies behind them is tested. Only errors of ``veridical.errors`` may come
out of the readers, and nothing at all out of the header readers. What else comes out is kept in
CORPUS/faults, one file for each place in the code; a fault, a crash of the interpreter, too much memory
or too much time make the exit code 1.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fuzz_readers import GOLDEN, conventional, repaired_chunks, vdc_files

from veridical.errors import VeridicalError

MOST_PIXELS = 1 << 13
Test = Callable[[bytes], object]


def container_target() -> tuple[Test, list[bytes]]:
    """The reader of the ``.vdc`` container, strict and partial, and writing what was read."""
    from veridical.bitstream.container import read, write

    def test(data: bytes) -> None:
        for partial in (False, True):
            found = read(data, max_pixels=10**8, allow_partial=partial)
        if not found.damage and all(found.tiles):
            again = read(write(found), max_pixels=10**8)
            if again != found:
                raise ValueError("what was written again differs")

    goldens = [(GOLDEN / f"{name}.vdc").read_bytes() for name in ("rounded", "dithered")]
    return test, goldens + [data for data, _ in vdc_files()]


def decode_target() -> tuple[Test, list[bytes]]:
    """``info`` and ``decode`` of small ``.vdc`` files, whole and what is whole of damaged ones."""
    from veridical.photo.decode import decode, info
    from veridical.photo.vdc import image as _image  # noqa: F401 (its code is watched)

    weights = GOLDEN / "tiny.npz"

    def test(data: bytes) -> None:
        try:
            info(data, weights=weights, max_pixels=MOST_PIXELS)
        except VeridicalError:
            decode(data, weights=weights, max_pixels=MOST_PIXELS, realism=0.0, allow_partial=True)
            return
        decode(data, weights=weights, max_pixels=MOST_PIXELS, realism=0.0)

    return test, [data for data, _ in vdc_files()]


def headers_target() -> tuple[Test, list[bytes]]:
    """The readers of conventional headers, each on every input: they never raise, and stay in range."""
    from veridical.photo.formats import AVIF, JPEG, WEBP

    def test(data: bytes) -> None:
        for one in (AVIF, WEBP, JPEG):
            try:
                found = one.read_payload(data)
                one.condition(data, 64, 48)
            except VeridicalError as error:
                raise ValueError("a header reader refused its input") from error
            if found.n_bytes < 1 or not 0 <= (found.quantizer or 0.0) <= 1:
                raise ValueError(f"out of range: {found}")

    return test, [data for name in ("AVIF", "WEBP", "JPEG") for data, _ in conventional(name)]


TARGETS = {"container": container_target, "decode": decode_target, "headers": headers_target}


class Watch:
    """Calls a target, and keeps what must not come out of it, one input for each place."""

    def __init__(self, name: str, test: Test, folder: Path) -> None:
        self.name, self.test, self.folder = name, test, folder
        self.counts = {"read": 0, "refused": 0, "faults": 0, "slowest_s": 0.0}

    def __call__(self, data: bytes) -> None:
        """One input."""
        begun = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.test(data)
            self.counts["read"] += 1
        except VeridicalError:
            self.counts["refused"] += 1
        except Exception as fault:  # noqa: BLE001 (whatever else comes out is what is looked for)
            self.counts["faults"] += 1
            self.keep(data, fault)
        taken = time.process_time() - begun
        if taken > self.counts["slowest_s"]:
            self.counts["slowest_s"] = taken
            (self.folder / f"slowest-{self.name}").write_bytes(data)

    def keep(self, data: bytes, fault: Exception) -> None:
        """Write the input and how it failed, unless the same place has failed before."""
        last = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{type(fault).__name__} {last.filename} {last.lineno}"
        path = (
            self.folder / f"fault-{self.name}-{hashlib.sha256(place.encode()).hexdigest()[:12]}.bin"
        )
        if not path.exists():
            path.write_bytes(data)
            path.with_suffix(".txt").write_text(
                "".join(traceback.format_exception(fault)), encoding="utf-8"
            )


def child(options: argparse.Namespace) -> None:
    """One target for some seconds in this process; libFuzzer's report goes to standard error."""
    import atheris

    with atheris.instrument_imports(include=["veridical"]):
        test, seeds = TARGETS[options.target]()
        test_once(test, seeds)
    corpus, faults = options.corpus / options.target, options.corpus / "faults"
    for seed in seeds:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    watch = Watch(options.target, test, faults)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        changed = atheris.Mutate(data, most)
        repaired = repaired_chunks(changed) if seed % 2 and len(changed) > 10 else changed
        return repaired[:most]

    counts = options.corpus / f"{options.target}.counts.json"

    def one(data: bytes) -> None:
        watch(data)
        # libFuzzer leaves without returning, so the counts are written now and then.
        if sum(watch.counts[k] for k in ("read", "refused", "faults")) % 20 == 1:
            counts.write_text(json.dumps(watch.counts), encoding="utf-8")

    words = [
        sys.argv[0], str(corpus), f"-max_total_time={max(1, int(options.until - time.time()))}", "-max_len=8192",
        f"-rss_limit_mb={options.memory_mib}", f"-timeout={options.timeout}", "-print_final_stats=1",
        f"-artifact_prefix={faults}/hard-{options.target}-",
    ]  # fmt: skip
    atheris.Setup(words, one, custom_mutator=mutate if options.target != "headers" else None)
    atheris.Fuzz()


def test_once(test: Test, seeds: list[bytes]) -> None:
    """Every seed must be read; imports that happen at the first call are watched too."""
    for seed in seeds:
        test(seed)


def run_target(options: argparse.Namespace, target: str, seconds: int) -> dict[str, Any]:
    """A target for some seconds, started again after a hard crash; its figures."""
    until = time.time() + seconds
    out: dict[str, Any] = {"executions": 0, "edges": 0, "corpus": 0, "hard": 0, "slowest_s": 0.0}
    while time.time() < until:
        words = [
            sys.executable, __file__, "--target", target, "--until", until, "--corpus", options.corpus,
            "--memory-mib", options.memory_mib, "--timeout", options.timeout,
        ]  # fmt: skip
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
        log = done.stderr
        ran = re.findall(r"stat::number_of_executed_units:\s+(\d+)", log)
        seen = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
        out["executions"] += int(ran[-1]) if ran else 0
        if seen:
            out["edges"] = max(out["edges"], int(seen[-1][0]))
            out["corpus"] = int(seen[-1][2])
        counts = options.corpus / f"{target}.counts.json"
        if counts.exists():
            found = json.loads(counts.read_text(encoding="utf-8"))
            out["slowest_s"] = max(out["slowest_s"], found["slowest_s"])
            counts.unlink()
        if done.returncode == 0:
            break
        out["hard"] += 1
        print(f"{target}: ended with code {done.returncode}\n{log[-3000:]}", flush=True)
        if not ran:
            break  # it did not even start
    return out


def main() -> None:
    """All targets in turns; prints one line a target and round, and the sums at the end."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=2.0)
    options.add_argument("--corpus", type=Path, default=Path("runs/fuzz"))
    options.add_argument("--only", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    options.add_argument("--rounds", type=int, default=1, help="turns that each target gets")
    options.add_argument("--memory-mib", type=int, default=2048)
    options.add_argument("--timeout", type=int, default=60, help="seconds an input, on the clock")
    options.add_argument("--target", choices=list(TARGETS), help=argparse.SUPPRESS)
    options.add_argument("--until", type=float, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.target is not None:
        child(chosen)
        return
    chosen.corpus = chosen.corpus.resolve()
    for folder in (*TARGETS, "faults"):
        (chosen.corpus / folder).mkdir(parents=True, exist_ok=True)
    share = int(60 * chosen.minutes / (chosen.rounds * len(chosen.only)))
    sums: dict[str, dict[str, Any]] = {}
    print(
        "| target | executions | edges | corpus | hard ends | slowest s |\n|---|---|---|---|---|---|"
    )
    for number in range(chosen.rounds):
        for target in chosen.only:
            found = run_target(chosen, target, share)
            kept = sums.setdefault(target, dict.fromkeys(found, 0))
            for name, value in found.items():
                add = name in ("executions", "hard")
                kept[name] = kept[name] + value if add else max(kept[name], value)
            print(line(f"{target}, round {number + 1}", found), flush=True)
    for target, kept in sums.items():
        print(line(f"{target}, in all", kept))
    faults = sorted((chosen.corpus / "faults").glob("fault-*.txt"))
    hard = sum(kept["hard"] for kept in sums.values())
    print(f"{len(faults)} places with a fault, {hard} hard ends")
    for path in faults:
        print(f"\n{path}\n{path.read_text(encoding='utf-8')[-1500:]}")
    sys.exit(1 if faults or hard else 0)


def line(name: str, found: dict[str, Any]) -> str:
    """One row of the table."""
    return (
        f"| {name} | {found['executions']:,} | {found['edges']:,} | {found['corpus']:,} "
        f"| {found['hard']} | {found['slowest_s']:.3f} |"
    )


if __name__ == "__main__":
    main()
