"""The queue over HTTP, with all faults of networks and sites."""

import threading
import time

import pytest

from transcoding.engine.contract import INIT, LeaseLost, ShuttingDown
from transcoding.engine.encode import EncodeError
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.speech.transcribe import Order, Recognition, Transcript
from transcoding.engine.work import work_one
from workers.agent import client, connection
from workers.agent.connection import Disabled, Refused, Rejected, Site, WrongAddress
from workers.tests.agent.conftest import NEVER
from workers.tests.agent.site import KEY, hang_up, says, truncated, unheard

KINDS = ("video", "audio")


def work_all(queue):
    while work_one(queue, KINDS, NEVER):
        pass


def states(site):
    return [(chunk.state, chunk.attempt) for chunk in site.chunks.values()]


def test_what_is_delivered_is_what_is_made_here_byte_for_byte(site, film, queue_of):
    work_all(queue_of(site))
    assert states(site) == [("completed", 1)] * 3
    assert site.delivered == film.made


@pytest.mark.parametrize("misdeed", [
    hang_up, truncated, says(500), says(502), says(429, {"Retry-After": "0"}), says(503, {"Retry-After": "0"}),
], ids=["hangs up", "truncates", "500", "502", "429", "503"])  # fmt: skip
def test_it_retries_until_it_is_answered(site, film, queue_of, misdeed):
    for call in ("POST claim", "GET chunks/41/source", "PUT chunks/41/segments/360p/0"):
        site.misbehave(call, misdeed, times=2)
    if misdeed is not truncated:  # the site has handled the request, and only the answer is lost
        site.misbehave("POST chunks/41/complete", misdeed)
    work_all(queue_of(site))
    assert states(site) == [("completed", 1)] * 3
    assert site.delivered == film.made
    assert len(site.calls("PUT chunks/41/segments/360p/0")) == 3


def test_a_claim_whose_answer_was_lost_gets_the_same_chunk(site, queue_of):
    site.misbehave("POST claim", truncated, times=2)
    assert queue_of(site).claim(KINDS).chunk == 41
    assert [state for state, _ in states(site)] == ["running", "pending", "pending"]


def test_a_completion_whose_answer_was_lost_is_no_error(site, queue_of):
    site.misbehave("POST chunks/41/complete", unheard)
    work_all(queue_of(site))
    assert states(site) == [("completed", 1)] * 3


def test_the_site_may_be_away_and_says_so_once(site, queue_of, caplog):
    caplog.set_level("INFO")
    site.misbehave("POST claim", says(502), times=4)
    queue_of(site).claim(KINDS)
    assert caplog.messages == [
        f"{site.address} does not answer (HTTP 502); retrying",
        f"{site.address} answers again",
    ]


def test_it_waits_as_long_as_the_site_says(site, queue_of, monkeypatch):
    waited = []
    monkeypatch.setattr(connection, "wait_for", lambda seconds, check: waited.append(seconds))
    site.misbehave("POST claim", says(503, {"Retry-After": "7"}))
    site.misbehave("POST claim", says(503, {"Retry-After": "86400"}))
    site.misbehave("POST claim", says(503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    queue_of(site).claim(KINDS)
    assert waited[:2] == [7, connection.MAX_RETRY_AFTER]
    assert waited[2] <= connection.MAX_PAUSE


@pytest.mark.parametrize(("status", "error", "words"), [
    (401, Refused, "does not know this key"),
    (426, Refused, "too old"),
    (403, Disabled, "refused with 403"),
    (400, Rejected, "refused with 400"),
])  # fmt: skip
def test_a_refusal_is_a_sentence(site, queue_of, status, error, words):
    site.misbehave("POST claim", says(status, detail=f"refused with {status}"))
    with pytest.raises(error, match=words):
        queue_of(site).claim(KINDS)


def test_a_redirect_names_the_new_address(site, queue_of):
    site.misbehave("POST claim", says(301, {"Location": "https://video.example.org/api/worker/v1/claim"}))
    with pytest.raises(Refused, match=r"is served at https://video\.example\.org: start the agent with that address"):
        queue_of(site).claim(KINDS)


@pytest.mark.parametrize("bad", [
    {"encoder": "h264_from_elsewhere"},
    {"look": {"matrix": "bt709,movie=/etc/passwd"}},
    {"timeline": {"unit": "1/30", "starts": [], "end": 0}},
    {"time_base": "soon"},
])  # fmt: skip
def test_a_plan_that_could_do_something_else_is_not_followed(site, film, queue_of, bad):
    site.chunks[41].plan = type("Plan", (), {"to_json": lambda self: {**film.plan.to_json(), **bad}})()
    with pytest.raises(Refused, match="does not understand"):
        queue_of(site).claim(KINDS)


class TestLease:
    @pytest.fixture
    def held(self, site, queue_of):
        """A queue with a chunk, whose lease must be renewed ten times a second."""
        site.lease = 0.4
        queue = queue_of(site)
        return queue, queue.claim(KINDS)

    def test_a_segment_that_takes_long_does_not_lose_it(self, site, held):
        def slow(handler):
            before = len(site.calls("POST chunks/41/report"))
            site.wait_for(lambda: len(site.calls("POST chunks/41/report")) >= before + 3, "reports")
            handler.dispatch()

        queue, chunk = held
        site.misbehave("PUT", slow)
        queue.deliver(chunk, "360p", 0, bytes(1 << 20))
        assert site.delivered["360p", "0"] == bytes(1 << 20)

    @pytest.mark.parametrize("where", ["PUT", "POST chunks/41/report"])
    def test_once_it_is_lost_nothing_more_is_waited_for(self, site, held, where):
        queue, chunk = held
        over = threading.Event()
        if where != "PUT":
            site.misbehave("PUT", lambda handler: over.wait(60))
        site.misbehave(where, says(409))
        with pytest.raises(LeaseLost):
            queue.deliver(chunk, "360p", 0, b"data")
        over.set()
        assert site.delivered == {}

    @pytest.mark.parametrize(("refusal", "error"), [(401, Refused), (403, Disabled), (426, Refused)])
    def test_a_revoked_key_stops_the_chunk(self, site, held, refusal, error):
        queue, chunk = held
        site.misbehave("POST chunks/41/report", says(refusal), times=1000)
        with pytest.raises(error):
            report_until_refused(queue, chunk)
        with pytest.raises(error):
            queue.deliver(chunk, "360p", 0, b"data")
        assert site.calls("PUT") == []

    def test_the_network_may_be_away_for_longer_than_a_request(self, site, held):
        queue, chunk = held
        site.misbehave("POST chunks/41/report", hang_up, times=5)
        site.misbehave("PUT", hang_up, times=20)
        queue.deliver(chunk, "360p", 0, b"data")
        assert site.delivered == {("360p", "0"): b"data"}

    def test_the_percentage_of_a_transcription_is_reported(self, site, held):
        queue, chunk = held
        queue.report(chunk, 40)
        site.wait_for(lambda: 40 in site.chunks[41].percents, "the percentage")

    def test_an_order_to_complete_ends_the_chunk_there(self, site, queue_of):
        site.orders["PUT 360p/0"] = "complete"
        assert work_one(queue_of(site), KINDS, NEVER)
        assert set(site.delivered) == {("360p", "init"), ("360p", "0")}
        assert site.chunks[41].state == "completed"

    @pytest.mark.parametrize(("order", "state"), [("complete", "completed"), ("give_back", "pending")])
    def test_an_order_in_a_report_is_followed(self, site, queue_of, order, state):
        site.lease, site.orders["report"] = 0.04, order
        site.misbehave("PUT", lambda handler: site.wait_for(lambda: "report" not in site.orders, "a report"))
        assert work_one(queue_of(site), KINDS, NEVER)
        assert site.chunks[41].state == state


def report_until_refused(queue, chunk):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        queue.report(chunk)
        time.sleep(0.01)


def test_a_stopping_agent_releases_its_chunk_during_an_upload(site, queue_of):
    stop, over = threading.Event(), threading.Event()
    queue = queue_of(site, stop)

    def never_answered(handler):
        stop.set()
        queue.interrupt()
        over.wait(60)

    site.misbehave("PUT", never_answered)
    assert work_one(queue, KINDS, stop)
    over.set()
    assert site.chunks[41].state == "pending"


def test_a_stopping_agent_does_not_wait_for_a_site_that_is_down(site, queue_of, monkeypatch, caplog):
    monkeypatch.setattr(client, "FAREWELL_SECONDS", 0)
    stop = threading.Event()
    queue = queue_of(site, stop)
    chunk = queue.claim(KINDS)
    stop.set()
    site.misbehave("POST chunks/41/give_back", hang_up, times=1000)
    with pytest.raises(ShuttingDown):
        queue.release(chunk)
    assert "the lease will expire" in caplog.text


def test_a_segment_that_the_site_does_not_take_spends_an_attempt(site, queue_of):
    site.misbehave("PUT chunks/41/segments/360p/0", says(422, detail="segment 0 begins too late"))
    assert work_one(queue_of(site), KINDS, NEVER)
    assert (site.chunks[41].state, site.chunks[41].error) == ("failed", "segment 0 begins too late")


def test_a_segment_that_was_changed_on_its_way_is_sent_again(site, film, queue_of):
    site.misbehave("PUT chunks/41/segments/360p/0", says(400, detail="it was changed on its way"), times=2)
    assert work_one(queue_of(site), KINDS, NEVER)
    assert site.chunks[41].state == "completed"


def test_one_that_never_arrives_as_it_was_sent_spends_an_attempt(site, queue_of):
    site.misbehave("PUT chunks/41/segments/360p/0", says(400, detail="it was changed on its way"), times=1000)
    assert work_one(queue_of(site), KINDS, NEVER)
    assert (site.chunks[41].state, site.chunks[41].error) == ("failed", "it was changed on its way")


def test_a_chunk_that_is_not_complete_after_all_spends_an_attempt(site, queue_of):
    site.misbehave("POST chunks/41/complete", says(422, detail="segment 0 is missing"))
    assert work_one(queue_of(site), KINDS, NEVER)
    assert (site.chunks[41].state, site.chunks[41].error) == ("failed", "segment 0 is missing")


def test_an_init_segment_has_its_own_name(site, queue_of):
    queue = queue_of(site)
    queue.deliver(queue.claim(KINDS), "360p", INIT, b"init")
    assert site.delivered == {("360p", "init"): b"init"}


def test_of_a_long_log_the_end_is_sent(site, queue_of):
    queue = queue_of(site)
    queue.fail(queue.claim(KINDS), "\0" + "x" * 20_000 + "the end")
    assert site.chunks[41].error.endswith("xthe end")
    assert len(site.chunks[41].error) == client.MAX_ERROR


def test_a_transcript_completes_its_chunk(film, site, queue_of):
    site.add(film.plan, film.path, "transcription")
    site.language = "cy"
    queue = queue_of(site)
    chunk = queue.claim(("transcription",))
    assert queue.order_of(chunk).language == "cy"
    queue.publish(chunk, Transcript("cy", (Caption(0.5, 1.5, "Bore da"),)))
    assert site.transcript["captions"] == [{"start": 0.5, "end": 1.5, "text": "Bore da"}]
    assert (site.transcript["language"], site.chunks[44].state) == ("cy", "completed")


def test_what_is_said_completes_a_part(film, site, queue_of):
    site.add(film.plan, film.path, "speech")
    site.more = {"begin": 294.0, "end": 606.0, "prompt": "Bore da"}
    queue = queue_of(site)
    chunk = queue.claim(("transcription", "speech"))
    assert queue.order_of(chunk) == Order("", "Bore da", 294.0, 606.0)
    queue.keep(chunk, Recognition({"cy": 1.0}, [[0.5, 1.5, "Bore da", 0.0, 0.1, []]]))
    assert site.speech["said"] == [[0.5, 1.5, "Bore da", 0.0, 0.1, []]]
    assert (site.speech["languages"], site.chunks[44].state) == ({"cy": 1.0}, "completed")


def test_an_unknown_key_ends_it(site, queue_of):
    with pytest.raises(Refused):
        queue_of(site, key="x" * 43).claim(KINDS)


def test_a_site_that_is_another_program_ends_it(site, queue_of):
    queue = queue_of(site)
    queue.site.path = "/elsewhere/"
    site.misbehave("POST /elsewhere/claim", says(404, detail=""))
    with pytest.raises(Refused, match="is this the address of a VLog site"):
        queue.claim(KINDS)


@pytest.mark.parametrize("address", [
    "video.example.org", "ftp://video.example.org", "https://", "https://a:b@video.example.org", "https://x/?y",
    "https://x:port",
])  # fmt: skip
def test_an_invalid_address_is_refused(address):
    with pytest.raises(WrongAddress):
        Site(address, KEY)


@pytest.mark.parametrize(("address", "is_open"), [
    ("https://93.184.215.14", False), ("http://93.184.215.14", True), ("http://127.0.0.1:8000", False),
    ("http://192.168.1.7", True), ("http://[::1]:8000", False), ("http://[fe80::1]", True), ("http://127.9.9.9", False),
    ("http://unknown.invalid", True), ("https://192.168.1.7", False),
])  # fmt: skip
def test_a_key_sent_unencrypted_to_another_machine_is_noticed(address, is_open):
    assert Site(address, KEY).exposes_key() is is_open


def test_the_environments_proxy_is_used(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:se%20cret@proxy.example.org:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example.org")
    through = Site("https://video.example.org", KEY).connection()
    assert (through.host, through.port, through._tunnel_host) == ("proxy.example.org", 3128, "video.example.org")
    assert through._tunnel_headers["Proxy-Authorization"] == "Basic bWU6c2UgY3JldA=="
    assert Site("https://inside.example.org", KEY).connection().host == "inside.example.org"


def test_what_a_source_lacks_is_no_failure_of_the_network():
    assert issubclass(Rejected, EncodeError)
