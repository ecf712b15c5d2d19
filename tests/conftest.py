"""What every test may use: hypothesis profiles, the data folder, a bounded number of threads."""

import os

# Small arrays gain nothing from many threads, which wait for each other in loops where cores are few.
# This must stand before anything imports numpy or torch; a value set from outside wins, for all alike.
_threads = os.environ.setdefault("OMP_NUM_THREADS", "1")
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, _threads)

from pathlib import Path  # noqa: E402 - the thread settings above come first

import pytest  # noqa: E402 - the same
from hypothesis import HealthCheck, settings  # noqa: E402 - the same

# No profile has a deadline: a timing on a busy machine says nothing about the code.
settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=50,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "thorough",
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("VERIDICAL_HYPOTHESIS", "ci"))

_CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with MNIST and the photographs; a test that needs it is skipped without it."""
    named = os.environ.get("VERIDICAL_DATA")
    if named is not None:
        folder = Path(named)
        if not folder.is_dir():
            pytest.fail(
                f"VERIDICAL_DATA names {named!r}, which is not a folder; correct or unset it"
            )
        return folder
    folder = _CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the test data; set VERIDICAL_DATA to the folder that holds it")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``gpu`` where there is none, without importing torch for any other."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
