"""The player in Chromium, in the page of another site."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from analytics.models import PlaybackSession, Viewer
from analytics.tests.test_playback import NO_PROGRAM
from transcoding.tests.clips import H264, make
from videos.tests import live
from vlog.tests.test_accessibility import AXE, JUDGE, RULES

pytestmark = [pytest.mark.django_db, pytest.mark.long]


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    clip = make(
        folder / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6"),
        *("-f", "lavfi", "-i", "sine=duration=6", *H264, "-c:a", "aac"),
    )
    return live.publish(clip, "A walk", folder / "node.log")


@pytest.fixture
def elsewhere(address, video):
    """The address of another site, whose page embeds the player and keeps its messages."""
    text = f"""<!doctype html><script>
      window.got = [];
      addEventListener("message", ({{ data }}) => got.push(data));
    </script><iframe src="{address}/embed/{video.slug}/?start=2" width="640" height="360" allow="autoplay"></iframe>"""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow("plays an encoded video in a browser")
def test_in_the_page_of_another_site(browser, elsewhere, address, video):
    context = browser.new_context(viewport={"width": 800, "height": 500}, user_agent=NO_PROGRAM)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(elsewhere)
    live.until(page, "got.some(({ vlog }) => vlog === 'ready')")
    page.wait_for_load_state("networkidle")
    assert [url for url in asked if "/media/" in url and "poster" not in url and "storyboard" not in url] == []
    assert not any("/api/" in url for url in asked)
    frame = "document.querySelector('iframe').contentWindow"
    page.evaluate(f"{frame}.postMessage({{ vlog: 'mute' }}, '*'); {frame}.postMessage({{ vlog: 'play' }}, '*')")
    live.until(page, "got.some(({ vlog, time, muted }) => vlog === 'time' && time > 2.2 && muted)")
    page.evaluate(f"{frame}.postMessage({{ vlog: 'seek', time: 5.5 }}, '*')")
    live.until(page, "got.some(({ vlog }) => vlog === 'ended')")
    live.wait_for(lambda: PlaybackSession.objects.filter(video=video, duration_watched__gt=0).exists(), "a report")
    assert context.cookies() == []
    assert Viewer.objects.count() == 0
    context.close()
    assert PlaybackSession.objects.count() == 1


@pytest.fixture
def dialog(browser, address, video):
    """The page of the video at its second 2, with the dialog to share it open, on a phone that knows other apps."""
    context = browser.new_context(viewport={"width": 390, "height": 800}, bypass_csp=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.add_init_script("navigator.share = async (what) => { window.shared = what }")
    page.witness = live.Witness(page)
    page.goto(f"{address}/watch/{video.slug}/?t=0:02")
    live.until(page, "document.querySelector('video').currentTime === 2")
    page.get_by_role("button", name="Share").click()
    live.until(page, "document.getElementById('share').open")
    yield page
    assert page.witness.complaints == []
    context.close()


@pytest.mark.slow("plays an encoded video in a browser")
def test_the_dialog_gives_the_moment_that_the_player_shows(dialog, address, video):
    page, where = dialog, f"{address}/watch/{video.slug}/"
    assert page.input_value("#share-address") == where
    page.get_by_label("Start at").check()
    assert page.input_value("#share-address") == f"{where}?t=2"
    assert f'src="{address}/embed/{video.slug}/?start=2" width' in page.input_value("#share-code")
    assert page.get_attribute("#share-qr", "src") == f"/qr/{video.slug}.svg?t=2"
    assert page.get_by_role("link", name="E-mail").get_attribute("href").endswith("%3Ft%3D2")
    page.get_by_label("Minutes and seconds").fill("0:04")
    assert page.input_value("#share-address") == f"{where}?t=4"
    for wrong in ("0:06", "soon", ""):  # the video has 6 seconds
        page.get_by_label("Minutes and seconds").fill(wrong)
        assert "such as 1:30, within the video" in page.inner_text("#share-status")
        assert page.input_value("#share-address") == where
    page.get_by_label("Start at").uncheck()
    assert page.inner_text("#share-status") == ""


@pytest.mark.slow("plays an encoded video in a browser")
def test_the_dialog_is_used_with_the_keyboard_and_read_aloud(dialog, address, video):
    page = dialog
    page.evaluate(AXE.read_text())
    focused = "document.activeElement.textContent"
    for name, key in (("Address", None), ("Embed", "ArrowRight"), ("QR code", "End"), ("Address", "ArrowRight")):
        if key:
            page.keyboard.press(key)
        assert page.evaluate(focused) == name
        assert page.get_by_role("tab", name=name).get_attribute("aria-selected") == "true"
        assert page.get_by_role("tabpanel", name=name).is_visible()
        assert page.get_by_role("tabpanel").count() == 1
        assert page.evaluate(JUDGE, RULES) == []
    live.until(page, "document.getElementById('share-qr').naturalWidth > 0")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copied").wait_for()
    assert page.inner_text("#share-status") == "Copied."
    assert page.evaluate("navigator.clipboard.readText()") == f"{address}/watch/{video.slug}/"
    page.get_by_role("button", name="Other apps").click()
    assert page.evaluate("shared") == {"title": "A walk", "url": f"{address}/watch/{video.slug}/"}
    page.keyboard.press("Escape")
    assert not page.locator("#share").is_visible()
    assert page.evaluate("document.activeElement.id") == "share-open"
