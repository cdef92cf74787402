"""The site's own pages, and its logo."""

import struct
import zlib

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from videos.models import OwnPage, footer
from videos.pages import own_pages
from vlog import site
from vlog.models import AuditEntry, SiteSettings

PAGES = "/admin/videos/ownpage/"
LOGO = "/admin/vlog/sitesettings/logo/"


@pytest.fixture
def administrator(db):
    user = User.objects.create_user("adam", is_staff=True)
    user.groups.add(Group.objects.get(name="Administrators"))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("One.\nTwo.\n\nThree.", "<p>One.<br>Two.</p>\n<p>Three.</p>"),
        ("# Us\nPost:\n- Harbour 1\n- Town", "<h2>Us</h2>\n<p>Post:</p>\n<ul><li>Harbour 1</li><li>Town</li></ul>"),
        ("## Small\r\n\r\n* a", "<h3>Small</h3>\n<ul><li>a</li></ul>"),
        ("#no heading", "<p>#no heading</p>"),
        ("[Us](https://example.org/?a=1&b=2)", '<p><a href="https://example.org/?a=1&amp;b=2">Us</a></p>'),
        ("See https://example.org/a.", '<p>See <a href="https://example.org/a">https://example.org/a</a>.</p>'),
        ("[Mail](mailto:a@example.org)", '<p><a href="mailto:a@example.org">Mail</a></p>'),
        ("[home](/browse/)", '<p><a href="/browse/">home</a></p>'),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](//example.org/)", "<p>[x](//example.org/)</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ('[x"><b>](https://example.org/"onclick="x)', None),
        ("# <b>x</b>", "<h2>&lt;b&gt;x&lt;/b&gt;</h2>"),
    ],
)  # fmt: skip
def test_a_text_becomes_headings_lists_and_paragraphs_and_nothing_else(text, html):
    found = own_pages.rendered(text)
    if html is None:
        assert "<b>" not in found
        assert 'onclick="' not in found
    else:
        assert found == html


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "# " * 50_000, "[a](https://" * 8000, "- \n" * 30_000, "https://" * 12_000]
)
def test_a_long_text_is_rendered_in_time(text):
    assert own_pages.rendered(text)


def test_a_page_is_shown_and_linked_in_the_footer(administrator, client):
    fields = {"title": "Imprint", "slug": "imprint", "text": "# Contact\nUs & them", "in_footer": "on", "position": "0"}
    administrator.post(f"{PAGES}add/", fields)
    footer.forget()
    page = client.get("/page/imprint/").content.decode()
    assert "<title>Imprint · VLog</title>" in page
    assert 'name="q" value=""' in page  # the search of the site has a text, too
    assert "<h2>Contact</h2>\n<p>Us &amp; them</p>" in page
    assert '<a href="/page/imprint/">Imprint</a>' in client.get("/").content.decode()
    row = OwnPage.objects.get()
    administrator.post(f"{PAGES}{row.pk}/change/", {**fields, "title": "Legal", "in_footer": ""})
    footer.forget()
    assert "/page/imprint/" not in client.get("/").content.decode()
    administrator.post(f"{PAGES}{row.pk}/delete/", {"post": "yes"})
    assert client.get("/page/imprint/").status_code == 404
    actions = AuditEntry.objects.filter(subject_type="videos.ownpage").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["created", "changed", "deleted"]


def test_the_list_suggests_the_pages_that_most_sites_need(administrator):
    page = administrator.get(PAGES).content.decode()
    assert f'href="{PAGES}add/?title=Imprint&amp;slug=imprint"' in page


def test_a_text_that_is_too_long_is_refused(administrator):
    fields = {"title": "Imprint", "slug": "imprint", "text": "x" * 100_001, "position": "0"}
    assert "a page has room for 100,000" in administrator.post(f"{PAGES}add/", fields).content.decode()


@pytest.mark.django_db
def test_editors_write_no_pages():
    user = User.objects.create_user("edna", is_staff=True)
    user.groups.add(Group.objects.get(name="Editors"))
    client = Client()
    client.force_login(user)
    assert client.get(PAGES).status_code == 403
    assert client.post(f"{PAGES}add/", {"title": "X", "slug": "x"}).status_code == 403


# The logo


def png(width, height):
    rows = zlib.compress(b"".join(b"\0" + b"\x20\x80\x40\x80" * width for _ in range(height)))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    sums = [struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts]
    chunks = [struct.pack(">I", len(data)) + kind + data for kind, data in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk + end for chunk, end in zip(chunks, sums, strict=True))


def send(client, name, content):
    answer = client.post(LOGO, {"picture": SimpleUploadedFile(name, content)}, follow=True).content.decode()
    site.settings_of_site.forget()
    return answer


def test_a_logo_is_made_anew_and_shown_on_every_page(administrator, client):
    sent = png(1000, 500) + b"<script>"
    assert "The logo is saved." in send(administrator, "logo.png", sent)
    stored = bytes(SiteSettings.objects.get().logo)
    assert stored.startswith(b"\x89PNG")
    assert b"<script>" not in stored
    assert struct.unpack(">II", stored[16:24]) == (224, 112)
    address = site.current().logo_url
    assert f'src="{address}"' in client.get("/").content.decode()
    answer = client.get(address)
    assert (answer.content, answer.headers["Content-Type"]) == (stored, "image/png")
    administrator.post(LOGO, {"remove": "1"})
    assert SiteSettings.objects.get().logo is None
    assert AuditEntry.objects.filter(subject_type="vlog.sitesettings").count() == 2


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "neither a JPEG nor a PNG"),
        ("logo.png", png(8, 8)[:60], "cannot be read"),
        ("logo.png", b"\x89PNG\r\n\x1a\n" + b"x" * (2 << 20), "larger than 2 MB"),
    ],
)
def test_another_file_is_refused_with_a_sentence(administrator, name, content, sentence):
    assert sentence in send(administrator, name, content)
    assert not SiteSettings.objects.exists()
