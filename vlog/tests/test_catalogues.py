"""The catalogues of translations: what `make check` finds, and what it lets pass."""

import pytest
from babel.messages.catalog import Catalog

from vlog.catalogues import files, holes, sources


def faults(english, german, **more):
    catalog = Catalog(locale="de")
    return list(holes.faults(catalog.add(english, german, **more)))


@pytest.mark.parametrize(
    ("english", "german", "fault"),
    [
        ("Save", "Speichern", []),
        ("Save", "", ["no translation"]),
        (("%(number)s video", "%(number)s videos"), ("%(number)s Video", ""), ["no translation"]),
        ("%(who)s left", "%(wer)s ging", ["other placeholders or tags than in English"]),
        ('Go <a href="%(list)s">there</a>', "Dorthin", ["other placeholders or tags than in English"]),
        ("{inviter} invites", "Einladung", ["other placeholders or tags than in English"]),
        ("100 %% of it", "100 % davon", ["other placeholders or tags than in English"]),
    ],
)
def test_a_translation_has_the_placeholders_of_its_message(english, german, fault):
    assert faults(english, german) == fault


def test_a_guess_is_no_translation():
    assert faults("Save", "Sichern", flags=["fuzzy"]) == ["a guess (fuzzy)"]


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("<p>{% translate 'Save' %} {{ title }}: 1</p>", []),
        ("<p>{% blocktranslate %}Save {{ title }}{% endblocktranslate %}</p>", []),
        ("<p>{% trans name=title %}Save {{ name }}{% endtrans %} {{ _('Save') }}</p>", []),
        ("<p>Save {{ title }}</p>", ["Save"]),
        ('<img alt="A hill"><input type="submit" value="Save"><input name="q" value="Save">', ["A hill", "Save"]),
        ("<kbd>Ctrl</kbd><code>manage.py</code><script>const text = 'Save';</script>VLog", []),
    ],
)
def test_texts_of_a_template_stand_in_its_translation_tags(template, texts):
    assert holes.bare_texts(template) == texts


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("forms.CharField(label=_('Name'))", []),
        ("forms.CharField(label='Name', max_length=3)", ["Name"]),
        ("self.message_user(request, f'{title} was saved.')", ["was saved"]),
        ("raise ValidationError('Write it again.')", ["Write it again."]),
        ("context = {'title': 'Videos', 'name': 'x y'}", ["Videos"]),
        ("admin.display(description='State')", ["State"]),
        ("log.warning('It is away.')", []),
    ],
)
def test_labels_and_messages_go_through_gettext(source, texts):
    assert [text for _line, text in holes.bare_strings(source)] == texts


def test_messages_are_found_in_python_templates_and_scripts(tmp_path):
    write = {
        "videos/rows.py": "audit.record(\"planned\")\nplural('one', 'many', 3)\n",
        "templates/admin/a.html": "{% translate 'A & B' %}{{ x|default:_('None') }}{% translate 'F' context 'c' %}",
        "templates/site/b.html": "{{ _('Site') }}{% trans n=number %}{{ n }} of it{% endtrans %}",
        "static/c.js": "say(`${translated('Hello')}`); translatedPlural('one', 'many', 3);",
    }
    for name, text in write.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [*sources.python(tmp_path), *sources.templates(tmp_path), *sources.scripts(tmp_path)]
    assert {(one.text, one.context) for one in found if one.place != "django"} == {
        (("one", "many"), None),
        ("planned", "audit"),
        ("A & B", None),
        ("None", None),
        ("F", "c"),
        ("Site", None),
        ("%(n)s of it", None),
        ("Hello", None),
    }


def test_an_update_keeps_translations_and_drops_what_is_gone(tmp_path):
    path = tmp_path / "locale/de/LC_MESSAGES/django.po"
    old, template = Catalog(locale="de"), Catalog()
    old.add("Save", "Speichern")
    old.add("Gone", "Weg")
    files.write(path, old)
    template.add("Save")
    template.add("New")
    files.update(path, template)
    assert {one.id: one.string for one in files.read(path) if one.id} == {"Save": "Speichern", "New": ""}
    files.compile_all([path])
    assert path.with_suffix(".mo").stat().st_size > 0


def test_the_names_of_the_desk_are_messages():
    found = {(one.text, one.context) for one in sources.names()}
    assert {("video", "name"), ("audit log entries", "name"), ("Unlisted", "name"), ("Reset password", None)} <= found
