"""What a review pools now is what an update takes as its before."""

import pytest

import metapeer as mp


def test_a_review_pools_what_an_update_calls_before(review):
    found = mp.pool_review(review)
    before = mp.update(review, None, method={"tau2_method": "PM"}).before
    assert {name: fit.estimate for name, fit in found.items()} == {name: fit.estimate for name, fit in before.items()}


def test_an_outcome_is_asked_for_by_its_name(review):
    assert list(mp.pool_review(review, outcomes="hope")) == ["hope"]
    with pytest.raises(mp.ChoiceError, match="Did you mean 'hope'"):
        mp.pool_review(review, outcomes="hop")
    with pytest.raises(mp.MetapeerError):
        mp.pool_review(None)


@pytest.fixture(scope="module")
def review():
    return mp.load_dataset("lyons2021")
