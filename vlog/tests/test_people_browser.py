"""In Chromium: an administrator invites, a person accepts; and the settings of the site on the pages."""

import pytest
from django.contrib.auth.models import Group, User

from videos.tests import live

pytestmark = [pytest.mark.django_db, pytest.mark.slow("runs a site with several processes in a browser")]
PASSWORD = "a harbour at dawn"


@pytest.fixture(scope="module")
def video(lasting_rows):
    """None: there are only accounts."""
    adam = User.objects.create_user("adam", password=PASSWORD, is_staff=True)
    adam.groups.add(Group.objects.get(name="Administrators"))


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    page = context.new_page()
    page.witness = live.Witness(page)
    live.log_in(page, address, "adam", PASSWORD)
    yield page
    context.close()


def test_a_person_is_invited_and_makes_an_account(page, browser, address):
    page.goto(f"{address}/admin/auth/user/")
    page.get_by_role("link", name="Invite a person").click()
    assert page.get_by_label("Editor").is_checked()
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("Link").inner_text()
    guest = browser.new_context().new_page()
    guest.goto(link)
    assert "adam invites you to VLog as editor." in guest.inner_text("main")
    guest.get_by_label("Username").fill("bea")
    guest.get_by_label("Password:").fill(PASSWORD)
    guest.get_by_label("Password confirmation").fill(PASSWORD)
    guest.get_by_role("button", name="Create account").click()
    guest.get_by_role("heading", name="Start").wait_for()
    page.goto(f"{address}/admin/auth/user/")
    page.get_by_role("link", name="bea").click()
    page.get_by_role("button", name="End the session of").click()
    page.get_by_text("The session has ended.").wait_for()
    guest.goto(f"{address}/admin/")
    assert "/admin/login/" in guest.url
    assert page.witness.complaints == []
    assert page.witness.strangers(address) == []
    guest.context.close()


def test_the_name_and_the_accent_are_on_every_page_of_every_process(page, address):
    page.goto(f"{address}/admin/vlog/sitesettings/1/change/")
    page.get_by_label("Name").fill("Harbour TV")
    page.get_by_label("Accent colour").fill("#ffd400")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Choose a darker tone").wait_for()
    page.get_by_label("Accent colour").fill("#0b6e4f")
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The settings are saved.").wait_for()
    page.wait_for_timeout(1100)
    for path in ("/", "/admin/security/"):
        page.goto(address + path)
        assert page.title().endswith("Harbour TV")
        accent = "getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()"
        assert page.evaluate(accent) == "#0b6e4f"
    assert "The desk shows times in Europe/Berlin." in page.inner_text("main")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(accent) != "#0b6e4f"
    assert page.witness.complaints == []
