"""Numbers with their nouns."""

import pytest

from vlog.sentences import counted


@pytest.mark.parametrize(
    ("number", "forms", "text"),
    [
        (0, ["video"], "0 videos"),
        (1, ["video"], "1 video"),
        (2, ["video"], "2 videos"),
        (1, ["entry is", "entries are"], "1 entry is"),
        (0, ["entry is", "entries are"], "0 entries are"),
    ],
)
def test_a_number_agrees_with_its_noun(number, forms, text):
    assert counted(number, *forms) == text
