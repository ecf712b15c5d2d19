"""Changed files through every reader: what comes back is a result or a typed error, within bounds.

    python benchmarks/fuzz.py --count 1000000 --state runs/fuzz

One process a reader handles thousands of files, each made from its number alone; the time of the
processor and the peak of memory are measured for each. Killed, it goes on where it was. A process that
ends, hangs or keeps memory is started again behind the file that did it. Prints one line a reader;
exits with 1 if anything but a typed error came out, or a file took more than 2 s or 300 MiB. A single
file is made and read again with ``--one "JPEG" 4711``.
"""

import argparse
import base64
import json
import mmap
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
if os.access("/dev/shm", os.W_OK):  # noqa: S108 (of this process alone)
    tempfile.tempdir = "/dev/shm"  # noqa: S108 (thousands of files a second)

from fuzz_changes import KEPT, NPZ, change, repaired
from fuzz_readers import READERS, Reader

from veridical.errors import VeridicalError

MOST_SECONDS, MOST_MIB, HANGS_SECONDS = 2.0, 300.0, 60.0
_PAGE = resource.getpagesize()
_AGAIN = 77
"""Exit code of a process that holds too much memory and wants to be started again."""


def prepared(name: str) -> Reader:
    """A reader whose files are the same in every process: archives without the time of day."""
    reader = READERS[name][1]()
    for k, (data, layout) in enumerate(reader.seeds):
        if layout in (NPZ, KEPT):
            reader.seeds[k] = repaired(data, layout), layout
    return reader


def changed(reader: Reader, name: str, number: int) -> bytes:
    """The changed file of a number."""
    rng = random.Random(f"{name} {number}")  # noqa: S311 (no secret)
    data, layout = rng.choice(reader.seeds)
    out = change(data, layout, rng)
    if layout is not None and rng.random() < 0.3:
        out = repaired(out, layout)
    return out


def resident_mib() -> float:
    """What this process holds now."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (thousands of times a second)
        return int(file.read().split()[1]) * _PAGE / (1 << 20)


def peak_mib(*, forget: bool = False) -> float:
    """The most that it has held."""
    if forget:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def empty() -> dict[str, Any]:
    """Figures of a reader that has read nothing."""
    return {
        "next": 0,
        "read": 0,
        "refused": 0,
        "slowest": [0.0, -1],
        "largest": [0.0, -1],
        "faults": {},
    }


def note(found: dict[str, Any], place: str, number: int, text: str, data: bytes = b"") -> None:
    """Keep a fault: one example for each place, and how many there were."""
    new = {"number": number, "count": 0, "trace": text, "file": base64.b64encode(data).decode()}
    found["faults"].setdefault(place, new)["count"] += 1


def place_of(error: BaseException) -> str:
    """Where an error came out of the package."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "veridical" in f.filename] or list(frames)
    return f"{type(error).__name__} {Path(own[-1].filename).name}:{own[-1].lineno}"


def child(name: str, end: int, state: Path) -> None:
    """Files up to a number; the figures go to ``state`` and the number at hand to memory that outlives us."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    found = json.loads(state.read_text(encoding="utf-8"))
    reader = prepared(name)
    for data, _ in reader.seeds:
        reader.read(data)
    warnings.simplefilter("ignore")
    parent, kept = os.getppid(), time.monotonic()
    first = peak_mib(forget=True)
    with state.with_suffix(".at").open("r+b") as file:
        at = mmap.mmap(file.fileno(), 8)
    while found["next"] < end and os.getppid() == parent:
        number = found["next"]
        struct.pack_into("<q", at, 0, number)
        data = changed(reader, name, number)
        before = resident_mib()
        if peak_mib() > before + 2:  # of making the file, or of the one before
            peak_mib(forget=True)
        begun = time.process_time()
        try:
            reader.read(data)
            found["read"] += 1
        except VeridicalError:
            found["refused"] += 1
        except BaseException as error:  # noqa: BLE001 (whatever else comes out is what is looked for)
            note(found, place_of(error), number, traceback.format_exc()[-3000:], data)
        taken, grown = time.process_time() - begun, peak_mib() - before
        if taken > found["slowest"][0]:
            found["slowest"] = [taken, number]
        if grown > found["largest"][0]:
            found["largest"] = [grown, number]
        if taken > MOST_SECONDS:
            note(found, f"slow: {taken:.0f} s", number, "", data)
        if grown > MOST_MIB:
            note(found, f"large: {grown // 100 * 100:.0f} MiB", number, "", data)
        found["next"] += 1
        if time.monotonic() - kept > 2:
            write(state, found)
            kept = time.monotonic()
            if resident_mib() > first + 500:
                sys.exit(_AGAIN)
    write(state, found)


def write(state: Path, found: dict[str, Any]) -> None:
    """Figures, whole or not there."""
    temporary = state.with_suffix(".tmp")
    temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    temporary.replace(state)


def run(name: str, count: int, folder: Path) -> dict[str, Any]:
    """All files of a reader, those of earlier runs among them."""
    state = folder / f"{name.replace(' ', '-').replace(',', '').strip('.')}.json"
    if not state.exists():
        write(state, empty())
    at = state.with_suffix(".at")
    while (found := json.loads(state.read_text(encoding="utf-8")))["next"] < count:
        at.write_bytes(struct.pack("<q", -1))
        words = [sys.executable, __file__, "--child", name, str(count), str(state)]
        log = state.with_suffix(".log")  # libraries in C say much there
        with log.open("wb") as said, subprocess.Popen(words, stderr=said) as process:
            why = watch(process, at)
        last = log.read_bytes()[-2000:].decode(errors="replace")
        (number,) = struct.unpack("<q", at.read_bytes())
        if why is None:
            continue
        found = json.loads(state.read_text(encoding="utf-8"))
        if number < 0:
            raise SystemExit(f"{name} cannot begin: {last}")
        note(found, why, number, last)
        write(state, found | {"next": number + 1})
    return found


def watch(process: "subprocess.Popen[bytes]", at: Path) -> str | None:
    """Wait for a process; why it ended before its time, or None."""
    last, since = b"", time.monotonic()
    while True:
        try:
            code = process.wait(0.2)
        except subprocess.TimeoutExpired:
            now = at.read_bytes()
            if now != last or now == struct.pack("<q", -1):
                last, since = now, time.monotonic()
            elif time.monotonic() - since > HANGS_SECONDS:
                process.kill()
                process.wait()
                return "hangs"
            continue
        return None if code in (0, _AGAIN) else f"ended with code {code}"


def main() -> None:
    """Share the count among the readers and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=100_000, help="of all readers together")
    options.add_argument(
        "--state", type=Path, default=Path("runs/fuzz"), help="where figures are kept"
    )
    options.add_argument("--only", nargs="*", default=list(READERS), choices=list(READERS))
    options.add_argument("--one", nargs=2, metavar=("READER", "NUMBER"), help="a single file again")
    options.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(chosen.child[0], int(chosen.child[1]), Path(chosen.child[2]))
        return
    if chosen.one:
        reader = prepared(chosen.one[0])
        data = changed(reader, chosen.one[0], int(chosen.one[1]))
        Path("one.bin").write_bytes(data)
        begun = time.process_time()
        try:
            reader.read(data)
        finally:
            print(f"one.bin, {len(data):,} bytes: {time.process_time() - begun:.3f} s")
        return
    chosen.state.mkdir(parents=True, exist_ok=True)
    print(
        "| reader | changed files | read | refused | faults | slowest s | most MiB |\n|---|---|---|---|---|---|---|"
    )
    begun, total, faults = time.monotonic(), 0, []
    shares = sum(share for share, _ in READERS.values())
    for name in chosen.only:
        count = -(-chosen.count * READERS[name][0] // shares)
        found = run(name, count, chosen.state)
        total += found["next"]
        faults += [(name, place, fault) for place, fault in found["faults"].items()]
        wrong = sum(fault["count"] for fault in found["faults"].values())
        print(
            f"| {name} | {found['next']:,} | {found['read']:,} | {found['refused']:,} | {wrong} "
            f"| {found['slowest'][0]:.3f} | {found['largest'][0]:.0f} |",
            flush=True,
        )
    print(f"{total:,} files, {time.monotonic() - begun:.0f} s in this run")
    for name, place, fault in faults:
        print(
            f"\n{name}: {fault['count']} times {place}, the first --one {name!r} {fault['number']}\n{fault['trace']}"
        )
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
