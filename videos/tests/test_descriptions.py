"""Descriptions as HTML: addresses and times become links, and everything else is shown as it is."""

import pytest

from videos.models import Video
from videos.pages.descriptions import described


def shown(text, duration=4000):
    return described(Video(description=text, duration=duration))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("One\ntwo\r\n\r\n\nthree", "<p>One<br>two</p>\n<p>three</p>"),
        ("a <b> & \"c\" 'd'", "<p>a &lt;b&gt; &amp; &quot;c&quot; &#x27;d&#x27;</p>"),
        ("1:02 start", '<p><a href="?t=62" data-seek="62">1:02</a> start</p>'),
        ("(1:02:03)", '<p>(<a href="?t=3723" data-seek="3723">1:02:03</a>)</p>'),
        ("at 0:00.", '<p>at <a href="?t=0" data-seek="0">0:00</a>.</p>'),
        ("75:30", "<p>75:30</p>"),  # after the end
        ("Psalm 1:2, 12:5:1, 1:02:03:04, a1:02, 1:02b, 2026-11-30T10:20", None),
        ("https://a.example/?b=1&c=2.", '<p><a href="https://a.example/?b=1&amp;c=2" rel="nofollow">'),
        (
            "(https://a.example/x_(y))",
            '<p>(<a href="https://a.example/x_(y)" rel="nofollow">https://a.example/x_(y)</a>)</p>',
        ),
        ("www.a.example", '<p><a href="https://www.a.example" rel="nofollow">www.a.example</a></p>'),
        ("ann@example.org", '<p><a href="mailto:ann@example.org">ann@example.org</a></p>'),
        ("https://a.example/1:02", '<p><a href="https://a.example/1:02" rel="nofollow">https://a.example/1:02</a></p>'),
        ("javascript:alert(1) //x", "<p>javascript:alert(1) //x</p>"),
        ('https://a.example/"onload="x', "&quot;onload=&quot;x</p>"),
    ],
)
def test_a_description(text, html):
    found = shown(text)
    assert "<a" not in found if html is None else html in found or html == found


def test_a_long_description_takes_no_time():
    assert len(shown("a.b-c+" * 8000 + "@" * 2000)) > 50_000
    assert len(shown("1:" * 25_000)) > 49_000
