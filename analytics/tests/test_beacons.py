"""The player's messages: accepted, ignored or refused."""

import json
import re
import secrets
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from analytics.beacons import MAX_BODY, BadBeacon, NotFound, is_bot, parse, read_report
from analytics.known import TOLERANCE
from analytics.models import PlaybackSession, Viewer
from analytics.pending import MAX_SPEED
from analytics.tests.conftest import BROWSER, Browser, pass_time, the_session
from analytics.views import OPTED_OUT
from videos.tests.factories import VideoFactory
from vlog.environment import Limit, parse_proxies

pytestmark = pytest.mark.django_db

TOKEN = "t" * 43
MONTH = 30 * 24 * 3600  # seconds


def sentence(response):
    """Return the reason for a refusal, which must be a sentence in JSON."""
    (text,) = response.json().values()
    assert re.fullmatch(r"[A-Za-z].+\.", text)
    return text


# Start


@pytest.mark.parametrize("name", ["pk", "slug"])
def test_a_session_starts_by_the_videos_id_or_slug(send, video, name):
    response = send("start", video=getattr(video, name))
    assert response.status_code == 200
    session = the_session()
    assert response.json() == {"token": session.session_token}
    assert (session.video, session.ended_at, session.duration_watched) == (video, None, 0)
    assert abs(timezone.now() - session.started_at) < timedelta(seconds=60)


def test_each_start_is_a_session_with_a_token_of_its_own_and_the_browser_is_one_viewer(send, video):
    tokens = {send("start", video=video.pk).json()["token"] for _ in range(3)}
    assert len(tokens) == 3
    assert all(re.fullmatch(r"[-\w]{43}", token) for token in tokens)
    assert PlaybackSession.objects.values("viewer").distinct().count() == Viewer.objects.count() == 1


def test_one_client_starts_no_more_than_the_limit(send, client, video, settings):
    settings.PLAYBACK_LIMIT = Limit(2, 600)
    client.defaults["REMOTE_ADDR"] = f"2001:db8:0:{secrets.token_hex(2)}::1"  # with a bucket of its own
    assert [send("start", video=video.pk).status_code for _ in range(2)] == [200, 200]
    refused = send("start", video=video.pk)
    assert (refused.status_code, sentence(refused)[:24]) == (429, "Too many playbacks were ")
    assert 0 < int(refused["Retry-After"]) <= 300
    assert PlaybackSession.objects.count() == 2
    client.defaults["REMOTE_ADDR"] = f"2001:db8:1:{secrets.token_hex(2)}::1"
    assert send("start", video=video.pk).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "processing"},
        {"deleted_at": timezone.now()},
        {"visibility": "private"},
        {"visibility": "password", "password": "hash"},
    ],
)
def test_a_video_that_is_not_public_is_not_there(send, fields):
    hidden = VideoFactory(**{"public": True, **fields})
    for name in (hidden.pk, hidden.slug):
        assert send("start", video=name).status_code == 404
    assert not Viewer.objects.exists()


@pytest.mark.parametrize("name", [0, -1, 2**31, 2**63, 10**300, "", "no-such", "a\0b", "\ud800", "ä", "a" * 1000])
def test_a_video_that_cannot_be_is_not_there(send, video, name):
    response = send("start", video=name)
    assert response.status_code == 404
    assert sentence(response)


@pytest.mark.parametrize("name", [None, True, 1.0, [], {}])
def test_a_video_is_an_id_or_a_slug(send, video, name):
    response = send("start", video=name)
    assert response.status_code == 400
    assert sentence(response)


# The viewer's cookie


def test_the_cookie_is_random_lasts_13_months_and_is_for_the_site_alone(send, client, video):
    cookie = send("start", video=video.pk).cookies["vlog_viewer"]
    assert re.fullmatch(r"[-\w]{43}", cookie.value)
    assert Viewer.objects.get().session_id == cookie.value
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["path"]) == (True, "Lax", "", "/")
    assert 13 * MONTH <= cookie["max-age"] < 14 * MONTH


def test_with_https_the_cookie_is_for_https(client, video, settings):
    settings.TRUSTED_PROXIES = parse_proxies("127.0.0.1")
    headers = {"User-Agent": BROWSER, "X-Forwarded-Proto": "https"}
    message = {"video": video.pk}
    response = client.post("/api/v1/playback/start", message, content_type="application/json", headers=headers)
    assert response.cookies["vlog_viewer"]["secure"] is True


def test_a_known_viewer_keeps_the_cookie_and_is_seen_again(send, video):
    send("start", video=video.pk)
    Viewer.objects.update(first_seen=timezone.now() - timedelta(days=9), last_seen=timezone.now() - timedelta(days=9))
    assert not send("start", video=video.pk).cookies
    viewer = Viewer.objects.get()
    assert viewer.last_seen - viewer.first_seen >= timedelta(days=9)


@pytest.mark.parametrize("value", ["", "x", "a" * 42, "a" * 44, "ä" * 43, "<script>" + "a" * 35])
def test_a_malformed_cookie_is_replaced(send, client, video, value):
    client.cookies["vlog_viewer"] = value
    cookie = send("start", video=video.pk).cookies["vlog_viewer"]
    assert Viewer.objects.get().session_id == cookie.value != value


def test_no_page_sets_the_cookie(client, video):
    for path in ("/", video.get_absolute_url()):
        assert "vlog_viewer" not in client.get(path).cookies


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_of_a_private_browser_nothing_is_stored_and_it_loses_the_cookie(send, client, video, header):
    assert not send("start", {header: "1"}, video=video.pk).cookies
    client.cookies["vlog_viewer"] = "a" * 43
    response = send("start", {header: "1"}, video=video.pk)
    assert (response.status_code, response.cookies["vlog_viewer"]["max-age"]) == (204, 0)
    send("start", {header: "1"}, video=video.pk, embedded=True)
    assert not PlaybackSession.objects.exists()
    assert not Viewer.objects.exists()


def test_of_a_browser_that_opted_out_nothing_is_stored_and_it_keeps_that_choice(send, client, video):
    client.cookies["vlog_viewer"] = OPTED_OUT
    response = send("start", video=video.pk)
    assert (response.status_code, list(response.cookies)) == (204, [])
    assert not PlaybackSession.objects.exists()
    assert not Viewer.objects.exists()


def test_a_no_to_privacy_is_none(send, video):
    send("start", {"DNT": "0"}, video=video.pk)
    assert Viewer.objects.count() == 1


# Who is not counted


@pytest.mark.parametrize("is_staff", [True, False])
def test_staff_is_not_counted_and_other_accounts_are(send, client, video, is_staff):
    client.force_login(User.objects.create_user("u", is_staff=is_staff))
    response = send("start", video=video.pk)
    assert (response.status_code, PlaybackSession.objects.count()) == ((204, 0) if is_staff else (200, 1))
    assert ("vlog_viewer" in response.cookies) is not is_staff


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/140.0.0.0 Safari/537.36",
        "curl/8.5.0",
        "python-requests/2.32",
    ],
)
def test_programs_are_not_counted(send, video, agent):
    response = send("start", {"User-Agent": agent}, video=video.pk)
    assert (response.status_code, response.content, PlaybackSession.objects.count()) == (204, b"", 0)


@pytest.mark.parametrize(
    "agent",
    [
        BROWSER,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
    ],
)
def test_browsers_are_no_programs(agent):
    assert not is_bot(agent)


# Reports


def test_a_report_says_what_was_played(report):
    assert report(1, ranges=[[0, 10], [30, 35.5]], position=36, quality="720p").status_code == 204
    session = the_session()
    assert (session.duration_watched, session.max_position, session.quality_used) == (15.5, 36, "720p")
    assert (session.completed, session.ended_at, session.last_report) == (False, None, 1)


def test_what_is_played_twice_counts_twice_and_the_furthest_position_stays(report):
    report(1, ranges=[[0, 10]], position=50)
    pass_time(15)
    report(2, ranges=[[0, 10], [5, 10]], position=10)
    assert (the_session().duration_watched, the_session().max_position) == (25, 50)


def test_a_number_that_has_been_changes_nothing(report):
    report(5, ranges=[[0, 10]], position=10, quality="360p")
    pass_time(2)  # within a second two reports count in any order
    before = PlaybackSession.objects.values().get()
    for number in (5, 4, 1):
        for what in ("report", "end"):
            assert report(number, what, ranges=[[0, 60]], position=60, quality="720p").status_code == 204
    assert PlaybackSession.objects.values().get() == before


def test_the_quality_played_most_is_the_sessions(report):
    report(1, ranges=[[0, 10]], quality="360p")
    pass_time(6)
    report(2, ranges=[[10, 16]], quality="720p")
    assert the_session().quality_used == "360p"
    pass_time(6)
    report(3, ranges=[[16, 22]], quality="720p")
    assert the_session().quality_used == "720p"
    report(4, ranges=[[22, 30]])
    assert the_session().quality_seconds == {"360p": 10, "720p": 12}


@pytest.mark.parametrize(("position", "completed"), [(53.9, False), (54, True), (60, True)])
def test_nine_tenths_are_complete_and_stay_so(report, position, completed):
    report(1, position=position)
    assert the_session().completed is completed
    report(2, position=0)
    assert the_session().completed is completed


def test_a_position_a_little_beyond_the_end_is_the_end(report):
    report(1, ranges=[[55, 60 + TOLERANCE]], position=60 + TOLERANCE)
    assert the_session().max_position == 60


def test_no_report_claims_more_than_the_time_since_the_last_one_at_the_highest_speed(report):
    report(1, ranges=[[0, 60]] * 100, quality="720p")
    first = the_session()
    assert first.duration_watched == pytest.approx(60 * MAX_SPEED + TOLERANCE, abs=2)
    assert first.quality_seconds == {"720p": first.duration_watched}
    report(2, ranges=[[0, 60]])
    assert the_session().duration_watched - first.duration_watched == pytest.approx(0, abs=2)


def test_many_reports_together_claim_no_more_than_one(report):
    for number in range(1, 50):
        report(number, ranges=[[0, 60]])
    assert the_session().duration_watched == pytest.approx(60 * MAX_SPEED + TOLERANCE, abs=5)


def test_a_pause_is_no_store_of_seconds(report):
    report(1, ranges=[[0, 10]])
    pass_time(10)
    report(2, ranges=[[0, 60]])
    assert the_session().duration_watched == pytest.approx(10 + 10 * MAX_SPEED + TOLERANCE, abs=2)


def test_the_highest_speed_is_that_of_the_player():
    text = (settings.BASE_DIR / "static/player/choices.js").read_text()
    assert max(map(float, re.search(r"SPEEDS = \[([\d., ]+)\]", text)[1].split(", "))) == MAX_SPEED


def test_an_end_is_a_report_and_says_when(report):
    assert report(1, "end", ranges=[[0, 10]], position=10).status_code == 204
    session = the_session()
    assert (session.duration_watched, session.ended_at) == (10, session.reported_at)
    assert abs(timezone.now() - session.ended_at) < timedelta(seconds=60)


def test_who_plays_on_after_the_end_has_not_ended(report):
    report(1, "end", ranges=[[0, 10]])
    pass_time(10)
    report(2, ranges=[[10, 20]])
    assert (the_session().ended_at, the_session().duration_watched) == (None, 20)


@pytest.mark.parametrize("token", ["", "x", TOKEN, "a" * 100, "\0" * 43, "ä" * 43])
def test_an_unknown_token_is_not_there(report, token):
    for what in ("report", "end"):
        response = report(1, what, token=token)
        assert response.status_code == 404
        assert "no playback session" in sentence(response)


BAD = [
    *({"number": value} for value in (None, 0, -1, 1.0, "1", True, [], 2**31, 10**400)),
    *({"ranges": value} for value in (None, 1, "x", {}, [1], [[1]], [[1, 2, 3]], ["ab"], [[2, 1]], [[-1, 1]])),
    *({"ranges": value} for value in ([[0, None]], [[0, "1"]], [[False, True]], [[0, 66]], [[0, 10**400]])),
    *({"position": value} for value in (None, "1", True, [], -0.1, 65.1, 1e9, 10**400)),
    *({"quality": value} for value in (1, True, [], "", "1080p", "720P", "p", "720p\0", "7" * 99 + "p", "\u0667p")),
    *({"token": value} for value in (None, 1, True, [], {})),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad)[:40])
def test_what_cannot_be_is_refused_with_a_sentence_and_changes_nothing(report, bad):
    before = PlaybackSession.objects.values().get()
    response = report(1, **{"ranges": [[0, 1]], **bad})
    assert response.status_code == 400
    assert sentence(response)
    assert PlaybackSession.objects.values().get() == before


def test_the_quality_of_another_video_is_unknown(report, video):
    video.qualities.filter(quality="360p").update(video=VideoFactory())
    assert report(1, quality="360p").status_code == 400


BODIES = [b"", b"{", b"[]", b"1", b'"x"', b"null", b"\xff\xfe", b"[" * 15_000, b'{"a":' * 3000, b"1" * 9999]
NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999"]


@pytest.mark.parametrize("what", ["start", "report", "end"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:9]))
def test_what_is_not_a_json_object_is_refused(client, video, what, body):
    response = client.post(f"/api/v1/playback/{what}", body, content_type="text/plain", headers={"User-Agent": "x"})
    assert response.status_code == 400
    assert sentence(response)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("place", ['"ranges": [[0, %s]], "position": 0', '"ranges": [], "position": %s'])
def test_what_is_not_a_number_is_refused(client, token, number, place):
    body = f'{{"token": "{token}", "number": 1, "quality": null, {place % number}}}'
    response = client.post("/api/v1/playback/report", body, content_type="application/json")
    assert response.status_code == 400
    assert the_session().last_report == 0


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 404), (MAX_BODY + 1, 413), (10 * MAX_BODY, 413)])
def test_a_large_body_is_refused(client, video, size, status):
    message = {"token": TOKEN, "number": 1, "ranges": [], "position": 0, "quality": None}
    body = json.dumps(message).ljust(size).encode()
    response = client.post("/api/v1/playback/report", body, content_type="application/json")
    assert response.status_code == status
    assert sentence(response)


@pytest.mark.parametrize("what", ["start", "report", "end"])
def test_only_post_is_taken(client, what):
    response = client.get(f"/api/v1/playback/{what}")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert sentence(response)


@pytest.mark.parametrize("what", ["start", "report", "end"])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://testserver"}, True),
        ({"Origin": "http://testserver.example.org"}, False),
        ({"Origin": "http://testserver:81"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[broken"}, False),
        ({}, True),
    ],
)
def test_only_pages_of_this_site_may_send(video, what, headers, allowed):
    client = Browser(enforce_csrf_checks=True)
    headers = {"User-Agent": BROWSER, **headers}
    message = {"video": video.pk, "token": TOKEN, "number": 1, "ranges": [], "position": 0}
    response = client.post(f"/api/v1/playback/{what}", message, content_type="application/json", headers=headers)
    assert response.status_code == ((200 if what == "start" else 404) if allowed else 403)


# Cost

# Records the synchronous_commit of the transaction that updates a session.
WITNESS = """
CREATE TABLE seen (how text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN NULL; END $$;
CREATE TRIGGER see AFTER UPDATE ON playback_sessions FOR EACH ROW EXECUTE FUNCTION see();
"""


def test_reports_of_a_second_are_one_statement_and_read_no_login_session(report, django_assert_num_queries):
    with django_assert_num_queries(2):  # what the process must know of the session, and the report
        assert report(1, ranges=[[0, 10]], position=10, quality="720p").status_code == 204
    with django_assert_num_queries(1):
        assert report(2, ranges=[[0, 10]], position=10, quality="720p").status_code == 204


def test_a_start_is_three_statements(send, video, django_assert_num_queries):
    with django_assert_num_queries(3):
        assert send("start", video=video.pk).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_commit_of_a_report_waits_for_no_disk_and_the_next_does(report):
    with connection.cursor() as cursor:
        try:
            cursor.execute(WITNESS)
            report(1, ranges=[[0, 10]])
            cursor.execute("SELECT how, current_setting('synchronous_commit') FROM seen")
            assert cursor.fetchall() == [("off", "on")]
        finally:
            cursor.execute("DROP TRIGGER see ON playback_sessions; DROP FUNCTION see; DROP TABLE seen")


@pytest.mark.django_db(transaction=True)
def test_a_report_that_finds_its_connection_lost_takes_another(report):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
    other.close()
    assert report(1, ranges=[[0, 10]]).status_code == 204
    assert the_session().duration_watched == 10


@pytest.mark.django_db(transaction=True)
def test_the_same_report_sent_many_times_at_once_counts_once_and_others_beside_it_too(token, video):
    def post(number):
        message = {"token": token, "number": number, "ranges": [[0, 5]], "position": 5, "quality": "720p"}
        statuses.append(Browser().post("/api/v1/playback/report", message, content_type="application/json").status_code)
        connections.close_all()

    statuses = []
    threads = [threading.Thread(target=post, args=[1]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [204] * 8
    assert (the_session().duration_watched, the_session().quality_seconds) == (5, {"720p": 5})


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
SECONDS = st.floats(allow_nan=True) | st.floats(0, 70) | st.integers()
RANGES = st.lists(st.lists(SECONDS, max_size=3), max_size=4)
MESSAGES = st.fixed_dictionaries(
    {
        "token": st.just(TOKEN) | JSON,
        "number": st.integers() | JSON,
        "ranges": RANGES | JSON,
        "position": SECONDS | JSON,
        "quality": st.sampled_from([None, "720p", "1p"]) | JSON,
    }
)


@given(st.binary())
def test_any_body_is_an_object_or_refused(body):
    with suppress(BadBeacon):
        assert isinstance(parse(body), dict)


@given(MESSAGES)
def test_any_message_is_a_report_of_possible_numbers_or_refused(message):
    with suppress(BadBeacon, NotFound):
        report = read_report(message)
        assert 0 <= report.played < float("inf")
        assert all(0 <= start <= end <= report.furthest for start, end in message["ranges"])


@hypothesis_settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), max_size=3))))
def test_whatever_is_reported_the_row_stays_possible(report, reports):
    PlaybackSession.objects.update(last_report=0, duration_watched=0, max_position=0, quality_seconds={})
    for number, pairs in reports:
        ranges = [sorted(pair) for pair in pairs]
        assert report(number, ranges=ranges, position=0, quality="720p").status_code == 204
    session = the_session()
    assert (
        0 <= session.duration_watched <= (timezone.now() - session.started_at).total_seconds() * MAX_SPEED + TOLERANCE
    )
    assert session.last_report == max([0, *(number for number, _ in reports)])
    assert session.quality_seconds.get("720p", 0) == pytest.approx(session.duration_watched)
