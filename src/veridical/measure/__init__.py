"""Measuring a codec: rate, distortion, perception, and curves of them, with standard errors.

Which one should I use?

* **How many bits?** :func:`bits_per_pixel` of the file that was written.
* **How close to the original?** :func:`psnr_db` or :func:`mse_unit`; :func:`st_lpips` for a
  distance nearer to what people say of two pictures side by side.
* **Does it look like the source?** For photographs :func:`patch_frechet`, a distance between
  *sets* of patches, which no single picture can have. For samples of low dimension
  :func:`exact_w2_squared`, or :func:`sliced_w2_squared` when there are too many; for their features
  :func:`frechet_distance`, or :func:`kernel_distance` (KID), which has no bias; total variation,
  Kullback-Leibler, W1 and energy distance are in :mod:`~veridical.measure.perception_measures`.
* **Both in one number?** :func:`wasserstein_distortion`: squared error where its window is narrow, a
  distance of laws where it is wide.
* **How much realism does another measure ask for?** :func:`realism_for_measure`.
* **Is one codec better than another?** :func:`bd_rate_percent`, :func:`bd_psnr_db`.

Importing this package loads neither PyTorch nor SciPy; the functions that need them do.
"""

from veridical.measure.curves import bd_psnr_db, bd_rate_percent
from veridical.measure.distortion import mse_unit, psnr_db
from veridical.measure.frechet import (
    FeatureStatistics,
    frechet_difference,
    frechet_distance,
    frechet_with_error,
)
from veridical.measure.kernel import kernel_distance
from veridical.measure.local_moments import TrunkFeatures, wasserstein_distortion
from veridical.measure.perception import PatchFeatures, Stage, patch_frechet
from veridical.measure.rate import bits_per_pixel
from veridical.measure.realism import realism_for_measure
from veridical.measure.stlpips import Trunk, st_lpips
from veridical.measure.uncertainty import Measured, jackknife_error, mean_with_error
from veridical.measure.wasserstein import exact_w2_squared, sliced_w2_squared

__all__ = [
    "FeatureStatistics",
    "Measured",
    "PatchFeatures",
    "Stage",
    "Trunk",
    "TrunkFeatures",
    "bd_psnr_db",
    "bd_rate_percent",
    "bits_per_pixel",
    "exact_w2_squared",
    "frechet_difference",
    "frechet_distance",
    "frechet_with_error",
    "jackknife_error",
    "kernel_distance",
    "mean_with_error",
    "mse_unit",
    "patch_frechet",
    "psnr_db",
    "realism_for_measure",
    "sliced_w2_squared",
    "st_lpips",
    "wasserstein_distortion",
]
