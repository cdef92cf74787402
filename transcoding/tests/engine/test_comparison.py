"""Two texts of one track, compared cue by cue."""

import random

from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.formats.comparison import NEAR, Change, Pair, advised, compare, merged
from transcoding.engine.formats.webvtt import Caption

A, B, C = Caption(0, 2, "One."), Caption(2, 4, "Two."), Caption(5, 7, "Three.")


def test_the_same_text_has_no_changes():
    assert compare([A, B], [A, B]) == [Pair(0, 0, Change.SAME), Pair(1, 1, Change.SAME)]


def test_a_cue_with_another_text_or_time_is_changed_and_others_are_added_or_removed():
    longer, other = Caption(0, 2.5, "One."), Caption(2.5, 4, "Too.")
    assert compare([A, B, C], [longer, other, Caption(8, 9, "Four.")]) == [
        Pair(0, 0, Change.CHANGED),
        Pair(1, 1, Change.CHANGED),
        Pair(2, None, Change.REMOVED),
        Pair(None, 2, Change.ADDED),
    ]


def test_a_difference_below_a_millisecond_is_none():
    assert compare([A], [Caption(0.0004, 1.9996, "One.")]) == [Pair(0, 0, Change.SAME)]


def test_of_overlapping_cues_those_with_the_same_text_belong_together():
    late = [Caption(cue.start + 1.5, cue.end + 1.5, cue.text) for cue in (A, B)]
    assert [(pair.old, pair.new) for pair in compare([A, B], late)] == [(0, 0), (1, 1)]


def test_a_text_that_was_moved_as_a_whole_is_recognised():
    late = [Caption(cue.start + 20, cue.end + 20, cue.text) for cue in (A, B, C)]
    assert compare([A, B, C], late) == [Pair(number, number, Change.CHANGED) for number in range(3)]


def test_what_is_kept_is_neither_changed_nor_repeated_by_an_added_cue():
    """A person has made one cue of two; the new text has two again."""
    present, new = [Caption(0, 4, "One, two."), C], [A, B, Caption(5, 7, "Free.")]
    pairs = compare(present, new)
    assert merged(pairs, present, new, advised(pairs, present, new, {0})) == [present[0], new[2]]
    assert merged(pairs, present, new, advised(pairs, present, new, set())) == new


def texts(draw_from):
    cue = st.tuples(st.floats(0, 100), st.floats(0, 5), st.sampled_from(draw_from))
    cues = st.lists(cue.map(lambda parts: Caption(parts[0], parts[0] + parts[1], parts[2])), max_size=30)
    return cues.map(lambda found: sorted(found, key=lambda caption: caption.start))


@given(texts("abc"), texts("abcd"))
def test_each_cue_is_in_one_pair_and_taking_all_or_none_gives_either_text(old, new):
    pairs = compare(old, new)
    assert sorted(pair.old for pair in pairs if pair.old is not None) == list(range(len(old)))
    assert sorted(pair.new for pair in pairs if pair.new is not None) == list(range(len(new)))
    ordered = sorted(new, key=lambda cue: (cue.start, cue.end, cue.text))
    taken = merged(pairs, old, new, range(len(pairs)))
    assert sorted(taken, key=lambda cue: (cue.start, cue.end, cue.text)) == ordered
    assert len(merged(pairs, old, new, ())) == len(old)


class Counted(Caption):
    """A cue that counts how often its text is compared."""

    reads = 0

    def __getattribute__(self, name):
        if name == "text":
            Counted.reads += 1
        return super().__getattribute__(name)


def test_the_work_grows_with_the_number_of_cues_and_not_with_its_square():
    """10 000 cues, of which every tenth has another text; also where all of them are shown at once."""
    count, source = 10_000, random.Random(18)  # noqa: S311 - test data
    for length in (1.0, 100_000.0):
        old = [Counted(number, number + length, f"{source.randrange(50)}") for number in range(count)]
        new = [Counted(cue.start, cue.end, "new" if number % 10 == 0 else cue.text) for number, cue in enumerate(old)]
        Counted.reads = 0
        assert len(compare(old, new)) >= count
        assert Counted.reads <= 4 * NEAR * count
