"""Templates are compiled once for each language, with their texts as constants."""

import jinja2
import pytest
from django.utils import translation

from vlog.template_languages import Environment


def environment(**templates):
    made = Environment(
        loader=jinja2.DictLoader(templates),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    made.install_gettext_translations(translation, newstyle=True)
    return made


def rendered(made, language, **context):
    with translation.override(language):
        return made.get_template("page").render(**context)


def test_a_page_has_the_language_that_is_active_when_it_is_asked_for():
    made = environment(
        page="{% extends 'base' %}{% block part %}{{ _('Search') }}{% include 'part' %}{% endblock %}",
        base="{{ _('Home') }}{% block part %}{% endblock %}",
        part="{% from 'macros' import shown %}{{ shown(_('Tags')) }}",
        macros="{% macro shown(text) %}<b>{{ text }}{{ _('All') }}</b>{% endmacro %}",
    )
    pages = [rendered(made, language) for language in ("en", "de", "en", None)]
    assert pages[0] == pages[2] == pages[3] == "HomeSearch<b>TagsAll</b>"
    with translation.override("de"):
        words = [translation.gettext(word) for word in ("Home", "Search", "Tags", "All")]
    assert pages[1] == "{}{}<b>{}{}</b>".format(*words)
    assert words[1] == "Suchen"


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("{{ _('100%% of it') }}", "100% of it"),
        ("{{ _('<b>Fat</b>') }}", "<b>Fat</b>"),
        ("{{ _('%(name)s is there', name=name) }}", "A&amp;B is there"),
        ("{% trans %}Search{% endtrans %}", "Suchen"),
        ("{% trans name=name %}{{ name }} is there{% endtrans %}", "A&amp;B is there"),
        ("{{ pgettext('visibility', 'public') }}", "öffentlich"),
        ("{{ _(name) }}", "A&B"),
        ("{{ ngettext('%(num)s thing', '%(num)s things', 2) }}", "2 things"),
    ],
)
def test_texts_are_those_that_a_lookup_at_each_use_gives(source, page):
    made = environment(page=source)
    assert rendered(made, "de", name="A&B") == page


def test_no_constant_text_is_looked_up_when_a_page_is_made():
    made = environment(page="<p>{{ _('Search') }}{{ pgettext('visibility', 'public') }}</p>").in_language("en")
    code = made.compile(made.loader.get_source(made, "page")[0], raw=True)
    assert "yield '<p>Searchpublic</p>'" in code


def test_what_is_included_without_context_is_rendered_when_a_template_is_compiled():
    made = environment(
        page="{% include 'part' without context %}{% include 'other' %}",
        part="{% for text in ['&', _('Search')] %}<b>{{ text }}</b>{% endfor %}",
        other="{{ name }}",
    )
    assert rendered(made, "de", name="x") == "<b>&amp;</b><b>Suchen</b>x"
    assert rendered(made, "en", name="x") == "<b>&amp;</b><b>Search</b>x"
    english = made.in_language("en")
    assert "<b>Search</b>" in english.compile(made.loader.get_source(made, "page")[0], raw=True)
