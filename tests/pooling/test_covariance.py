import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metapeer.errors import DataError, MetapeerError
from metapeer.pooling.covariance import (
    SamplingCovariance,
    connected_components,
    covariance_from_blocks,
    covariance_from_matrix,
    covariance_from_variances,
)
from metapeer.pooling.definiteness import nearest_correlation

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "covariance.json").read_text(encoding="utf-8"))


def random_covariance(rng, m):
    root = rng.normal(size=(m, m + 2))
    return root @ root.T + 0.1 * np.eye(m)


def mixed(rng):
    """A covariance of seven rows whose blocks interleave, and the same as one matrix."""
    groups = [np.array([0, 3, 6]), np.array([1, 4]), np.array([2]), np.array([5])]
    blocks = tuple((g, random_covariance(rng, g.size)) for g in groups)
    dense = np.zeros((7, 7))
    for g, block in blocks:
        dense[np.ix_(g, g)] = block
    return SamplingCovariance(k=7, blocks=blocks), dense


def test_the_blocks_of_a_matrix_are_found_wherever_its_rows_stand():
    rng = np.random.default_rng(1)
    V, dense = mixed(rng)
    found = covariance_from_matrix(dense)
    assert [g.tolist() for g, _ in found.blocks] == [[0, 3, 6], [1, 4], [2], [5]]
    np.testing.assert_allclose(found.to_dense(), V.to_dense())
    np.testing.assert_allclose(found.diagonal(), dense.diagonal())


def test_berkeys_matrix_comes_apart_into_its_five_trials():
    case = GOLDEN["vcalc"]["berkey"]
    dense = np.zeros((10, 10))
    dense[case["row"], case["column"]] = dense[case["column"], case["row"]] = case["value"]
    found = covariance_from_matrix(dense)
    assert [g.tolist() for g, _ in found.blocks] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert found.correlation(0, 1) == pytest.approx(0.003 / np.sqrt(0.0075 * 0.0077))
    by_blocks = covariance_from_blocks([dense[i : i + 2, i : i + 2] for i in range(0, 10, 2)])
    np.testing.assert_array_equal(by_blocks.to_dense(), dense)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(0, 7))
def test_choosing_rows_is_choosing_them_from_the_dense_matrix(seed, size):
    rng = np.random.default_rng(seed)
    V, dense = mixed(rng)
    chosen = rng.permutation(7)[:size]
    part = V.rows(chosen)
    assert part.k == size
    np.testing.assert_array_equal(part.to_dense(), dense[np.ix_(chosen, chosen)])


def test_correlations_are_those_of_the_dense_matrix():
    V, dense = mixed(np.random.default_rng(2))
    sei = np.sqrt(dense.diagonal())
    for i in range(7):
        for j in range(7):
            assert V.correlation(i, j) == pytest.approx(dense[i, j] / sei[i] / sei[j], abs=1e-12)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [([0, 0], "once only"), ([7], "from 0 to 6"), ([-1], "from 0 to 6"), ([0.5], "list of positions"), ([[0]], "list")],
)
def test_rows_that_are_not_there_cannot_be_chosen(chosen, message):
    V, _ = mixed(np.random.default_rng(3))
    with pytest.raises(MetapeerError, match=message):
        V.rows(chosen)


def test_correlations_of_rows_that_are_not_there_are_refused():
    V, _ = mixed(np.random.default_rng(3))
    for pair in ((0, 7), (-1, 0)):
        with pytest.raises(MetapeerError, match="from 0 to 6"):
            V.correlation(*pair)


def test_no_dense_matrix_is_made_of_many_rows():
    V = covariance_from_variances(np.full(5001, 0.1))
    with pytest.raises(MetapeerError, match=r"0\.2 GB"):
        V.to_dense()


def test_arrays_of_a_covariance_cannot_be_changed():
    V, _ = mixed(np.random.default_rng(4))
    with pytest.raises(ValueError, match="read-only"):
        V.blocks[0][1][0, 0] = 1.0


@pytest.mark.parametrize(
    "blocks",
    [
        [([0], [[1.0]])],
        [([0], [[1.0]]), ([0], [[1.0]])],
        [([1, 0], [[1.0, 0.0], [0.0, 1.0]])],
        [([0], [[1.0]]), ([2], [[1.0]])],
        [([0, 1], [[1.0]])],
    ],
)
def test_every_row_stands_in_one_block_in_ascending_order(blocks):
    arrays = tuple((np.array(rows, dtype=np.intp), np.array(matrix)) for rows, matrix in blocks)
    with pytest.raises(MetapeerError, match=r"exactly one block|must be square"):
        SamplingCovariance(k=2, blocks=arrays)


def test_nothing_is_a_covariance_of_no_rows():
    assert SamplingCovariance(k=0, blocks=()).to_dense().shape == (0, 0)


def test_every_fault_of_a_matrix_is_listed():
    bad = [[0.04, 0.01, np.nan], [0.02, 0.09, 0.0], [0.0, 0.0, -1.0]]
    with pytest.raises(DataError) as caught:
        covariance_from_matrix(bad, names=["a", "b", "c"])
    said = str(caught.value)
    assert len(caught.value.faults) == 3
    assert "c: its variance is -1" in said
    assert "the covariance of a and b is 0.01 and, mirrored, 0.02" in said
    assert "the covariance of a and c is nan" in said


def test_rounding_that_leaves_a_matrix_not_quite_symmetric_is_forgiven():
    V = covariance_from_matrix([[1.0, 0.5 + 1e-12], [0.5, 1.0]])
    dense = V.to_dense()
    assert dense[0, 1] == dense[1, 0]


@pytest.mark.parametrize("make", [covariance_from_matrix, lambda m: covariance_from_blocks([m])])
def test_singular_and_contradictory_matrices_are_told_apart_with_their_rows(make):
    singular = np.array([[1.0, 1.0, 0.1], [1.0, 1.0, 0.1], [0.1, 0.1, 1.0]])
    with pytest.raises(DataError, match="row 1, row 2: their sampling errors determine each other"):
        make(singular)
    with pytest.raises(DataError, match="contradict each other"):
        make(np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]))


def test_scale_does_not_make_a_matrix_singular():
    scale = np.array([1e-8, 1.0, 1e8])
    correlations = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.3], [0.2, 0.3, 1.0]])
    V = covariance_from_matrix(correlations * np.outer(scale, scale))
    assert V.correlation(0, 2) == pytest.approx(0.2)


@pytest.mark.parametrize("bad", ["V", [1.0, 2.0], [[1.0, 2.0]], [["a"]], np.zeros((0, 0))])
def test_what_is_no_square_table_of_numbers_is_refused(bad):
    with pytest.raises(DataError, match="square"):
        covariance_from_matrix(bad)


def test_names_must_pair_with_rows():
    with pytest.raises(MetapeerError, match="has 1 row and there are 2"):
        covariance_from_matrix([[1.0]], names=["a", "b"])


def test_variances_must_be_positive_numbers():
    with pytest.raises(DataError) as caught:
        covariance_from_variances(np.array([0.1, 0.0, np.inf, np.nan, -2.0]))
    assert len(caught.value.faults) == 4


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_linked_rows_are_in_one_group_and_others_are_not(k, links, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, k, (2, links))
    groups = connected_components(k, first, second)
    owner = np.empty(k, dtype=int)
    for number, group in enumerate(groups):
        assert (np.diff(group) > 0).all()
        owner[group] = number
    assert (owner[first] == owner[second]).all()
    # as many groups as the null space of the graph's Laplacian has dimensions
    laplacian = np.zeros((k, k))
    np.add.at(laplacian, (first, first), 1)
    np.add.at(laplacian, (second, second), 1)
    np.add.at(laplacian, (first, second), -1)
    np.add.at(laplacian, (second, first), -1)
    assert len(groups) == k - np.linalg.matrix_rank(laplacian)


def test_a_long_chain_is_one_group():
    first = np.random.default_rng(5).permutation(4999)
    assert len(connected_components(5000, first, first + 1)) == 1


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_nearest_correlation_matrix_is_one_and_no_worse_than_others(m, seed):
    rng = np.random.default_rng(seed)
    given_ = rng.uniform(-1, 1, (m, m))
    given_ = (given_ + given_.T) / 2
    np.fill_diagonal(given_, 1.0)
    found = nearest_correlation(given_)
    np.testing.assert_allclose(found.diagonal(), 1.0, atol=1e-12)
    assert np.linalg.eigvalsh(found).min() > 0
    other = random_covariance(rng, m)
    other /= np.sqrt(np.outer(other.diagonal(), other.diagonal()))
    assert np.linalg.norm(found - given_) <= np.linalg.norm(other - given_) + 1e-4


def test_a_correlation_matrix_is_nearest_to_itself():
    R = np.array([[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(nearest_correlation(R), R, atol=1e-12)
