"""The storyboard in Chromium: the picture above the time range is that of the moment below the pointer."""

import threading
import time

import pytest

from transcoding.steps import storyboards
from transcoding.tests import clips
from transcoding.tests.engine.test_pictures import colour_at, colour_of
from videos.models import Chapter
from videos.storage.paths import package_dir
from videos.tests import live
from videos.tests.factories import NodeFactory
from videos.tests.live import PATIENCE, until

pytestmark = [pytest.mark.slow("plays a video of its own in a browser"), pytest.mark.django_db]

SECONDS = 24
TILE = "document.querySelector('.hover-card .tile')"
PLACE = f"{TILE}.style.backgroundPosition.split(' ').map((part) => Math.abs(parseFloat(part)))"


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    video = live.publish(colours(folder), "Colours", folder / "node.log")
    storyboards.generate_one(storyboards.StoryboardQueue(NodeFactory()), threading.Event())
    assert (package_dir(video) / "storyboard.vtt").exists()
    Chapter.objects.replace(video.pk, [(0, "One"), (5, "Two"), (21, "Three")])
    return video


def colours(folder):
    """Another colour every two seconds, and noise: slides have a keyframe every six."""
    parts = [f"color=0x{bytes(colour_at(at)).hex()}:size=320x180:rate=25:duration=2" for at in range(0, SECONDS, 2)]
    graph = ";".join(f"{part}[p{number}]" for number, part in enumerate(parts))
    joined = "".join(f"[p{number}]" for number in range(len(parts))) + f"concat=n={len(parts)},noise=alls=16:allf=t"
    return clips.make(folder / "colours.mp4", "-f", "lavfi", "-i", f"{graph};{joined}", *clips.H264)


@pytest.fixture
def page(browser, address, video):
    page = browser.new_context(viewport={"width": 1000, "height": 640}).new_page()
    page.witness = live.Witness(page)
    page.goto(address + video.get_absolute_url())
    until(page, "'extended' in document.getElementById('player').dataset")
    yield page
    page.context.close()


def point_at(page, second):
    """Move the pointer over the time range; gives the moment that it stands for there."""
    box = page.locator(".seek").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] * second / SECONDS, box["y"] + box["height"] / 2, steps=3)
    until(page, f"!{TILE}.hidden && {TILE}.offsetWidth > 0")
    return page.evaluate("Number(document.querySelector('.hover-card').dataset.moment)")


@pytest.mark.parametrize("second", [5, 13, 21])
def test_pointing_at_a_moment_shows_its_picture(page, address, second):
    assert not [asked for asked in page.witness.addresses if "storyboard-" in asked], "sheets before they are needed"
    moment = point_at(page, second)
    assert abs(moment - second) < 1
    number = int(moment // 2)
    until(page, f"{PLACE}.join() === '{number % 10 * 160},{number // 10 * 90}'")
    until_shown(page, colour_at(moment))
    assert page.witness.complaints == []
    assert page.witness.strangers(address) == []


def until_shown(page, colour, picture=TILE):
    """Wait for a colour in the middle of the picture, as the viewer sees it."""
    x, y, width, height = page.evaluate(f"(r => [r.x, r.y, r.width, r.height])({picture}.getBoundingClientRect())")
    clip = {"x": x + width / 2 - 4, "y": y + height / 2 - 4, "width": 8, "height": 8}
    end = time.monotonic() + PATIENCE
    while (seen := colour_of(page.screenshot(clip=clip))) != pytest.approx(colour, abs=20):
        assert time.monotonic() < end, f"{seen} is shown, not {colour}"
        page.wait_for_timeout(50)


def test_each_chapter_has_the_picture_of_its_start(page):
    assert not [asked for asked in page.witness.addresses if "storyboard-" in asked], "before the list is seen"
    page.locator(".chapters").scroll_into_view_if_needed()
    stills = "document.querySelectorAll('.chapters .still i')"
    until(page, f"{stills}.length === 3")
    page.evaluate("document.querySelector('.chapters').scrollIntoView({ block: 'center', behavior: 'instant' })")
    for number, start in enumerate((0, 5, 21)):
        assert page.evaluate(f"{stills}[{number}].getBoundingClientRect().width") == pytest.approx(96, abs=1)
        until_shown(page, colour_at(start), f"{stills}[{number}]")
    page.evaluate("document.querySelector('#player video').currentTime = 6")
    until(page, "document.querySelector('.chapters [aria-current]').textContent.endsWith('Two')")
    assert page.witness.complaints == []


def test_a_video_without_asks_for_none(browser, address, video):
    file = package_dir(video) / "storyboard.vtt"
    away = file.rename(file.with_name(".away"))
    try:
        page = browser.new_context().new_page()
        witness = live.Witness(page)
        page.goto(address + video.get_absolute_url())
        until(page, "'extended' in document.getElementById('player').dataset")
        page.hover(".seek")
        assert page.inner_text(".hover-card p")
        assert not [asked for asked in witness.addresses if "storyboard" in asked]
        assert witness.complaints == []
        page.context.close()
    finally:
        away.rename(file)
