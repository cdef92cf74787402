"""The settings of the site: what they change on pages, who may change them, and how soon all processes see it."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from vlog import colours, site
from vlog.kept import Kept
from vlog.models import AuditEntry, SiteSettings

PAGE = "/admin/vlog/sitesettings/1/change/"
FIELDS = {"name": "Harbour TV", "tagline": "", "accent": "", "footer_links": "", "language": "en", "time_zone": "UTC"}


def client_of(*groups, name="ann"):
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=groups))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def administrator(db):
    return client_of("Administrators")


def save(client, **fields):
    response = client.post(PAGE, {**FIELDS, **fields})
    site.settings_of_site.forget()  # the tests' transactions never commit
    return response


def errors(response):
    return re.findall(r'<ul class="errorlist"[^>]*><li>(.*?)</li>', response.content.decode())


# Colours


@pytest.mark.parametrize(
    ("one", "other", "ratio"), [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#ffffff", "#ffffff", 1.0)]
)
def test_the_contrast_is_that_of_wcag(one, other, ratio):
    assert round(colours.contrast(one, other), 2) == ratio


@pytest.mark.parametrize("colour", ["#5a3fe0", "#0b6e4f", "#b3261e", "#000000", "#1d4ed8", "#6b21a8"])
def test_a_dark_colour_can_be_read_in_both_themes(colour):
    colours.check(colour)
    assert colours.least(colours.for_dark(colour), colours.DARK_GROUNDS) >= 4.5
    assert colours.contrast(colours.for_dark(colour), colours.BLACK) >= 4.5


@pytest.mark.parametrize("colour", ["#ffd400", "#8fd0ff", "#ffffff", "#7fbf7f"])
def test_a_light_colour_is_refused_with_a_tone_that_can_be_read(colour):
    with pytest.raises(colours.Unreadable) as refused:
        colours.check(colour)
    better = re.search(r"such as (#[0-9a-f]{6})", str(refused.value))[1]
    colours.check(better)


# The page


def test_the_name_is_on_every_page_and_in_every_description(administrator, client):
    save(administrator, name="Harbour TV", tagline="Ships, mostly.", language="de")
    home = client.get("/").content.decode()
    assert "<title>Harbour TV</title>" in home
    assert '<html lang="de">' in home
    assert '<meta name="description" content="Ships, mostly.">' in home
    assert "<title>Harbour TV</title>" in client.get("/feed.xml").content.decode()
    assert "Seite nicht gefunden · Harbour TV" in client.get("/nowhere/").content.decode()
    assert "| Harbour TV</title>" in administrator.get("/admin/").content.decode()


def test_a_name_is_text_and_no_markup(administrator, client):
    save(administrator, name="<b>Ships & co</b>")
    for path in ("/", "/feed.xml", "/admin/"):
        assert "<b>Ships" not in administrator.get(path).content.decode()


def test_the_accent_comes_with_a_style_sheet_that_is_kept_for_ever(administrator, client):
    assert "/site/" not in client.get("/").content.decode()
    save(administrator, accent="#0B6E4F")
    address = re.search(r'href="(/site/\w+\.css)"', client.get("/").content.decode())[1]
    assert address in administrator.get("/admin/").content.decode()
    sheet = client.get(address)
    assert sheet.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "--accent: #0b6e4f" in sheet.content.decode()
    other = client.get("/site/elsewhere.css")
    assert (other.content, other.headers["Cache-Control"]) == (sheet.content, "no-cache")


def test_the_style_sheet_costs_no_query(administrator, client, django_assert_num_queries):
    save(administrator, accent="#0b6e4f")
    site.current()
    with django_assert_num_queries(0):
        client.get("/site/elsewhere.css")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("accent", "#ffd400", "Choose a darker tone, such as #"),
        ("accent", "red", "Write the colour as # and six digits"),
        ("accent", "#12345", "Write the colour as # and six digits"),
        ("footer_links", "Imprint", "is not a link"),
        ("footer_links", "Imprint http://example.org/", "is not a link"),
        ("footer_links", "Imprint javascript:alert(1)", "is not a link"),
        ("footer_links", "\n".join(["A https://example.org/"] * 9), "The footer has room for 8 links."),
        ("time_zone", "Europe/Nowhere", "Select a valid choice."),
        ("language", "xx", "Select a valid choice."),
        ("name", "   ", "This field is required."),
    ],
)
def test_a_wrong_value_is_answered_with_a_sentence(administrator, field, value, sentence):
    response = save(administrator, **{field: value})
    assert response.status_code == 200
    assert sentence in " ".join(errors(response))
    assert not SiteSettings.objects.exists()


def test_links_of_the_footer_are_shown_and_can_be_edited(administrator, client):
    save(administrator, footer_links="Our university  https://example.edu/?a=1&b=2\n\nHelp https://example.org/help")
    assert SiteSettings.objects.get().footer_links == [
        ["Our university", "https://example.edu/?a=1&b=2"],
        ["Help", "https://example.org/help"],
    ]
    assert (
        '<a href="https://example.edu/?a=1&amp;b=2" rel="noopener">Our university</a>'
        in client.get("/").content.decode()
    )
    assert "Our university https://example.edu/?a=1&amp;b=2\n" in administrator.get(PAGE).content.decode()


def test_a_change_is_in_the_audit_log(administrator):
    save(administrator, name="Harbour TV", time_zone="Europe/Berlin")
    entry = AuditEntry.objects.filter(subject_type="vlog.sitesettings").get()
    assert entry.before == {"name": "VLog", "time_zone": "UTC"}
    assert entry.after == {"name": "Harbour TV", "time_zone": "Europe/Berlin"}
    assert (entry.actor, entry.action) == ("ann", "changed")
    assert "Harbour TV" in administrator.get("/admin/vlog/sitesettings/1/history/").content.decode()


def test_the_first_values_are_those_of_the_variables(db, settings):
    settings.SITE_LANGUAGE, settings.TIME_ZONE = "de", "Europe/Berlin"
    site.settings_of_site.forget()
    assert (site.current().name, site.current().language, site.current().time_zone) == ("VLog", "de", "Europe/Berlin")


@pytest.mark.django_db
def test_editors_may_neither_see_nor_change_the_settings():
    editor = client_of("Editors")
    assert editor.get(PAGE).status_code == 403
    assert save(editor).status_code == 403
    assert "/admin/vlog/sitesettings/" not in editor.get("/admin/").content.decode()
    assert not SiteSettings.objects.exists()


def test_the_only_row_can_be_neither_deleted_nor_doubled(administrator):
    save(administrator)
    assert administrator.post("/admin/vlog/sitesettings/1/delete/", {"post": "yes"}).status_code == 403
    assert administrator.get("/admin/vlog/sitesettings/add/").status_code == 403
    assert administrator.get("/admin/vlog/sitesettings/2/change/").status_code == 302
    save(administrator, name="Again")
    assert [row.name for row in SiteSettings.objects.all()] == ["Again"]


# All processes


@pytest.mark.django_db(transaction=True)
def test_another_process_sees_a_change_within_a_second():
    other = Kept("site", site._read, site.first_values)  # as another process has one
    assert other.get().name == "VLog"
    site.save(SiteSettings(name="Harbour TV", language="en", time_zone="UTC"))
    assert other.get().name == "VLog"
    other.asked_at -= 1
    assert other.get().name == "Harbour TV"


@pytest.mark.django_db(transaction=True)
def test_a_process_reads_the_row_only_after_a_change(django_assert_num_queries):
    site.settings_of_site.forget()
    site.current()
    with django_assert_num_queries(0):
        site.settings_of_site.asked_at -= 1
        site.current()


# The icons and the manifest


def test_the_manifest_has_the_name_and_the_accent(administrator, client):
    assert client.get("/site.webmanifest").json()["name"] == "VLog"
    save(administrator, name="Harbour & <TV> of the town", accent="#0b6e4f", tagline="Ships")
    response = client.get("/site.webmanifest")
    found = response.json()
    assert response.headers["Content-Type"] == "application/manifest+json"
    assert (found["name"], found["short_name"]) == ("Harbour & <TV> of the town", "Harbour & <T")
    assert (found["theme_color"], found["description"], found["start_url"]) == ("#0b6e4f", "Ships", "/")
    assert [icon["sizes"] for icon in found["icons"]] == ["192x192", "512x512", "512x512", "any"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "kind", "begin"),
    [
        ("/favicon.ico", "image/vnd.microsoft.icon", b"\0\0\1\0\3\0"),
        ("/apple-touch-icon.png", "image/png", b"\x89PNG\r\n"),
    ],
)
def test_icons_are_where_browsers_look_for_them(client, django_assert_num_queries, path, kind, begin):
    with django_assert_num_queries(0):
        response = client.get(path)
    assert (response.headers["Content-Type"], response.content[:6]) == (kind, begin)
    assert not response.cookies
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_the_pages_name_them(client, db):
    text = client.get("/").content.decode()
    assert '<link rel="manifest" href="/site.webmanifest">' in text
    assert '<link rel="apple-touch-icon" href="/apple-touch-icon.png">' in text
