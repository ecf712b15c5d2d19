"""Runs commands again and again, each time killed at the next thing that they write.

    python kill_at_writes.py JOBS.json REPORT.json

A job is run once to its end in ``clean``, then in ``killed``: in a forked process whose audit hook
sends SIGKILL before a file is renamed or removed, and when a file is opened for writing under its
own name, with what that leaves: nothing in it, or half a line behind it. Each run is killed at the
first such event that no earlier run was killed at, so that a command that goes on where it was is
killed all along its way. What stands in the folder after each kill is looked at here.
"""

import contextlib
import fnmatch
import hashlib
import io
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

MOST_RUNS = 60
OLD = b"what stood here before"


def temporary(path):
    return path.name.endswith(".tmp") or ".tmp." in path.name


def final_files(folder):
    """Everything that a person or a later command would take for a result."""
    found = (p for p in folder.rglob("*") if p.is_file() and not temporary(p))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def content(data):
    """What a file says; of an archive its arrays, and its facts but for how long things took."""
    if data is None or not data.startswith(b"PK"):
        return data
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        head = "__record__"
        out = {k: (a.dtype.str, a.shape, a.tobytes()) for k, a in archive.items() if k != head}
        if head in archive.files:
            facts = json.loads(str(archive[head]))["facts"]
            out[head] = {k: v for k, v in facts.items() if "seconds" not in k}
    return out


def install_hook(root, seen, out, stride):
    """SIGKILL at the first new event below ``root``; which one goes to the descriptor ``out``."""
    me = os.getpid()
    within = {}

    def hook(event, args):
        if os.getpid() != me:
            return
        if event == "os.rename":
            kind, name = "rename", args[1]
        elif event == "os.remove":
            kind, name = "remove", args[0]
        elif event == "open" and isinstance(args[1], str) and args[1][0] in "wxa":
            kind, name = ("append" if args[1][0] == "a" else "open"), args[0]
        else:
            return
        if not isinstance(name, str | bytes | os.PathLike):
            return
        path = Path(os.path.abspath(os.fsdecode(name)))  # noqa: PTH100 (calls nothing that is audited)
        if not path.is_relative_to(root) or (kind != "rename" and temporary(path)):
            return
        key = [kind, path.relative_to(root).as_posix()]
        within[tuple(key)] = nth = within.get(tuple(key), 0) + 1
        key.append(nth)
        if key in seen:
            return
        seen.append(key)
        if (len(seen) - 1) % stride:
            os.write(out, (json.dumps({"passed": key}) + "\n").encode())
            return
        if kind in ("open", "append"):
            how = os.O_TRUNC if kind == "open" else os.O_APPEND
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | how)
            os.write(handle, b'{"cut' if kind == "append" else b"")
        os.write(out, (json.dumps({"killed": key}) + "\n").encode())
        os.kill(me, signal.SIGKILL)

    sys.addaudithook(hook)


def announce_writers():
    """What writes files outside Python says so first, as ``open`` does."""
    import safetensors.torch

    def announced(write, place):
        def call(*args, **kwargs):
            target = args[place] if len(args) > place else kwargs.get("filename", kwargs.get("f"))
            if isinstance(target, str | os.PathLike):
                sys.audit("open", os.fspath(target), "wb", 0)
            return write(*args, **kwargs)

        return call

    for module, name in (
        (torch, "save"),
        (safetensors.torch, "save_file"),
        (safetensors.torch, "save_model"),
    ):
        setattr(module, name, announced(getattr(module, name), 1))


def command(words):
    from veridical.cli.main import main

    sys.argv = ["veridical", *words]
    main()


def demo(words):
    """The demo on a small piece of its photograph."""
    from veridical.photo import reader

    whole = reader.open_source
    reader.open_source = lambda data: whole(data).crop((200, 100, 264, 148))
    command(words)


def digits(words):
    """The training of digits, with networks and data as small as they can be."""
    from dataclasses import replace

    from veridical.studies.mnist import presets
    from veridical.studies.mnist.training import run

    shape = presets.PairShape(
        side=8, encoder=(12,), hidden=10, base=2, channels=(4, 3, 2),
        kernels=((3, 2), (3, 1), (2, 1)), critic=(3, 4),
    )  # fmt: skip
    quick = presets.BUDGETS["quick"]
    presets.BUDGETS["quick"] = replace(
        quick, digits=96, tested=40, shape=shape, epochs=(1, 1), classifier_epochs=1, batch=32,
        generator=replace(quick.generator, width=8, depth=1, steps=3, batch=16),
    )  # fmt: skip
    sys.exit(run.main(words))


def careless(words):
    """What must be caught: a target that is opened itself, and half a file that gets its name."""
    del words
    Path("half.tmp").write_bytes(b"ha")
    Path("half.tmp").rename("renamed.txt")
    Path("opened.txt").write_bytes(b"whole")
    Path("renamed.txt").write_bytes(b"whole")


ACTIONS = {f.__name__: f for f in (command, demo, digits, careless)}


def run(job, folder, seen, log):
    """One run in a forked process; its exit code, negative for a signal, and what it passed."""
    out = os.open(log.with_suffix(".events"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.setsid()
            os.chdir(folder)
            sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(sink, stream)
            if seen is not None:
                install_hook(folder.resolve(), seen, out, job.get("stride", 1))
            ACTIONS[job["action"]](job["words"])
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:  # noqa: BLE001 (a fork must not return into the caller)
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    os.close(out)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # workers that a killed process leaves behind
    events = [json.loads(x) for x in log.with_suffix(".events").read_text().splitlines()]
    return os.waitstatus_to_exitcode(status), events


def whole(path):
    """What is wrong with a file under its own name, or None."""
    from veridical.photo.weights import read_card

    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                [archive[name] for name in archive.files]
            if path.with_suffix(".json").exists():
                read_card(path, hashlib.sha256(path.read_bytes()).hexdigest())
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix in (".pt", ".ckpt"):
            torch.load(path, map_location="cpu", weights_only=True)
        elif path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                list(file.keys())
        elif path.suffix == ".onnx":
            read_card(path, hashlib.sha256(path.read_bytes()).hexdigest())
        elif path.suffix in (".png", ".jpg", ".avif", ".webp"):
            Image.open(path).load()
    except Exception as fault:  # noqa: BLE001 (whatever a damaged file makes a reader raise)
        return f"{path.name}: {fault!r}"
    return None


def look(job, killed, clean):
    """What is wrong in the folder of a command that was killed."""
    wrong = []
    for name, content in final_files(killed).items():
        if any(fnmatch.fnmatch(name, pattern) for pattern in job.get("own_business", [])):
            continue
        if job.get("old"):
            if name in clean and content not in (OLD, clean[name]):
                wrong.append(f"{name}: {len(content)} bytes, neither old nor new")
        elif (fault := whole(killed / name)) is not None:
            wrong.append(fault)
        if name not in clean:
            wrong.append(f"{name} stands there, which a whole run does not leave")
    return wrong


def do(job):
    """All runs of a job; what was seen."""
    base = Path(job["folder"])
    log = base / "log"
    report = {"kills": [], "wrong": [], "clean_code": None, "end_code": None}
    shutil.copytree(base / "inputs", base / "clean")
    shutil.copytree(base / "inputs", base / "killed")
    before = final_files(base / "inputs")
    report["clean_code"], _ = run(job, base / "clean", None, log)
    clean = final_files(base / "clean")
    own = job.get("own_business", [])
    outputs = sorted(
        name
        for name in clean
        if before.get(name) != clean[name] and not any(fnmatch.fnmatch(name, p) for p in own)
    )
    report["outputs"] = outputs
    if job.get("old"):
        for name in outputs:
            target = base / "killed" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(OLD)
    seen = []
    for _ in range(MOST_RUNS):
        code, events = run(job, base / "killed", seen, log)
        seen += [e.get("killed", e.get("passed")) for e in events]
        report["end_code"] = code
        if code != -signal.SIGKILL:
            break
        report["kills"].append(" ".join(map(str, events[-1]["killed"])))
        wrong = look(job, base / "killed", clean)
        report["wrong"] += [f"after {report['kills'][-1]}: {w}" for w in wrong]
    after = final_files(base / "killed")
    report["differs"] = [
        name
        for name in outputs
        if any(fnmatch.fnmatch(name, p) for p in job["same"])
        and content(after.get(name)) != content(clean[name])
    ]
    report["log"] = log.read_text()[-2000:]
    return report


def main():
    torch.set_num_threads(1)
    announce_writers()
    import veridical.cli.main
    import veridical.measure.photo
    import veridical.photo.decode
    import veridical.photo.encode
    import veridical.studies.catalogue

    veridical.cli.main.application()  # imports every command
    jobs = json.loads(Path(sys.argv[1]).read_text())
    veridical.measure.photo.has_metrics = lambda: False  # large networks that only measure
    report = {}
    for job in jobs:
        report[job["name"]] = do(job)
        Path(sys.argv[2]).write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
