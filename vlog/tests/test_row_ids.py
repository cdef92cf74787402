"""Ids that were sent as text."""

import pytest

from vlog.row_ids import row_id


@pytest.mark.parametrize(("text", "pk"), [("0", 0), ("7", 7), ("1259303561", 1259303561), ("2147483647", 2**31 - 1)])
def test_an_id_is_a_number_that_a_row_can_have(text, pk):
    assert row_id(text) == pk


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1.0", "x", "²", "٣", "2147483648", "9" * 5000])
def test_other_texts_are_none(text):
    assert row_id(text) is None
