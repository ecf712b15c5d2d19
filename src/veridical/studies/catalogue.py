"""Every study by name: what computes its record and what draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from veridical.errors import InvalidSetting, MissingFile
from veridical.studies import (
    asymptotic_universality,
    circle_geometry,
    circle_pictures,
    gaussian_codes,
    gaussian_codes_pictures,
    generators,
    generators_photo,
    generators_pictures,
    group_codes,
    group_codes_pictures,
    nested_chain,
    other_measures,
    per_sample,
    random_coding,
    random_coding_pictures,
    theory,
    universality,
    universality_pictures,
)
from veridical.studies.mnist import constructive, figures, pairs
from veridical.studies.mnist.measurements import PRESETS
from veridical.studies.records import Record, Run, load_record, make_folder, save_record

__all__ = ["STUDIES", "Study", "check_names", "redraw_study", "run_study"]


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
        "[BM] Fig. 3: R over D of Bernoulli(0.1) at several P",
        _at_once(theory.bm3),
        theory.draw_bm3,
    ),
    "bm4": Study(
        "[BM] Fig. 4: its surface, P over D at fixed R, R over P at fixed D",
        _at_once(theory.bm4),
        theory.draw_bm4,
    ),
    "bm5": Study("[BM] Fig. 5: squared error, Theorem 2", _at_once(theory.bm5), theory.draw_bm5),
    "t1": Study(
        "[T] Fig. 1: circle, one bit: cells and centroids",
        _at_once(circle_geometry.t1),
        circle_pictures.draw_t1,
    ),
    "t2": Study(
        "[T] Fig. 2: circle, one bit: posterior samples",
        _at_once(circle_geometry.t2),
        circle_pictures.draw_t2,
    ),
    "t3": Study(
        "[T] Fig. 3: circle, one bit: arcs of radius a",
        _at_once(circle_geometry.t3),
        circle_pictures.draw_t3,
    ),
    "t4": Study(
        "[T] Fig. 4: circle, one bit and one seed bit",
        _at_once(circle_geometry.t4),
        circle_pictures.draw_t4,
    ),
    "t5": Study(
        "[T] Fig. 5: circle, dither", _at_once(circle_geometry.t5), circle_pictures.draw_t5
    ),
    "t6": Study("[T] Fig. 6: circle, one bit, K = 1, 2, inf", _at_once(theory.t6), theory.draw_t6),
    "t7": Study(
        "[T] Fig. 7: circle, where a seed bit or an information bit leads",
        _at_once(circle_geometry.t7),
        circle_pictures.draw_t7,
    ),
    "t8": Study(
        "[T] Fig. 8: circle, seed bit or information bit",
        _at_once(theory.t8),
        theory.draw_t8,
    ),
    "t11": Study(
        "[T] Fig. 11: KL, W1, energy distance and total variation in place of W2",
        other_measures.compute,
        other_measures.draw_t11,
        ("quick", "full"),
    ),
    "per-sample": Study(
        "[T] V: Wasserstein distortion of photographs beside squared error and Frechet distance",
        per_sample.compute,
        per_sample.draw,
        ("quick", "full"),
    ),
    "generators-photo": Study(
        "Generators of photographs on one estimator: distance against transport cost",
        generators_photo.compute,
        generators_photo.draw,
        ("quick", "full"),
    ),
    "generators": Study(
        "Plan, posterior sampling and flow with reflow on four sources in the plane",
        generators.compute,
        generators_pictures.draw_generators,
        ("quick", "full"),
    ),
    "random-coding": Study(
        "[T] 54-71: random codes of Gaussian blocks, from n = 2 to the limit",
        random_coding.compute,
        random_coding_pictures.draw,
        presets=("quick", "full"),
    ),
    "asymptotic-universality": Study(
        "[T] IV-E: what an encoder that ignores perception costs a vector Gaussian",
        asymptotic_universality.compute,
        asymptotic_universality.draw,
        presets=("quick", "full"),
    ),
    "universality": Study(
        "One encoder for every perception: without a seed, on the circle, and not on a line",
        _at_once(universality.compute),
        universality_pictures.draw_universality,
    ),
    "group-codes": Study(
        "Nested group codes against random codes and D(R, Rc, P)",
        group_codes.group_codes,
        group_codes_pictures.draw_group_codes,
        ("quick", "full"),
    ),
    "t10": Study(
        "[T] Fig. 10: a nested lattice code in the plane",
        _at_once(nested_chain.compute),
        gaussian_codes_pictures.draw_nested_chain,
    ),
    "gaussian-codes": Study(
        "Gaussian source: lattice codes beside the limit",
        gaussian_codes.compute,
        gaussian_codes_pictures.draw_gaussian_codes,
        ("quick", "full"),
    ),
    "bm6": Study(
        "[BM] Fig. 6: digits, encoder-decoder pairs", pairs.bm6, figures.draw_bm6, PRESETS
    ),
    "bm7": Study("[BM] Fig. 7: digits, cuts of the surface", pairs.bm7, figures.draw_bm7, PRESETS),
    "bm8": Study(
        "[BM] Fig. 8: digits, deep-feature distortion", pairs.bm8, figures.draw_bm8, PRESETS
    ),
    "bm9": Study("[BM] Fig. 9: digits of either distortion", pairs.bm9, figures.draw_bm9, PRESETS),
    "bm10": Study(
        "[BM] Fig. 10: one distortion judged by the other",
        pairs.bm10,
        figures.draw_bm10,
        PRESETS,
    ),
    "constructive-mnist": Study(
        "digits: one encoder a rate against a pair a point",
        constructive.constructive,
        figures.draw_constructive,
        PRESETS,
    ),
}


def check_names(names: Iterable[str], preset: str | None = None) -> None:
    """Every study is known and has the preset.

    Raises:
        InvalidSetting: one does not.
    """
    for name in names:
        if name not in STUDIES:
            raise InvalidSetting(f"unknown study {name!r}; choose one of {', '.join(STUDIES)}")
        sizes = STUDIES[name].presets
        if preset is not None and preset not in sizes:
            raise InvalidSetting(
                f"study {name!r} has no preset {preset!r}; choose one of {', '.join(sizes)}"
            )


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
    check_names([name], preset)
    chosen = STUDIES[name]
    size = chosen.presets[0] if preset is None else preset
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
    check_names([name])
    chosen = STUDIES[name]
    own, shipped = (
        folder / f"{name}.npz",
        Path(str(files("veridical.studies"))) / "data" / f"{name}.npz",
    )
    if not own.is_file() and not shipped.is_file():
        raise MissingFile(f"there is no record of {name!r} in {folder}; run the study first")
    make_folder(folder)
    return chosen.draw(load_record(own if own.is_file() else shipped), folder)
