"""The four distances, judged by their definitions written as loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minivec.indexes.distance import code_bytes, distances, prepare, sign_codes
from tests.indexes.judges import clustered, plain_distance

DISTANCES = ("cosine", "dot", "l2-squared", "hamming")


@pytest.mark.parametrize("distance", DISTANCES)
def test_each_distance_is_its_definition(distance):
    matrix = clustered(50, 13)
    query = clustered(1, 13, seed=9)[0]
    expected = [plain_distance(query, row, distance) for row in matrix]
    found = distances(query, matrix, distance)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_finite_numbers_have_a_distance_that_can_be_ordered(distance, data):
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    dimension = data.draw(st.integers(1, 20))
    matrix = data.draw(arrays.arrays(np.float32, (3, dimension), elements=numbers))
    query = data.draw(arrays.arrays(np.float32, dimension, elements=numbers))
    found = distances(query, matrix, distance)
    assert not np.isnan(found).any()
    if distance == "cosine":
        np.testing.assert_allclose(found, [plain_distance(query, row, "cosine") for row in matrix], atol=2e-6)


def test_cosine_leaves_the_callers_array_alone():
    vectors = clustered(4, 8)
    before = vectors.copy()
    prepare(vectors, "cosine")
    distances(vectors[0], vectors, "cosine")
    np.testing.assert_array_equal(vectors, before)


def test_a_prepared_copy_never_shares_memory_with_the_callers_array():
    vectors = clustered(4, 8)
    assert not np.shares_memory(prepare(vectors, "dot"), vectors)


def test_a_zero_vector_is_one_away_from_everything_by_cosine():
    zero = np.zeros(5, dtype=np.float32)
    matrix = np.vstack([zero, np.ones(5, dtype=np.float32)])
    assert distances(zero, matrix, "cosine").tolist() == [1.0, 1.0]
    assert distances(np.ones(5, dtype=np.float32), matrix, "cosine")[0] == 1.0


def test_cosine_stays_between_0_and_2():
    vector = np.full(37, 0.1, dtype=np.float32)
    found = distances(vector, np.stack([vector, -vector]), "cosine")
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[0] >= 0.0
    assert 1.999 < found[1] <= 2.0


def test_equal_rows_are_equally_far_wherever_they_stand():
    matrix = np.tile(clustered(1, 37), (101, 1))
    query = clustered(1, 37, seed=3)[0]
    for distance in DISTANCES:
        assert len(set(distances(query, matrix, distance).tolist())) == 1


def test_a_bit_is_set_when_its_number_is_greater_than_zero():
    codes = sign_codes(np.array([1.0, 0.0, -1.0, -0.0, 1e-40, 5.0, -3.0, 2.0, 1.0], dtype=np.float32))
    assert np.unpackbits(codes)[:9].tolist() == [1, 0, 0, 0, 1, 1, 0, 1, 1]
    assert not np.unpackbits(codes)[9:].any()


@pytest.mark.parametrize(
    ("dimension", "expected"), [(1, 8), (64, 8), (65, 16), (384, 64), (512, 64), (513, 128), (1024, 128), (4096, 512)]
)
def test_codes_are_padded_to_the_sizes_that_are_fast(dimension, expected):
    assert code_bytes(dimension) == expected
