"""The search field in a browser: suggestions by keyboard and mouse, their roles, and the search without scripts."""

import pytest

from videos.tests.factories import VideoFactory
from videos.tests.live import site

pytestmark = [pytest.mark.django_db, pytest.mark.long]

FIELD = "#site-search"
ACTIVE = "(field) => document.getElementById(field.getAttribute('aria-activedescendant'))?.textContent ?? ''"


@pytest.fixture(scope="module")
def address(lasting_rows):
    for number, title in enumerate(("Glacier tour", "Glacier <b>lake</b>", "A walk")):
        VideoFactory(public=True, title=title, slug=f"v{number}", view_count=10 - number)
    with site() as address:
        yield address


@pytest.fixture
def page(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url) if "/suggest/" in request.url else None)
    page.goto(address)
    yield page
    context.close()


def active(page):
    return page.locator(FIELD).evaluate(ACTIVE)


def typed(page, text):
    page.locator(FIELD).press_sequentially(text, delay=20)
    page.get_by_role("option").first.wait_for()


def test_the_arrow_keys_choose_and_enter_opens(page, address):
    typed(page, "glac")
    field = page.get_by_role("combobox", name="Search terms", expanded=True)
    assert page.get_by_role("option").all_text_contents() == ["Glacier tour", "Glacier <b>lake</b>"]
    assert page.get_by_role("listbox", name="Suggested videos").is_visible()
    assert page.locator("form[role=search] [role=status]").text_content().startswith("2 suggestions")
    assert len(page.asked) in (1, 2)  # not one for each letter
    for key, expected in (
        ("Down", "Glacier tour"),
        ("Down", "Glacier <b>lake</b>"),
        ("Down", ""),
        ("Up", "Glacier <b>lake</b>"),
    ):
        field.press(f"Arrow{key}")
        assert active(page) == expected
    assert page.get_by_role("option", selected=True).all_text_contents() == ["Glacier <b>lake</b>"]
    field.press("Enter")
    page.wait_for_url(f"{address}/watch/v1/")


def test_enter_alone_searches_for_what_was_typed(page, address):
    typed(page, "glac")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/search/?q=glac")


def test_escape_closes_the_list_and_keeps_the_text(page):
    typed(page, "glac")
    page.keyboard.press("Escape")
    assert page.get_by_role("option").count() == 0
    assert page.input_value(FIELD) == "glac"
    assert page.get_attribute(FIELD, "aria-expanded") == "false"


def test_a_click_opens_the_video(page, address):
    typed(page, "glac")
    page.get_by_role("option", name="Glacier tour").click()
    page.wait_for_url(f"{address}/watch/v0/")


def test_it_is_a_plain_search_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.fill(FIELD, "glacier")
    page.press(FIELD, "Enter")
    page.wait_for_url(f"{address}/search/?q=glacier")
    page.get_by_text("Filters and order").click()
    page.select_option("[name=length]", "long")
    page.get_by_role("button", name="Show results").click()
    assert page.get_by_role("link", name="Search without filters").is_visible()
    context.close()
