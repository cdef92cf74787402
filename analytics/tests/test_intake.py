"""Reports ahead of Django: the same answers, what waits in memory, and what a stop or a kill costs."""

import json
import os
import re
import secrets
import signal
import time
import urllib.request
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from analytics import intake
from analytics.beacons import MAX_BODY, Report
from analytics.known import KnownSessions
from analytics.models import PlaybackSession
from analytics.pending import MAX_TURNS, Arrived, Pending, batches
from analytics.tests.conftest import Browser, pass_time, the_session
from transcoding.tests.conftest import wait_for
from videos.tests import live
from videos.tests.factories import VideoFactory
from vlog import counters, traffic
from vlog.environment import parse_proxies
from vlog.tests.services import database_away

pytestmark = pytest.mark.django_db

UNKNOWN = "t" * 43
PAGE = {"Sec-Fetch-Site": "same-origin"}


def message(token, number=1, /, **fields):
    return {"token": token, "number": number, "ranges": [[0, 5]], "position": 5, "quality": None, **fields}


def post(client, body, what="report", **headers):
    path = f"/api/v1/playback/{what}"
    return client.post(path, body, content_type="application/json", headers={**PAGE, **headers})


def of_answer(response):
    """What a client sees of an answer. Lengths and IDs of requests aside, Vary says nothing about these."""
    headers = {name: value for name, value in response.items() if name not in ("X-Request-ID", "Vary")}
    return response.status_code, response.content, headers


@pytest.fixture
def waiting():
    """A list of reports that a thread would write, such as each process of the web server has."""
    found = Pending()
    found.has_writer = True
    return found


@pytest.fixture
def held(waiting, monkeypatch):
    """The same list, in which the reports of this test's clients wait."""
    monkeypatch.setattr(intake, "pending", waiting)
    monkeypatch.setattr(intake, "sessions", KnownSessions())
    return waiting


class TestAnswers:
    @pytest.mark.parametrize(
        ("fields", "headers", "status"),
        [
            ({}, {}, 204),
            ({"quality": "9p"}, {}, 400),
            ({"position": 99}, {}, 400),
            ({"number": 0}, {}, 400),
            ({"token": UNKNOWN}, {}, 404),
            ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
            ({}, {"X-Request-ID": "an-id-of-a-proxy"}, 204),
        ],
    )
    def test_are_those_of_django(self, token, client, fields, headers, status):
        body = message(token, **fields)
        ahead, through = (
            post(client, body, **headers),
            post(Client(), {**body, "number": body["number"] * 2}, **headers),
        )
        assert ahead.is_ahead
        assert ahead.status_code == status
        assert of_answer(ahead) == of_answer(through)
        assert re.fullmatch(headers.get("X-Request-ID", "[0-9a-f]{16}"), ahead["X-Request-ID"])

    def test_over_tls_are_those_of_django(self, token, client, settings):
        settings.TRUSTED_PROXIES, settings.SECURE_HSTS_SECONDS = parse_proxies("127.0.0.1"), 9
        settings.SECURE_SSL_REDIRECT = True
        secure = {"X-Forwarded-Proto": "https"}
        ahead = post(client, message(token), **secure)
        assert ahead.is_ahead
        assert of_answer(ahead) == of_answer(post(Client(), message(token), **secure))
        assert ahead["Strict-Transport-Security"] == "max-age=9"
        assert not hasattr(post(client, message(token)), "is_ahead")  # Django redirects it to https://

    @pytest.mark.parametrize(
        "request_",
        [
            {"path": "/api/v1/playback/report?x=1"},
            {"path": "/api/v1/playback/start"},
            {"path": "/api/v1/playback/report/"},
            {"method": "GET"},
            {"method": "PUT"},
            {"headers": {"Host": "other.example.org"}},
            {"headers": {"Host": ""}},
            {"headers": {"Cookie": "a=\\000"}},
            {"headers": {"Transfer-Encoding": "chunked"}},
            {"content_type": "multipart/form-data; boundary=x"},
            {"content_type": "application/json; charset=latin-1"},
            {"data": b"x" * (MAX_BODY + 1)},
        ],
        ids=str,
    )
    def test_of_what_is_not_plain_are_left_to_django(self, client, request_):
        request_ = {"path": "/api/v1/playback/report", "method": "POST", "data": b"{}", **request_}
        response = client.generic(request_.pop("method"), request_.pop("path"), request_.pop("data"), **request_)
        assert not hasattr(response, "is_ahead")
        assert 400 <= response.status_code < 500

    def test_are_counted_with_all_others(self, token, client):
        def counted():
            samples = [sample for metric in traffic.metrics() for sample in metric.samples]
            labels = ({"part": "api", "status": "2xx"}, {"part": "api"})
            totals = [one.value for one in samples if one.labels in labels and one.name.endswith("_total")]
            return dict(zip(("requests", "received", "sent"), totals, strict=True))

        before = counted()
        post(client, message(token))
        grown = {name: value - before[name] for name, value in counted().items()}
        assert grown == {"requests": 1, "received": len(json.dumps(message(token))), "sent": 0}


class TestWaiting:
    def test_reports_are_written_with_the_times_at_which_they_arrived(self, token, client, held):
        arrived = timezone.now()
        assert post(client, message(token, ranges=[[0, 10]], position=10)).status_code == 204
        assert the_session().last_report == 0
        held.reports[0] = Arrived(held.reports[0].report, held.reports[0].at - 30)
        held.write()
        session = the_session()
        assert (session.last_report, session.duration_watched) == (1, 10)
        assert abs(session.reported_at - (arrived - timedelta(seconds=30))) < timedelta(seconds=5)
        assert not held.reports

    def test_a_session_that_is_known_is_checked_without_a_query(self, token, client, held, django_assert_num_queries):
        post(client, message(token))
        with django_assert_num_queries(0):
            assert post(client, message(token, 2, quality="720p")).status_code == 204
        assert post(client, message(token, 3, quality="144p")).status_code == 400

    def test_a_quality_that_is_new_is_found(self, token, client, held, video):
        post(client, message(token))
        video.qualities.filter(quality="720p").update(quality="480p")
        assert post(client, message(token, 2, quality="480p")).status_code == 204

    def test_all_reports_of_many_sessions_are_one_statement(self, send, client, video, held, django_assert_num_queries):
        tokens = [send("start", video=video.pk).json()["token"] for _ in range(5)]
        for token in tokens:
            post(client, message(token))
        with django_assert_num_queries(1):
            held.write()
        assert set(PlaybackSession.objects.values_list("last_report", "duration_watched")) == {(1, 5)}

    def test_several_reports_of_one_session_count_in_their_order(self, token, client, held):
        for number in (1, 2, 2, 1, 3):
            post(client, message(token, number, quality="360p" if number == 2 else "720p"))
        post(client, message(token, 4), "end")
        held.write()
        session = the_session()
        assert (session.last_report, session.duration_watched) == (4, 20)
        assert session.ended_at is not None
        assert session.quality_seconds == {"720p": 10, "360p": 5}

    def test_a_flood_of_reports_of_one_session_becomes_a_few_statements(self, token, client, held):
        for number in range(1, 100):
            post(client, message(token, number))
        assert [len(batch) for batch in batches(held.reports)] == [1] * MAX_TURNS
        held.write()
        assert the_session().last_report == 99

    def test_a_report_of_a_session_that_was_deleted_meanwhile_disturbs_no_other(self, send, client, video, held):
        tokens = [send("start", video=video.pk).json()["token"] for _ in range(2)]
        for token in tokens:
            post(client, message(token))
        PlaybackSession.objects.filter(session_token=tokens[0]).delete()
        held.write()
        assert the_session().last_report == 1

    def test_beyond_the_limit_a_player_is_asked_to_send_again(self, token, client, held):
        held.most = 2
        statuses = [post(client, message(token, number)).status_code for number in (1, 2, 3)]
        assert statuses == [204, 204, 503]
        refused = post(client, message(token, 3))
        assert (refused["Retry-After"], "detail" in refused.json()) == ("10", True)
        before = counters.read().get("dropped reports", 0)
        held.write()
        assert counters.read()["dropped reports"] - before == 2
        assert post(client, message(token, 3)).status_code == 204


class TestTwoProcesses:
    """A connection of a browser belongs to one process, and two of them write when they like."""

    def report(self, token, number, **fields):
        return Report(token, number, **{"played": 5.0, "furthest": 5.0, "quality": "720p", **fields})

    @pytest.fixture
    def other(self):
        found = Pending()
        found.has_writer = True
        return found

    def test_the_earlier_report_counts_too_where_the_later_one_is_written_first(self, token, waiting, other):
        waiting.add(self.report(token, 1))
        other.add(self.report(token, 2, ends=True, quality="360p"))
        other.write()
        waiting.write()
        session = the_session()
        assert (session.last_report, session.duration_watched, session.skipped) == (2, 10, [])
        assert session.ended_at is not None
        assert session.quality_seconds == {"720p": 5, "360p": 5}

    def test_one_that_arrived_later_is_late_and_one_counts_once(self, token, waiting, other):
        other.add(self.report(token, 3))
        other.write()
        pass_time(2)
        for number in (1, 2):
            waiting.add(self.report(token, number))
        waiting.write()
        assert (the_session().duration_watched, the_session().skipped) == (5, [2, 1])
        report = Arrived(self.report(token, 2), time.monotonic() - 30)
        for _ in range(2):
            waiting.reports.append(report)
            waiting.write()
        assert (the_session().duration_watched, the_session().skipped) == (10, [1])

    def test_few_numbers_are_remembered(self, token, waiting):
        for number in (1, 2**31 - 1):
            waiting.add(self.report(token, number))
            waiting.write()
        assert the_session().skipped == [2**31 - 1 - step for step in range(1, 17)]


@pytest.mark.django_db(transaction=True)
class TestOutage:
    def test_reports_wait_and_are_written_when_the_database_is_back(self, token, client, held):
        with database_away():
            for number in (1, 2):
                assert post(client, message(token, number)).status_code == 204
            with pytest.raises(DatabaseError):
                held.write()
            assert held.is_stuck
            assert post(client, message(UNKNOWN)).status_code == 204
        held.write()
        assert (the_session().last_report, the_session().duration_watched) == (2, 10)
        assert not held.is_stuck

    def test_without_a_thread_that_writes_the_answer_is_503(self, token):
        with database_away():
            assert post(Browser(raise_request_exception=False), message(token)).status_code == 503

    def test_a_statement_that_fails_for_ever_does_not_stay(self, token, client, held, caplog):
        post(client, message(token))
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE playback_sessions ADD CONSTRAINT no CHECK (last_report = 0)")
            try:
                held._try()
            finally:
                cursor.execute("ALTER TABLE playback_sessions DROP CONSTRAINT no")
        assert "playback reports were not written, and are lost" in caplog.text
        assert not held.reports

    def test_at_the_end_of_the_process_the_log_says_what_is_lost(self, token, client, held, caplog):
        post(client, message(token))
        with database_away():
            held.finish()
        assert "1 playback reports are lost" in caplog.text


class TestWebServer:
    """A real gunicorn."""

    pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

    @pytest.fixture
    def tokens(self):
        video = VideoFactory(public=True)
        tokens = [secrets.token_urlsafe(32) for _ in range(200)]
        PlaybackSession.objects.bulk_create(PlaybackSession(video=video, session_token=token) for token in tokens)
        pass_time(60)
        return tokens

    def test_a_stop_loses_no_report(self, tokens):
        with live.site() as address:
            for token in tokens:
                assert send(address, token) == HTTPStatus.NO_CONTENT
        assert PlaybackSession.objects.filter(last_report=1).count() == len(tokens)

    @pytest.mark.slow("starts and stops a site of its own")
    def test_a_killed_process_loses_a_second_of_reports(self, tokens):
        with live.site() as address:
            for token in tokens[:100]:
                send(address, token)
            time.sleep(2)
            kill_processes(address)
            wait_for(lambda: live.answers(address), "another process")
            for token in tokens[100:]:
                assert send(address, token) == HTTPStatus.NO_CONTENT
        assert PlaybackSession.objects.filter(last_report=1).count() == len(tokens)


def send(address, token):
    body = json.dumps(message(token)).encode()
    request = urllib.request.Request(f"{address}/api/v1/playback/report", body, {"Content-Type": "application/json"})  # noqa: S310
    return urllib.request.urlopen(request, timeout=30).status  # noqa: S310 - our own server


def kill_processes(address):
    """Kill the processes that answer, not the one that starts them."""
    port = address.rpartition(":")[2]
    own = f"VLOG_BASE_URL=http://127.0.0.1:{port}\0".encode()
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if own in (path / "environ").read_bytes():
                found[int(path.name)] = int(re.search(r"PPid:\s+(\d+)", (path / "status").read_text())[1])
        except OSError:
            continue
    for pid, parent in found.items():
        if parent in found:
            os.kill(pid, signal.SIGKILL)
