"""axe on every page that a link leads to, as an administrator and as a stranger: wide and narrow, light and dark.

Pages are found by following links, one for each route, so that a new page is judged as soon as it is linked.
"""

from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.urls import Resolver404, resolve

from videos.tests import live
from vlog.tests import rows

pytestmark = [pytest.mark.django_db, pytest.mark.long]

AXE = settings.BASE_DIR / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Returns the violations of a page, each with its elements. Left out: the help of Django's list of permissions, a span
# that its script labels; and a rule that axe calls experimental, which takes the player's time for a label.
JUDGE = """async (only) => {
  const rules = { "label-content-name-mismatch": { enabled: false } };
  const place = { include: document, exclude: [".selector .help-tooltip"] };
  const found = await axe.run(place, { runOnly: only, rules, resultTypes: ["violations"] });
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}"""
# What a sticky bar covers at the moment is no smaller for it: one scrolls.
UNSTICK = "document.querySelectorAll('.submit-row').forEach((bar) => { bar.style.position = 'static'; })"
LINKS = "[...document.querySelectorAll('a[href]')].map((link) => link.href)"
WIDE, NARROW = {"width": 1366, "height": 900}, {"width": 390, "height": 800}
NO_PAGES = ("/api/", "/media/", "/static/", "/admin/logout/", "/admin/jsi18n/")
PASSWORD = "correct horse"
STRANGERS = ["/", *rows.PLACES, "/admin/login/", "/watch/walk-1/?list=hikes", "/search/?q=wanderung&length=short"]


@pytest.fixture(scope="module")
def incoming(tmp_path_factory):
    """Have the desk offer a folder, with something of everything in it."""
    folder = tmp_path_factory.mktemp("incoming")
    (folder / "2026").mkdir()
    for name in ("2026/b.mp4", "a.mp4", "notes.txt"):
        (folder / name).write_bytes(b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLOG_IMPORT_FOLDERS", str(folder))
        yield


@pytest.fixture(scope="module")
def video(lasting_rows, incoming):
    User.objects.create_superuser("editor", "editor@example.org", PASSWORD)
    return rows.make_everything()


@pytest.fixture(scope="module")
def judge(address, browser):
    """Return what axe finds on all pages that are reached from some, by address, width and colours."""
    contexts = []

    def reached_from(*starts, logged_in=False):
        contexts.append(browser.new_context(viewport=WIDE))
        page = contexts[-1].new_page()
        if logged_in:
            live.log_in(page, address, "editor", PASSWORD)
        findings, routes, waiting = {}, set(), [address + start for start in starts]
        while waiting:
            here = waiting.pop(0)
            if (route := route_of(here, address, starts)) in routes:
                continue
            routes.add(route)
            page.goto(here)
            waiting += page.evaluate(LINKS)
            findings |= {f"{here.removeprefix(address)} {how}": found for how, found in shapes(page) if found}
        return findings, routes

    yield reached_from
    for context in contexts:
        context.close()


def route_of(link, address, starts):
    """Return what pages of the same kind share; an empty string for what is no page."""
    path = urlsplit(link).path
    if link.removeprefix(address) in starts:
        return link
    if not link.startswith(f"{address}/") or path.startswith(NO_PAGES) or "." in path:
        return ""
    try:
        return resolve(path).route
    except Resolver404:
        return ""


def shapes(page):
    """Yield each width and colour scheme, and what axe finds there; colours alone do not change the structure."""
    page.evaluate(AXE.read_text())
    page.evaluate(UNSTICK)
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)
        for scheme, only in (("light", RULES), ("dark", {"type": "rule", "values": ["color-contrast"]})):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            yield f"{viewport['width']} {scheme}", page.evaluate(JUDGE, only)


@pytest.mark.slow("opens some thirty pages in four looks")
def test_strangers_find_no_page_with_a_barrier(judge):
    findings, routes = judge(*STRANGERS)
    assert findings == {}
    assert {"watch/<slug:slug>/", "category/<slug:slug>/", "tag/<slug:slug>/"} <= routes
    assert {"playlist/<slug:slug>/", "playlists/"} <= routes


@pytest.mark.slow("opens some hundred pages")
def test_editors_find_no_page_with_a_barrier(judge):
    findings, routes = judge("/admin/", logged_in=True)
    assert findings == {}
    assert len(routes) > 40
    assert "admin/videos/video/import/folder/" in routes
