"""Studies that several tests look at, each computed once."""

import functools

import pytest

from veridical.studies.catalogue import run_study


@pytest.fixture(scope="session")
def studied(tmp_path_factory):
    """Of a study's name: the files that its smallest preset wrote; unfinished parts lie in ``work`` beside them."""
    folder = tmp_path_factory.mktemp("studies")
    return functools.cache(lambda name: run_study(name, folder))
