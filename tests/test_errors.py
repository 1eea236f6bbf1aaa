"""What an error says, what page it names, and that it travels between processes as it is."""

import importlib
import pickle

import pytest

from metapeer.errors import (
    PAGES_OF_CHOICES,
    ChoiceError,
    ConvergenceError,
    DataError,
    Fault,
    MetapeerError,
    check_choice,
)


def test_an_error_without_a_page_says_its_message_and_no_more():
    assert str(MetapeerError("sei is missing")) == "sei is missing"
    assert str(ConvergenceError("no maximum")) == "no maximum"
    assert str(MetapeerError()) == ""


def test_an_error_with_a_page_names_it_in_its_last_line():
    error = ChoiceError("model 'x' is unknown", page="methods#presets")
    assert str(error).splitlines() == ["model 'x' is unknown", "  see docs/methods.md#presets"]
    assert error.args == ("model 'x' is unknown",)


def test_a_table_at_fault_lists_every_fault_before_the_page():
    error = DataError("mine.csv", [Fault(line=2, message="is wrong"), "is short"], page="data-dictionary")
    assert str(error).splitlines() == [
        "mine.csv has 2 problems",
        "  line 2: is wrong",
        "  is short",
        "  see docs/data-dictionary.md",
    ]


@pytest.mark.parametrize(
    "error",
    [
        ChoiceError("wrong", page="methods"),
        ConvergenceError("none"),
        DataError("a.csv", ["is empty"]),
        DataError("a.csv", [Fault(line=3, message="is empty")], page="data-dictionary"),
    ],
)
def test_an_error_comes_back_from_another_process_as_it_was(error):
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of our own
    assert type(back) is type(error)
    assert (str(back), back.page) == (str(error), error.page)
    assert getattr(back, "faults", ()) == getattr(error, "faults", ())


def test_an_unknown_choice_says_where_its_choices_are_explained():
    with pytest.raises(ChoiceError, match=r"'RELM' is unknown\. Did you mean 'REML'\?") as caught:
        check_choice("tau2_method", "RELM", ["DL", "REML"])
    assert str(caught.value).endswith("\n  see docs/methods.md#between-study-variance")
    with pytest.raises(ChoiceError) as caught:
        check_choice("colour", "rde", ["red"])
    assert "see" not in str(caught.value)


@pytest.mark.parametrize("name", PAGES_OF_CHOICES)
def test_every_option_with_a_page_is_an_option_of_a_public_function(name):
    inspect, metapeer = importlib.import_module("inspect"), importlib.import_module("metapeer")
    functions = [thing for thing in (getattr(metapeer, n) for n in metapeer.__all__) if inspect.isfunction(thing)]
    assert any(name in inspect.signature(function).parameters for function in functions)
