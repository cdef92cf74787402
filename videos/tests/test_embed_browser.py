"""The player in Chromium, in the page of another site."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from analytics.models import PlaybackSession, Viewer
from analytics.tests.test_playback import NO_PROGRAM
from transcoding.tests.clips import H264, make
from videos.tests import live

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


@pytest.mark.slow("plays an encoded video in a browser")
def test_the_dialog_gives_the_moment_that_the_player_shows(browser, address, video):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{address}/watch/{video.slug}/?t=0:02")
    live.until(page, "document.querySelector('video').currentTime === 2")
    page.get_by_role("button", name="Share").click()
    assert page.input_value("#share-address") == f"{address}/watch/{video.slug}/"
    page.get_by_label("Start at 0:02").check()
    assert page.input_value("#share-address") == f"{address}/watch/{video.slug}/?t=2"
    assert f'src="{address}/embed/{video.slug}/?start=2" width' in page.input_value("#share-code")
    assert page.get_attribute("#share-qr", "src") == f"/qr/{video.slug}.svg?t=2"
    live.until(page, "document.getElementById('share-qr').naturalWidth > 0")
    assert page.get_by_role("link", name="E-mail").get_attribute("href").endswith("%3Ft%3D2")
    page.get_by_role("button", name="Copy", exact=True).click()
    live.until(page, "document.getElementById('share-status').textContent !== ''")
    page.keyboard.press("Escape")
    assert not page.locator("#share").is_visible()
    context.close()
