"""Imported packages of both layouts in Chromium."""

import pytest

from videos.models import Video
from videos.tests import live, old_vlog
from videos.tests.live import until

pytestmark = [pytest.mark.slow("plays videos in a browser, in real time"), pytest.mark.django_db]

VIDEO = "document.querySelector('video')"


@pytest.fixture(scope="module")
def moved(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving")
    with old_vlog.site(folder / "old") as old:
        old_vlog.fill(old)
        old_vlog.add_files(old, old_vlog.clip(folder / "clip.mp4", seconds=12))
        old_vlog.move_in(old, folder)
        yield old


@pytest.fixture(scope="module")
def address(moved):
    with live.site() as address:
        yield address


@pytest.mark.parametrize(("number", "layout"), [(1, "ts"), (2, "cmaf")])
def test_an_imported_package_plays(moved, browser, address, number, layout):
    video = Video.objects.get(pk=moved.first + number)
    assert video.imported_package.layout == layout
    page = browser.new_page()
    witness = live.Witness(page)
    assert page.goto(address + video.get_absolute_url()).status == 200
    until(page, f"{VIDEO}.readyState >= 2")
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 1")
    page.evaluate(f"{VIDEO}.currentTime = 9")
    until(page, f"{VIDEO}.currentTime > 9.5 && !{VIDEO}.seeking")
    assert page.evaluate(f"[{VIDEO}.videoWidth, {VIDEO}.videoHeight]") == [640, 360]
    assert abs(page.evaluate(f"{VIDEO}.duration") - 12) < 0.5
    assert witness.complaints == []
    assert witness.strangers(address) == []
    page.close()


def test_the_old_address_plays_in_another_player(moved, browser, address):
    page = browser.new_page()
    answer = page.request.get(f"{address}/videos/lektsiia-1-vvedenie/master.m3u8")
    assert answer.status == 200
    assert "/media/" in answer.url
    assert answer.text().startswith("#EXTM3U")
    page.close()
