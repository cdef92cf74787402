"""A public video, and a player that reports to the site."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.test.client import ClientHandler

from analytics.intake import Intake
from analytics.models import PlaybackSession
from videos.models import VideoQuality
from videos.tests.factories import VideoFactory

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class HandlerBehindIntake(ClientHandler):
    """Answers as the web server does: reports ahead of Django, all other requests by Django."""

    def __call__(self, environ):
        passed, begun = [], []
        layer = Intake(lambda *arguments: passed.append(arguments) or [])
        environ.setdefault("HTTP_HOST", "testserver")
        body = b"".join(layer(environ, lambda *arguments: begun.append(arguments)))
        if passed:
            return super().__call__(environ)
        ((status, headers),) = begun
        response = HttpResponse(body, status=int(status.split()[0]), headers=dict(headers))
        if "Content-Type" not in dict(headers):
            del response.headers["Content-Type"]
        response.wsgi_request, response.is_ahead = None, True
        return response


class Browser(Client):
    def __init__(self, enforce_csrf_checks=False, **defaults):
        super().__init__(enforce_csrf_checks=enforce_csrf_checks, **defaults)
        self.handler = HandlerBehindIntake(enforce_csrf_checks)


@pytest.fixture
def client():
    return Browser()


@pytest.fixture
def video(db):
    """A public video of 60 seconds in two qualities."""
    video = VideoFactory(public=True, slug="a-walk")
    for quality, height in (("720p", 720), ("360p", 360)):
        VideoQuality.objects.create(video=video, quality=quality, width=16 * height / 9, height=height, bitrate=1000)
    return video


@pytest.fixture
def send(client):
    """Send a message as a page of the site does: send("start", video=1)."""

    def post(what, headers=None, **message):
        headers = {"User-Agent": BROWSER, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        return client.post(f"/api/v1/playback/{what}", message, content_type="application/json", headers=headers)

    return post


@pytest.fixture
def token(send, video):
    """The token of a session that started a minute ago."""
    token = send("start", video=video.pk).json()["token"]
    pass_time(60)
    return token


@pytest.fixture
def report(send, token):
    """Send a report; omitted fields are empty: report(1, ranges=[[0, 10]])."""

    def post(number, what="report", /, **message):
        return send(what, **{"token": token, "number": number, "ranges": [], "position": 0, "quality": None, **message})

    return post


def pass_time(seconds):
    """Move the start, the report and the end of all sessions into the past."""
    earlier = {name: F(name) - timedelta(seconds=seconds) for name in ("started_at", "reported_at", "ended_at")}
    PlaybackSession.objects.update(**earlier)


def the_session():
    return PlaybackSession.objects.get()
