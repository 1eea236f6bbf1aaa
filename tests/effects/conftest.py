"""Golden effects of rates and of one group, as test parameters.

`@pytest.mark.golden_effects("IRR", "IRD")` runs a test once for every R call with one of these measures; the test takes
`columns`, the table, and `case`, the call's arguments and results.
"""

import json
from functools import cache
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@cache
def read_golden():
    return json.loads((GOLDEN / "effects_groups.json").read_text(encoding="utf-8"))


def pytest_configure(config):
    config.addinivalue_line("markers", "golden_effects(*measures): run once for every golden call with these measures")


def pytest_generate_tests(metafunc):
    for mark in metafunc.definition.iter_markers("golden_effects"):
        golden = read_golden()
        cases = [case for case in golden["cases"] if case["arguments"]["measure"] in mark.args]
        assert {case["arguments"]["measure"] for case in cases} == set(mark.args)
        metafunc.parametrize(
            ("columns", "case"),
            [pytest.param(golden["data"][case["data"]], case, id=case["id"]) for case in cases],
        )
