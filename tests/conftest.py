"""Hypothesis draws the same examples on every machine, and never fails a test for being slow.

``HYPOTHESIS_PROFILE=explore pytest`` draws new ones.
"""

import os

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
