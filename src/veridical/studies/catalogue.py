"""Every study by name: what computes its record and what draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from veridical.errors import InvalidSetting
from veridical.studies import theory, theory_pictures
from veridical.studies.records import Record, load_record, make_folder, save_record

__all__ = ["STUDIES", "Study", "run_study"]


@dataclass(frozen=True)
class Study:
    """One figure or table.

    Attributes:
        title: one line for the list.
        compute: makes the record.
        draw: makes the pictures from the record, into a folder; returns their paths.
    """

    title: str
    compute: Callable[[], Record]
    draw: Callable[[Record, Path], list[Path]]


STUDIES: dict[str, Study] = {
    "bm3": Study("[BM] Fig. 3: R(D, P) of Bernoulli(0.1)", theory.bm3, theory_pictures.draw_bm3),
    "bm4": Study("[BM] Fig. 4: its cuts at fixed P, D and R", theory.bm4, theory_pictures.draw_bm4),
    "bm5": Study("[BM] Fig. 5: squared error, Theorem 2", theory.bm5, theory_pictures.draw_bm5),
    "t6": Study("[T] Fig. 6: circle, one bit, K = 1, 2, inf", theory.t6, theory_pictures.draw_t6),
    "t8": Study(
        "[T] Fig. 8: circle, seed bit or information bit", theory.t8, theory_pictures.draw_t8
    ),
}


def run_study(name: str, folder: Path) -> list[Path]:
    """Compute, save, load what was saved, draw; returns every file written, the record first.

    Raises:
        InvalidSetting: unknown name.
        UnwritableOutput: the folder or a file cannot be written.
        MissingDependency: matplotlib is not installed.
    """
    if name not in STUDIES:
        raise InvalidSetting(f"unknown study {name!r}; choose one of {', '.join(STUDIES)}")
    make_folder(folder)
    path = save_record(STUDIES[name].compute(), folder)
    return [path, *STUDIES[name].draw(load_record(path), folder)]
