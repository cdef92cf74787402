"""The page of one video in Chromium: the preview, a poster from it, chapters, the bar with what is not saved."""

import pytest
from django.contrib.auth.models import User

from transcoding.tests.engine.test_pictures import colour_at, colour_of
from videos.models import Chapter, Video
from videos.storage.paths import package_dir
from videos.tests import live
from videos.tests.test_looks import PASSWORD, is_too_wide, visit  # noqa: F401 - a fixture
from videos.tests.test_storyboard_player import colours

pytestmark = [pytest.mark.slow("plays a video of its own in a browser"), pytest.mark.django_db]

BAR = "#save-state"
MOST_REQUESTS, MOST_BYTES = 12, 150_000


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    User.objects.create_superuser("editor", password=PASSWORD)
    return live.publish(colours(folder), "Colours", folder / "node.log")


@pytest.fixture
def page(visit, address, video):  # noqa: F811
    page = visit("/")
    live.log_in(page, address, "editor", PASSWORD)
    page.wait_for_load_state("networkidle")
    page.loaded = loaded = []

    def note(response):
        loaded.append(response)

    page.on("response", note)
    page.goto(f"{address}/admin/videos/video/{video.pk}/change/")
    return page


def save(page):
    page.keyboard.press("Control+s")
    page.locator(".messagelist .success").first.wait_for()


def test_the_page_is_light(page):
    page.wait_for_load_state("networkidle")
    counted = [response for response in page.loaded if "/media/" not in response.url]
    assert len({response.url for response in counted}) <= MOST_REQUESTS
    assert sum(len(response.body()) for response in counted) <= MOST_BYTES
    assert page.witness.complaints == []


def test_a_frame_of_the_player_becomes_the_poster_and_its_moment_a_chapter(page, video):
    page.get_by_role("button", name="Play preview").click()
    live.until(page, "document.querySelector('#screen video')?.readyState >= 2")
    page.evaluate("document.querySelector('#screen video').pause()")
    page.evaluate("document.querySelector('#screen video').currentTime = 9")
    page.get_by_role("button", name="Use this frame, 0:09").click()
    page.get_by_role("button", name="Add chapter at 0:09").click()
    page.keyboard.type("The fifth colour")
    page.fill("#id_title", "Many colours")
    assert page.inner_text(BAR) == "Unsaved changes: title, chapters, poster"
    save(page)
    assert page.locator(".messagelist", has_text="The poster was changed.").count() == 1
    assert Chapter.objects.filter(video=video).marks() == [(9, "The fifth colour")]
    poster = (package_dir(video) / "poster.jpg").read_bytes()
    assert max(abs(one - other) for one, other in zip(colour_of(poster), colour_at(9), strict=True)) < 24
    assert page.inner_text(BAR) == ""
    assert page.witness.complaints == []


def test_errors_stand_at_their_fields_and_keep_what_was_typed(page, video):
    page.get_by_role("button", name="Add chapter").click()
    page.keyboard.type("5:20")
    page.keyboard.press("Tab")
    page.keyboard.type("Too late")
    page.keyboard.press("Control+s")
    page.locator(".chapter .errorlist", has_text="The video ends at 0:24.").wait_for()
    assert page.locator(".chapter.errors input[type=text]").nth(1).input_value() == "Too late"
    page.locator(".chapter.errors").get_by_role("button", name="Remove").click()
    save(page)
    assert Chapter.objects.filter(video=video).count() <= 1


def test_tags_are_tokens_and_what_is_typed_counts_too(page, video):
    tokens, field = page.locator(".token"), page.get_by_label("Tags", exact=True)
    field.fill("Hills, Lakes")
    save(page)
    assert tokens.all_inner_texts() == ["Hills", "Lakes"]
    page.get_by_role("button", name="Remove Hills").click()
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove Lakes"
    field.press_sequentially("Sea, lakes,Woods")
    field.press("Enter")
    field.press_sequentially("River,")
    field.press("Backspace")
    field.press_sequentially("Fog")
    assert tokens.all_inner_texts() == ["Lakes", "Sea", "Woods"]
    assert page.locator(".token-field [role=status]").text_content() == "Removed: River"
    assert page.inner_text(BAR) == "Unsaved changes: tags"
    save(page)
    assert sorted(video.tags.values_list("name", flat=True)) == ["Fog", "Lakes", "Sea", "Woods"]
    assert page.witness.complaints == []


def test_on_a_telephone_the_preview_comes_first_and_nothing_scrolls_sideways(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert not is_too_wide(page)
    tops = [page.locator(name).first.bounding_box()["y"] for name in (".media", ".texts", "#visibility", "#chapters")]
    assert tops == sorted(tops)


def test_leaving_asks_and_discarding_does_not(page):
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.fill("#id_description", "Not kept")
    page.get_by_role("link", name="Discard").click()
    page.wait_for_load_state()
    assert asked == []
    page.click("#id_description")
    page.keyboard.type("Not kept")
    page.locator("#nav-sidebar").get_by_role("link", name="Videos").click()
    page.wait_for_load_state()
    assert asked == ["beforeunload"]
    assert not Video.objects.filter(description="Not kept").exists()
