"""Hypothesis draws the same examples on every machine, and never fails a test for being slow.

``HYPOTHESIS_PROFILE=thorough pytest`` draws more of them, as `make slow` does, and ``explore`` new ones. Of a test with
``@pytest.mark.sampled(keep=n)`` n cases, spread evenly, belong to the fast tests; the others are slow.
"""

import os
from collections import defaultdict

import pytest
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=30)
settings.register_profile("thorough", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


def pytest_configure(config):
    config.addinivalue_line("markers", "sampled(keep): all but `keep` of the cases are slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled"):
            cases[item.nodeid.split("[")[0]].append(item)
    for own in cases.values():
        keep = own[0].get_closest_marker("sampled").kwargs["keep"]
        fast = {round(i * (len(own) - 1) / max(1, keep - 1)) for i in range(keep)}
        for place, item in enumerate(own):
            if place not in fast:
                item.add_marker(pytest.mark.slow)
