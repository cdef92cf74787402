"""Transcripts on the page of a video: paragraphs by pauses, and a link to the second of each caption."""

import re

import pytest

from videos.pages.transcripts import LONG, paragraphs, transcript
from videos.tests.factories import VideoFactory, add_captions


def grouped(*cues):
    return [[text for _, _, text in lines] for lines in paragraphs(cues)]


@pytest.mark.parametrize(
    ("cues", "expected"),
    [
        ([], []),
        ([(0, 1, "a"), (2, 3, "b"), (6, 7, "c")], [["a", "b"], ["c"]]),
        ([(0, 9, "a"), (1, 2, "b"), (11, 12, "c")], [["a", "b", "c"]]),  # the first one is shown until 9
        ([(0, 1, "a" * LONG), (1, 2, "b."), (2, 3, "c")], [["a" * LONG, "b."], ["c"]]),
        ([(0, 1, "a" * LONG), (1, 2, "b"), (2, 3, "c")], [["a" * LONG, "b", "c"]]),  # a sentence is not cut
        ([(0, 1, "a" * 1501), (1, 2, "b")], [["a" * 1501], ["b"]]),
    ],
)
def test_paragraphs_end_at_pauses_and_long_ones_at_sentences(cues, expected):
    assert grouped(*cues) == expected


def test_each_text_leads_to_its_second():
    html = transcript([(61.5, 63, "<b> & more")], 2)
    assert re.findall(r'href="(.+?)"', html) == ["?t=61&amp;captions=2"] * 2
    assert "&lt;b&gt; &amp; more" in html
    assert 'data-seek="61.500" data-end="63.000"' in html


@pytest.mark.django_db
def test_the_page_shows_the_track_that_is_asked_for(client):
    video = VideoFactory(public=True, slug="lake")
    add_captions(video, (0, 2, "Hello"), language="en")
    add_captions(video, (0, 2, "Bonjour"), (9, 10, "Adieu"), language="fr")
    page = client.get("/watch/lake/?captions=2").content.decode()
    assert '<ol class="paragraphs" role="list" dir="auto" lang="fr">' in page
    assert page.count('class="at"') == 2
    assert "Hello" not in page[page.index("paragraphs") :]
