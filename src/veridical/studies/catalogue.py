"""Every study by name: what computes its record and what draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from veridical.errors import InvalidSetting, MissingFile
from veridical.studies import theory, theory_pictures
from veridical.studies.mnist import constructive, constructive_pictures, pairs, pairs_pictures
from veridical.studies.mnist.material import PRESETS
from veridical.studies.records import Record, load_record, make_folder, save_record
from veridical.studies.run import Run

__all__ = ["STUDIES", "Study", "redraw_study", "run_study"]


@dataclass(frozen=True)
class Study:
    """One figure or table.

    Attributes:
        title: one line for the list.
        compute: makes the record.
        draw: makes the pictures from the record, into a folder; returns their paths.
        presets: names of the sizes that ``compute`` knows; the first is the default.
    """

    title: str
    compute: Callable[[Run], Record]
    draw: Callable[[Record, Path], list[Path]]
    presets: tuple[str, ...] = ("full",)


def _at_once(compute: Callable[[], Record]) -> Callable[[Run], Record]:
    """A study of a second or two, which has one size and keeps nothing."""
    return lambda run: compute()


STUDIES: dict[str, Study] = {
    "bm3": Study(
        "[BM] Fig. 3: R(D, P) of Bernoulli(0.1)", _at_once(theory.bm3), theory_pictures.draw_bm3
    ),
    "bm4": Study(
        "[BM] Fig. 4: its cuts at fixed P, D and R", _at_once(theory.bm4), theory_pictures.draw_bm4
    ),
    "bm5": Study(
        "[BM] Fig. 5: squared error, Theorem 2", _at_once(theory.bm5), theory_pictures.draw_bm5
    ),
    "t6": Study(
        "[T] Fig. 6: circle, one bit, K = 1, 2, inf", _at_once(theory.t6), theory_pictures.draw_t6
    ),
    "t8": Study(
        "[T] Fig. 8: circle, seed bit or information bit",
        _at_once(theory.t8),
        theory_pictures.draw_t8,
    ),
    "bm6": Study(
        "[BM] Fig. 6: digits, encoder-decoder pairs", pairs.bm6, pairs_pictures.draw_bm6, PRESETS
    ),
    "bm7": Study(
        "[BM] Fig. 7: digits, cuts of the surface", pairs.bm7, pairs_pictures.draw_bm7, PRESETS
    ),
    "bm8": Study(
        "[BM] Fig. 8: digits, deep-feature distortion", pairs.bm8, pairs_pictures.draw_bm8, PRESETS
    ),
    "bm9": Study(
        "[BM] Fig. 9: digits of either distortion", pairs.bm9, pairs_pictures.draw_bm9, PRESETS
    ),
    "bm10": Study(
        "[BM] Fig. 10: one distortion judged by the other",
        pairs.bm10,
        pairs_pictures.draw_bm10,
        PRESETS,
    ),
    "constructive-mnist": Study(
        "digits: one encoder a rate against a pair a point",
        constructive.constructive,
        constructive_pictures.draw_constructive,
        PRESETS,
    ),
}


def _study(name: str) -> Study:
    if name not in STUDIES:
        raise InvalidSetting(f"unknown study {name!r}; choose one of {', '.join(STUDIES)}")
    return STUDIES[name]


def run_study(
    name: str,
    folder: Path,
    *,
    preset: str | None = None,
    data: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Compute, save, load what was saved, draw; returns every file written, the record first.

    Args:
        name: Of the study.
        folder: For record and pictures; finished parts of a long study are kept in ``folder/work``.
        preset: How much to spend; the study's first if left out.
        data: Folder with data sets, for studies of real data.
        progress: Called with (done, total) now and then.

    Raises:
        InvalidSetting: unknown name or preset.
        UnwritableOutput: the folder or a file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    chosen = _study(name)
    size = chosen.presets[0] if preset is None else preset
    if size not in chosen.presets:
        raise InvalidSetting(
            f"study {name!r} has no preset {size!r}; choose one of {', '.join(chosen.presets)}"
        )
    make_folder(folder)
    work = folder / "work" / f"{name}-{size}"
    record = chosen.compute(Run(work=work, preset=size, data=data, progress=progress))
    path = save_record(record, folder)
    return [path, *chosen.draw(load_record(path), folder)]


def redraw_study(name: str, folder: Path) -> list[Path]:
    """Draw again from the record in the folder or, if there is none, from the one that ships.

    Returns:
        Every picture written.

    Raises:
        InvalidSetting: unknown name.
        MissingFile: neither record exists.
        UnwritableOutput: the folder or a file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    chosen = _study(name)
    own, shipped = (
        folder / f"{name}.npz",
        Path(str(files("veridical.studies"))) / "data" / f"{name}.npz",
    )
    if not own.is_file() and not shipped.is_file():
        raise MissingFile(f"there is no record of {name!r} in {folder}; run the study first")
    make_folder(folder)
    return chosen.draw(load_record(own if own.is_file() else shipped), folder)
