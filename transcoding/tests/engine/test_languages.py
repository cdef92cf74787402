"""Language tags of containers and file names, as BCP 47 writes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.languages import LONGEST, clean, primary


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        *(("en", "en"), ("eng", "en"), ("ENG", "en"), ("ger", "de"), ("deu", "de"), ("chi", "zh"), ("zho", "zh")),
        *(("PT_br", "pt-BR"), ("por-BR", "pt-BR"), ("es-419", "es-419"), ("zh-hant-tw", "zh-Hant-TW")),
        *(("sr-Latn", "sr-Latn"), ("de-CH-1996", "de-CH"), ("en-US-x-twain", "en-US"), ("zh-cmn-Hans", "zh-Hans")),
        *(("yue", "yue"), ("mul", "mul"), ("zxx", "zxx"), ("iw", "he"), ("scr", "hr"), (" fr ", "fr")),
        *((None, "und"), ("", "und"), ("und", "und"), ("unk", "und"), ("qaa", "und"), ("xx", "und"), ("x-a", "und")),
        *(('e"g', "und"), ("english", "und"), ("e\0n", "und"), ("en\n", "en"), ("12", "und"), ("-", "und")),
        *(("éng", "und"), ("a" * 300, "und"), ("en-" + "a" * 300, "en")),
    ],
)
def test_a_tag_is_cleaned(said, tag):
    assert clean(said) == tag


@given(st.text(max_size=60))
def test_whatever_is_said_the_result_is_a_tag_that_stays_as_it_is(said):
    tag = clean(said)
    assert re.fullmatch("[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?", tag)
    assert len(tag) <= LONGEST
    assert clean(tag) == tag


def test_the_language_of_a_tag_has_no_region():
    assert [primary(tag) for tag in ("pt-BR", "pt", "und")] == ["pt", "pt", "und"]
