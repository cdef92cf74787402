"""Pages in German: no text of the catalogue is left in English on any page that a link leads to."""

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.core.cache import cache
from django.urls import Resolver404, resolve
from django.utils import timezone, translation

from videos.formatting import age, day, thousands, views
from videos.tests.factories import VideoFactory
from vlog import languages, site
from vlog.models import SiteSettings, UserSettings
from vlog.tests import rows
from vlog.tests.people import account, client_of

CATALOGUE = settings.BASE_DIR / "locale/de/LC_MESSAGES/django.po"
NO_PAGES = ("/api/", "/media/", "/static/", "/site/", "/admin/logout/", "/admin/jsi18n/")
ARABIC = "نزهة في الجبال"


class Texts(HTMLParser):
    """The texts of a page that people read or hear, and its links."""

    def __init__(self, page):
        super().__init__()
        self.found, self.links, self.silent, self.language, self.directions = [], [], 0, "", {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.silent += tag in ("script", "style", "kbd")
        if tag == "html":
            self.language = named.get("lang")
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])
        self.direction = named.get("dir")
        self.found += [named[name] for name in ("aria-label", "alt", "placeholder", "title") if named.get(name)]
        if tag == "input" and named.get("type") == "submit":
            self.found.append(named.get("value", ""))

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style", "kbd")

    def handle_data(self, data):
        text = " ".join(data.split())
        if text and not self.silent:
            self.found.append(text)
            self.directions[text] = getattr(self, "direction", None)


@pytest.fixture(scope="module")
def english():
    """The messages whose German is another text."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="de")
    texts = set()
    for message in catalogue:
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.id, tuple) else (message.string,)
        texts |= {one for one, other in zip(ids, strings, strict=False) if one and one != other and "%(" not in one}
    return texts - {message.string for message in catalogue if isinstance(message.string, str)}


@pytest.fixture
def film(db):
    cache.clear()
    video = rows.make_everything()
    VideoFactory(title=ARABIC, slug="arabic", public=True)
    return video


@pytest.fixture
def german(film):
    person = account("gerda", "Administrators")
    UserSettings.objects.create(user=person, language="de")
    return client_of(person)


def walk(client, *starts, below="/"):
    """Yield the address and the texts of one page of each route that links lead to, of those below a path."""
    routes, waiting = set(), list(starts)
    while waiting:
        path = waiting.pop(0)
        if (route := route_of(path)) in routes:
            continue
        routes.add(route)
        response = client.get(path, follow=True)
        here = response.redirect_chain[-1][0] if response.redirect_chain else path
        if here.startswith(below) and response.headers.get("Content-Type", "").startswith("text/html"):
            texts = Texts(response.content.decode())
            yield path, texts
            waiting += [unescape(link) for link in texts.links if link.startswith(below)]


def route_of(path):
    plain = urlsplit(path).path
    if plain.startswith(NO_PAGES) or "." in plain:
        return None
    try:
        return resolve(plain).route
    except Resolver404:
        return None


@pytest.mark.slow("opens more than a hundred pages")
def test_no_page_of_the_desk_has_an_english_text_left(german, english):
    pages = dict(walk(german, "/admin/", "/admin/auth/user/invite/", below="/admin/"))
    left = {path: sorted(english.intersection(texts.found)) for path, texts in pages.items()}
    assert {path: found for path, found in left.items() if found} == {}
    assert {texts.language for texts in pages.values()} == {"de"}
    assert len(pages) > 40


@pytest.fixture
def spoken_on_the_site(db):
    """Return a function that makes a language that of the site."""

    def choose(code):
        site.save(SiteSettings(name="Hafen TV", language=code, time_zone="UTC"))
        site.settings_of_site.forget()

    return choose


def page_of(client, path):
    return Texts(client.get(path).content.decode())


def test_the_desk_speaks_the_language_of_the_person(db):
    pages = {}
    for name, code in (("gerda", "de"), ("edna", "en")):
        UserSettings.objects.create(user=account(name, "Editors"), language=code)
        person = UserSettings.objects.get(user__username=name).user
        pages[name] = page_of(client_of(person), "/admin/videos/video/add/")
    assert (pages["gerda"].language, pages["edna"].language) == ("de", "en")
    assert "Videos hochladen" in pages["gerda"].found
    assert "Upload videos" in pages["edna"].found


def test_visitors_get_the_language_of_the_site_and_editors_their_own(client, spoken_on_the_site):
    spoken_on_the_site("de")
    editor = account("edna", "Editors")
    UserSettings.objects.create(user=editor, language="en")
    ours, theirs = page_of(client, "/playlists/"), page_of(client_of(editor), "/playlists/")
    assert (ours.language, "Noch keine Wiedergabelisten" in ours.found) == ("de", True)
    assert (theirs.language, "No playlists yet" in theirs.found) == ("en", True)


def test_the_login_is_in_the_language_of_the_site(client, spoken_on_the_site):
    spoken_on_the_site("de")
    login = page_of(client, "/admin/login/")
    assert (login.language, "Anmelden" in login.found) == ("de", True)


def test_a_language_without_a_catalogue_is_that_of_the_titles_alone(client, spoken_on_the_site):
    spoken_on_the_site("fr")
    page = page_of(client, "/playlists/")
    assert (page.language, "No playlists yet" in page.found) == ("fr", True)
    assert (languages.spoken("fr"), languages.spoken("de-at"), languages.spoken("xx")) == ("en", "de", "en")


def test_the_language_of_a_person_that_vlog_no_longer_speaks_is_english(db):
    person = account("edna", "Editors")
    UserSettings.objects.create(user=person, language="fr")
    page = page_of(client_of(person), "/admin/videos/video/add/")
    assert (page.language, "Upload videos" in page.found) == ("en", True)


def test_errors_of_the_api_stay_english(client, spoken_on_the_site):
    spoken_on_the_site("de")
    assert client.get("/api/v1/videos/nothing/").json() == {"detail": "There is no video nothing."}


def test_a_person_chooses_among_the_languages_that_vlog_speaks(db):
    client = client_of(account("edna", "Editors"))
    client.post("/admin/security/time/", {"time_zone": "", "language": "de"})
    assert UserSettings.objects.get(user__username="edna").language == "de"
    page = page_of(client, "/admin/security/time/")
    assert {"English", "Deutsch", "Die der Website"} <= set(page.found)
    client.post("/admin/security/time/", {"time_zone": "", "language": "fr"})
    assert UserSettings.objects.get(user__username="edna").language == "de"


def test_dates_numbers_and_plurals_are_german():
    now = timezone.now()
    with translation.override("de"):
        assert [thousands(1234567), views(1), views(1234)] == ["1.234.567", "1 Aufruf", "1.234 Aufrufe"]
        assert [age(now - timedelta(days=days)) for days in (1, 3)] == ["vor 1 Tag", "vor 3 Tagen"]
        assert [day(now), day(now - timedelta(days=1))] == ["Heute", "Gestern"]
        assert re.fullmatch(r"\d+\. \w+ \d{4}", day(now - timedelta(days=800)))
    assert [thousands(1234567), views(1), views(1234)] == ["1,234,567", "1 view", "1,234 views"]


def test_a_title_from_right_to_left_has_its_own_direction(german):
    for path in ("/", "/admin/", "/admin/videos/video/", "/watch/arabic/"):
        page = german.get(path).content.decode()
        before = page[: page.index(f"{ARABIC}</")]
        assert 'dir="auto"' in before[before.rindex("\n") :], path


class TestWordsOfScripts:
    def test_a_german_page_names_them_and_an_english_one_does_not(self, german, client):
        page = german.get("/admin/").content.decode()
        address = re.search(r'<script src="(/site/de-\w+\.js)" defer>', page)[1]
        assert page.index(address) < page.index("desk.js")
        answer = german.get(address)
        assert "immutable" in answer.headers["Cache-Control"]
        assert '"Retry":"Wiederholen"' in answer.content.decode()
        assert len(answer.content) < 20_000
        english = client_of(account("edna", "Administrators")).get("/admin/").content.decode()
        assert "/site/de-" not in english

    def test_of_another_language_there_are_none(self, client, db):
        assert client.get("/site/fr-0123456789ab.js").status_code == 404

    def test_an_older_address_is_answered_and_not_kept(self, client, db):
        assert client.get("/site/de-0123456789ab.js").headers["Cache-Control"] == "no-cache"


@pytest.mark.slow("opens all public pages")
def test_no_public_page_has_an_english_text_left(client, film, english, spoken_on_the_site):
    spoken_on_the_site("de")
    cache.clear()
    pages = dict(walk(client, "/", "/privacy/", *rows.PLACES))
    left = {path: sorted(english.intersection(texts.found)) for path, texts in pages.items()}
    assert {path: found for path, found in left.items() if found} == {}
    assert {texts.language for texts in pages.values()} == {"de"}
