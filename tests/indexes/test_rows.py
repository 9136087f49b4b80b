"""Growable rows under ids: what is there after any deletions, and what a damaged payload does."""

import numpy as np
import pytest

from minivec.indexes.rows import Rows
from tests.indexes.judges import numbered


def filled(count):
    rows = Rows(3, np.float32)
    for doc_id in range(1, count + 1):
        rows.append(np.array([doc_id]), np.full((1, 3), doc_id, dtype=np.float32))
    return rows


def test_rows_keep_their_ids_through_growth_and_deletion():
    rows = filled(200)
    rows.remove(numbered(100, first=51))
    assert sorted(rows.ids.tolist()) == [*range(1, 51), *range(151, 201)]
    np.testing.assert_array_equal(rows.matrix, np.repeat(rows.ids[:, np.newaxis], 3, axis=1).astype(np.float32))


def test_removing_an_unknown_id_changes_nothing():
    rows = filled(3)
    rows.remove(np.array([7, 2, 2]))
    assert sorted(rows.ids.tolist()) == [1, 3]


def test_unknown_ids_are_named_once_even_when_a_batch_repeats_them():
    assert filled(3).unknown(np.array([5, 2, 6, 5])).tolist() == [0, 2]


def test_rows_come_back_from_their_payload():
    rows, loaded = filled(20), Rows(3, np.float32)
    rows.remove(np.array([4]))
    loaded.load(memoryview(rows.save()))
    np.testing.assert_array_equal(loaded.ids, rows.ids)
    np.testing.assert_array_equal(loaded.matrix, rows.matrix)
    loaded.append(np.array([99]), np.ones((1, 3), dtype=np.float32))
    assert len(loaded) == 20


@pytest.mark.parametrize("cut", [0, 5, 16, 40, 99])
def test_a_payload_of_another_length_is_refused(cut):
    with pytest.raises(ValueError, match="rows"):
        Rows(3, np.float32).load(memoryview(filled(20).save()[:cut]))


def test_a_payload_of_another_width_is_refused():
    with pytest.raises(ValueError, match="not 4 wide"):
        Rows(4, np.float32).load(memoryview(filled(20).save()))


def test_a_payload_that_names_an_id_twice_is_refused():
    rows = Rows(1, np.float32)
    rows.append(np.array([1, 2]), np.ones((2, 1), dtype=np.float32))
    payload = bytearray(rows.save())
    payload[16:24] = payload[24:32]
    with pytest.raises(ValueError, match="more than one row"):
        Rows(1, np.float32).load(memoryview(payload))
