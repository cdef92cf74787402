"""Captions and transcript in Chromium, on a video that was published before it was heard."""

import pytest
from django.contrib.auth.models import User

from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.speech.transcribe import Transcript
from transcoding.steps import captions, chapters, peaks
from transcoding.steps.captions import TranscriptionQueue
from transcoding.tests import clips
from videos.models import Chapter
from videos.tests import live
from videos.tests.factories import NodeFactory
from videos.tests.live import until

pytestmark = [pytest.mark.slow("plays a video of its own in a browser, in real time"), pytest.mark.django_db]

VIDEO = "document.querySelector('video')"
SAID = (Caption(1, 2.5, "Here is <one> & two."), Caption(3, 9, "Across the segments."), Caption(9.5, 11, "The end."))
SHOWN = f"[...{VIDEO}.textTracks].filter(track => track.mode == 'showing')"
TEXTS = f"{SHOWN}.flatMap(track => [...track.activeCues].map(cue => cue.text))"


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    clip = clips.make(
        folder / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=12"),
        *("-f", "lavfi", "-i", "sine=440:duration=12", *clips.H264, *clips.AAC),
    )
    video = live.publish(clip, "Two words", folder / "node.log")
    hear(video)
    Chapter.objects.replace(video.pk, [(0, "Start"), (9, "End")])
    chapters.publish(video.pk)
    User.objects.create_superuser("ann", password="correct horse")
    return video


def hear(video):
    """As if a worker had heard it, after it was published without captions."""
    captions._open(video.job, "")
    queue = TranscriptionQueue(NodeFactory(worker_name="ears"))
    queue.publish(queue.claim(), Transcript("en", SAID))


@pytest.fixture
def context(browser, address):
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def visit(context, address, video):
    witnesses = []

    def open_page(path=""):
        page = context.new_page()
        witnesses.append(live.Witness(page))
        assert page.goto(address + video.get_absolute_url() + path).status == 200
        until(page, f"{VIDEO}.readyState >= 2")
        return page

    yield open_page
    for witness in witnesses:
        assert witness.complaints == []
        assert witness.strangers(address) == []


def show_at(page, seconds):
    page.evaluate(f"{VIDEO}.currentTime = {seconds}")
    until(page, f"!{VIDEO}.seeking")


def switch_on(page):
    until(page, f"{VIDEO}.textTracks.length > 0")
    page.hover("#player")
    page.click(".act-captions")
    until(page, f"{SHOWN}.length == 1")


def test_they_are_off_until_the_viewer_asks(visit):
    page = visit()
    until(page, f"{VIDEO}.textTracks.length > 0")
    page.wait_for_timeout(1000)
    assert page.evaluate(f"{SHOWN}.length") == 0
    assert page.locator(".act-captions").is_visible()


def test_each_appears_at_its_time_and_goes(visit):
    page = visit()
    switch_on(page)
    assert page.evaluate(f"{SHOWN}[0].language") == "en"
    live.load_ahead(page)
    until(page, f"{SHOWN}[0].cues.length == {len(SAID)}")
    times = page.evaluate(f"[...{SHOWN}[0].cues].map(cue => [cue.startTime, cue.endTime])")
    assert times == [pytest.approx([caption.start, caption.end], abs=0.05) for caption in SAID]
    for moment, text in ((0.5, []), (1.5, [SAID[0]]), (2.7, []), (4, [SAID[1]]), (8.5, [SAID[1]]), (10, [SAID[2]])):
        show_at(page, moment)
        expected = [page_text(caption.text) for caption in text]
        until(page, f"JSON.stringify({TEXTS}) == JSON.stringify({expected})")


def page_text(text):
    """A cue's text stays marked up; the browser shows what is meant."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_the_choice_is_remembered(visit):
    switch_on(visit())
    page = visit()
    until(page, f"{SHOWN}.length == 1")
    page.hover("#player")
    page.click(".act-captions")
    until(page, f"{SHOWN}.length == 0")
    page = visit()
    until(page, f"{VIDEO}.textTracks.length > 0")
    page.wait_for_timeout(1000)
    assert page.evaluate(f"{SHOWN}.length") == 0


def test_the_transcripts_times_lead_into_the_video(visit):
    page = visit()
    first = page.locator(".transcript .paragraphs li").first.inner_text()
    assert " ".join(first.split()) == "Go to 0:01 Here is <one> & two. Across the segments. The end."
    page.click(".transcript .said:nth-of-type(3)")
    until(page, f"{VIDEO}.currentTime >= 9.5")
    assert page.url.endswith("/watch/two-words/")
    until(page, "document.querySelector('.said[aria-current]')?.textContent === 'The end.'")  # it follows the player
    page.fill("#transcript-find", "SEGMENTS")
    assert page.locator(".transcript-search [role=status]").inner_text() == "1 of 1"
    assert page.locator(".said.found").inner_text() == "Across the segments."


def test_the_desk_shows_the_sound_and_plays(visit, context, address, video):
    assert len(peaks.of_part(video, 0)) == pytest.approx(12 * peaks.RATE, abs=5)
    assert min(peaks.of_part(video, 0)[10:-10]) > 60  # a tone throughout
    with pytest.raises(peaks.NoSound):
        peaks.of_part(video, 1)
    page = context.new_page()
    live.log_in(page, address, "ann", "correct horse")
    page.goto(f"{address}/admin/videos/video/{video.pk}/captions/")
    until(page, f"{VIDEO}?.readyState >= 2")
    page.locator("[aria-label='Text of caption 2']").click()  # goes to its start
    until(page, f"{VIDEO}.currentTime >= 3 && {VIDEO}.currentTime < 3.1")
    assert page.locator(".caption-preview").inner_text() == SAID[1].text
    page.keyboard.press("Shift+Space")
    until(page, f"!{VIDEO}.paused")
    until(page, "document.querySelector('.cue.now textarea')?.value === 'The end.'")
    until(page, "document.getElementById('caption-desk').desk.wave.isLoud(1, 5)")


def test_chapters_are_on_the_bar_in_the_menu_and_on_the_page(visit):
    page = visit()
    until(page, "document.querySelectorAll('.pieces span').length == 2")
    page.hover("#player")
    page.click(".act-menu")
    page.get_by_role("menuitem", name="Chapters Start").click()
    page.get_by_role("menuitemradio", name="End 0:09").click()
    until(page, f"{VIDEO}.currentTime >= 9")
    page.click(".chapters li:first-child a")
    until(page, f"{VIDEO}.currentTime < 9")
    assert page.url.endswith("/watch/two-words/")


def test_without_scripts_the_transcript_can_be_read(browser, address, video):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + video.get_absolute_url())
    assert page.locator(".transcript .said").nth(1).is_visible()
    assert page.locator(".transcript .said").nth(1).get_attribute("href") == "?t=3&captions=1"
    context.close()
