"""Webhooks: events are recorded with the change, sent to a real receiver, retried, logged. The clock is our own."""

import json
import logging
import re
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from threading import Thread

import pytest
from django.conf import settings as site
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.utils import timezone

from videos import archive, publication, webhooks
from videos.doctor import check_webhooks
from videos.models import MAX_WEBHOOKS, Video, Webhook, WebhookDelivery, WebhookEvent, new_webhook_secret
from videos.tasks import deliver_webhooks
from videos.tests.factories import VideoFactory, add_captions
from vlog.models import AuditEntry

pytestmark = pytest.mark.django_db

LIST, LOG = "/admin/videos/webhook/", "/admin/videos/webhookdelivery/"
HOUR = timedelta(hours=1)
(RECEIVER,) = re.findall(r"```python\n(.+?)```", (site.BASE_DIR / "docs" / "webhooks.md").read_text(), flags=re.DOTALL)


@contextmanager
def serving():
    """Store what is posted. A test may change the status, and the address to which it redirects."""

    class Receiver(BaseHTTPRequestHandler):
        posted, status, location = [], 204, ""

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.posted.append((self.headers, body))
            self.send_response(self.status)
            if self.location:
                self.send_header("Location", self.location)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        Receiver.address = f"http://127.0.0.1:{server.server_port}/hook?key=secret-key"
        yield Receiver
        server.shutdown()


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture
def receiver(server, settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = (ip_network("127.0.0.0/8"),)
    settings.BASE_URL = "https://vlog.example.org"
    cache.delete(webhooks.LOCK)
    server.posted.clear()
    server.status, server.location = 204, ""
    return server


@pytest.fixture
def webhook(receiver):
    return webhooks.create(receiver.address, WebhookEvent.values)


@pytest.fixture
def clock(monkeypatch):
    """Return a function that turns the clock forward."""
    now = [timezone.now()]
    monkeypatch.setattr(timezone, "now", lambda: now[0])

    def forward(delta):
        now[0] += delta

    return forward


@pytest.fixture
def administrator(client):
    user = User.objects.create_user("boss", is_staff=True)
    user.groups.add(Group.objects.get(name="Administrators"))
    client.force_login(user)
    return user


def events():
    return [delivery.event for delivery in WebhookDelivery.objects.order_by("created_at")]


def happened(change, *arguments, **options):
    """Return the events of one change."""
    WebhookDelivery.objects.all().delete()
    change(*arguments, **options)
    return sorted(WebhookDelivery.objects.values_list("event", flat=True))


def sent_to(receiver):
    return [json.loads(body) for _, body in receiver.posted]


class TestEvents:
    def test_the_life_of_a_video(self, webhook):
        rows = Video.objects
        assert happened(VideoFactory, visibility="public", title="Lake", slug="lake") == ["video.uploaded"]
        assert happened(rows.process) == []
        assert happened(rows.fail, "It is damaged.") == ["video.failed"]
        assert happened(rows.reopen) == []
        assert happened(rows.complete, 60.0) == ["video.published", "video.ready"]
        video = Video.objects.get()
        assert happened(publication.set_visibility, video, "unlisted") == ["video.withdrawn"]
        assert happened(publication.set_visibility, video, "private") == []
        assert happened(publication.set_visibility, video, "public") == ["video.published"]
        video.title = "Sea"
        assert happened(video.save) == []
        assert happened(archive.archive, video.pk, by="ann") == ["video.archived", "video.withdrawn"]
        payload = WebhookDelivery.objects.last().payload["video"]
        assert payload == {"id": video.pk, "slug": "lake", "title": "Sea", "visibility": "public"}
        assert happened(rows.update, status="failed") == []  # no events of archived videos
        rows.update(status="ready")
        assert happened(archive.restore, video.pk) == ["video.published"]

    def test_early_publication_that_fails(self, webhook):
        VideoFactory(visibility="public", status="processing", publish_early=True)
        assert happened(Video.objects.update, playable=True) == ["video.published"]
        assert happened(Video.objects.fail, "It is damaged.") == ["video.failed", "video.withdrawn"]

    def test_captions(self, webhook):
        video = VideoFactory(public=True)
        assert happened(add_captions, video, (0, 1, "Hello"), state="draft") == []
        track = video.caption_tracks.get()
        assert happened(track.publish, "de") == ["captions.ready"]
        assert WebhookDelivery.objects.get().payload["captions"] == {"number": 1, "language": "de", "kind": track.kind}

    def test_no_event_without_its_change_and_only_those_that_are_wanted(self, webhook):
        webhooks.create("https://example.org/", ["video.failed"])
        webhooks.create("https://example.net/", ["video.uploaded"]).switch(active=False)
        with transaction.atomic():
            VideoFactory()
            transaction.set_rollback(True)
        assert events() == []
        VideoFactory()
        assert [delivery.webhook for delivery in WebhookDelivery.objects.all()] == [webhook]


class TestDelivery:
    def test_the_receiver_gets_a_signed_body(self, webhook, receiver):
        video = VideoFactory(title="Lake «ä»", slug="lake", visibility="private")
        deliver_webhooks()
        ((headers, body),) = receiver.posted
        (delivery,) = WebhookDelivery.objects.all()
        assert json.loads(body) == {
            "id": str(delivery.key),
            "event": "video.uploaded",
            "time": delivery.created_at.isoformat(),
            "video": {
                "id": video.pk,
                "slug": "lake",
                "title": "Lake «ä»",
                "visibility": "private",
                "address": "https://vlog.example.org/watch/lake/",
            },
        }
        assert headers["Content-Type"] == "application/json"
        assert headers["webhook-id"] == str(delivery.key)
        documented: dict = {}
        exec(RECEIVER, documented)  # noqa: S102 - of docs/webhooks.md
        assert documented["is_genuine"](webhook.secret, headers, body)
        assert not documented["is_genuine"](webhook.secret, headers, body + b" ")
        assert not documented["is_genuine"](new_webhook_secret(), headers, body)
        assert (delivery.state, delivery.tries[0]["status"]) == ("delivered", 204)
        deliver_webhooks()
        assert len(receiver.posted) == 1

    def test_500_for_a_day_is_retried_with_growing_pauses_and_then_given_up(self, webhook, receiver, clock):
        receiver.status = 500
        VideoFactory()
        begin = timezone.now()
        WebhookDelivery.objects.update(created_at=begin)
        pauses = []
        while (delivery := WebhookDelivery.objects.get()).next_at:
            pause = max(delivery.next_at, webhook.retry_at or delivery.next_at) - timezone.now()
            pauses.append(pause)
            clock(pause)
            deliver_webhooks()
            webhook.refresh_from_db()
        assert delivery.state == "failed"
        assert timezone.now() - begin == timedelta(days=1)
        assert pauses[1:-1] == sorted(pauses[1:-1])
        assert 15 < len(receiver.posted) == len(delivery.tries) < 25
        assert {one["error"] for one in delivery.tries} == {"The receiver answered 500."}
        assert len({body for _, body in receiver.posted}) == 1  # the same body and id, each time

    def test_a_receiver_that_is_back_gets_everything(self, webhook, receiver, clock):
        receiver.status = 503
        VideoFactory()
        for _ in range(20):
            VideoFactory()
            deliver_webhooks()
            clock(timedelta(seconds=10))
        assert len(receiver.posted) < 10  # one of them is tried, and the others wait
        webhook.refresh_from_db()
        assert webhook.state == "failing"
        receiver.status = 200
        clock(HOUR)
        deliver_webhooks()
        assert {delivery.state for delivery in WebhookDelivery.objects.all()} == {"delivered"}
        webhook.refresh_from_db()
        assert webhook.state == "active"

    def test_a_receiver_that_fails_does_not_hold_up_others(self, webhook, receiver):
        webhooks.create("http://192.168.0.1/", WebhookEvent.values)
        VideoFactory()
        deliver_webhooks()
        assert len(receiver.posted) == 1
        failed = WebhookDelivery.objects.get(delivered_at=None)
        assert "192.168.0.1 is not a public address." in failed.tries[0]["error"]

    def test_a_redirect_is_a_failure_and_says_so(self, webhook, receiver):
        receiver.status, receiver.location = 302, "http://169.254.169.254/latest/meta-data/"
        VideoFactory()
        deliver_webhooks()
        (delivery,) = WebhookDelivery.objects.all()
        assert (delivery.state, delivery.tries[0]["status"]) == ("pending", 302)
        assert "Enter the final address" in delivery.tries[0]["error"]

    def test_a_delivery_whose_process_is_killed_is_sent_again_under_the_same_id(self, webhook, receiver, clock):
        VideoFactory()
        (claimed,) = WebhookDelivery.objects.claim()
        webhooks._send(claimed)  # and killed before it notes that
        deliver_webhooks()
        assert len(receiver.posted) == 1
        clock(timedelta(minutes=1))
        deliver_webhooks()
        assert len({headers["webhook-id"] for headers, _ in receiver.posted}) == 1
        assert len(receiver.posted) == 2
        assert WebhookDelivery.objects.get().state == "delivered"

    def test_one_process_sends(self, webhook, receiver):
        VideoFactory()
        cache.add(webhooks.LOCK, 1, timeout=60)
        deliver_webhooks()
        assert receiver.posted == []

    def test_a_week_of_failures_disables_it_with_a_notice(self, webhook, receiver, clock, caplog):
        receiver.status = 500
        for day in range(9):
            assert Webhook.objects.get().active is (day < 8)
            VideoFactory()
            deliver_webhooks()
            clock(timedelta(days=1))
        assert Webhook.objects.get().state == "disabled after a week of failures"
        (finding,) = check_webhooks()
        assert finding.message == "the webhook to 127.0.0.1 was disabled after a week of failures"
        assert "disabled after a week of failures" in caplog.text
        assert "secret-key" not in caplog.text
        assert AuditEntry.objects.filter(action="disabled").count() == 1
        before = len(receiver.posted)
        VideoFactory()
        deliver_webhooks()
        assert len(receiver.posted) == before
        Webhook.objects.get().switch(active=True)
        assert [finding.message for finding in check_webhooks()] == ["1 webhook active"]

    def test_records_are_kept_for_thirty_days(self, webhook, receiver, clock):
        VideoFactory()
        clock(timedelta(days=29))
        deliver_webhooks()
        assert WebhookDelivery.objects.count() == 1
        clock(timedelta(days=2))
        deliver_webhooks()
        assert WebhookDelivery.objects.count() == 0

    def test_what_a_delivery_remembers_is_bounded(self, webhook):
        VideoFactory()
        (claimed,) = WebhookDelivery.objects.claim()
        for number in range(60):
            claimed.note({"status": number, "seconds": 0.1}, is_delivered=False)
        assert [one["status"] for one in WebhookDelivery.objects.get().tries] == list(range(10, 60))

    def test_sql_refuses_impossible_rows(self, webhook):
        VideoFactory()
        with pytest.raises(IntegrityError, match="ck_webhook_deliveries_delivered"), transaction.atomic():
            WebhookDelivery.objects.update(delivered_at=timezone.now())
        with pytest.raises(IntegrityError, match="ck_webhooks_events"), transaction.atomic():
            Webhook.objects.update(events=["video.eaten"])


class TestTheAdmin:
    def test_an_administrator_adds_one_and_sees_its_secret_once(self, client, administrator, receiver):
        page = client.post(f"{LIST}add/", {"address": receiver.address, "events": ["video.ready"]})
        webhook = Webhook.objects.get()
        assert webhook.secret in page.content.decode()
        assert (webhook.address, webhook.events) == (receiver.address, ["video.ready"])
        for path in (LIST, f"{LIST}{webhook.pk}/change/"):
            assert webhook.secret not in client.get(path).content.decode()
        entries = AuditEntry.objects.values_list("action", "subject", "after")
        assert webhook.secret not in str(list(entries))
        assert "secret-key" not in str(list(entries))

    def test_bad_input_is_a_sentence(self, client, administrator):
        page = client.post(f"{LIST}add/", {"address": "http://10.0.0.1/", "events": ["video.ready"]}).content.decode()
        assert "10.0.0.1 is not a public address." in page
        page = client.post(f"{LIST}add/", {"address": "x" * 600, "events": ["video.eaten"]})
        assert page.status_code == 200
        for _ in range(MAX_WEBHOOKS):
            webhooks.create("https://example.org/", ["video.ready"])
        page = client.post(f"{LIST}add/", {"address": "https://example.org/", "events": ["video.ready"]})
        assert "There are 20 webhooks already. Delete one first." in page.content.decode()

    def test_the_form_changes_it_and_switches_it(self, client, administrator, webhook):
        Webhook.objects.update(active=False, failing_since=timezone.now())
        data = {"address": "https://example.org/", "events": ["video.failed"], "active": "on"}
        assert client.post(f"{LIST}{webhook.pk}/change/", data).status_code == 302
        webhook.refresh_from_db()
        assert (webhook.address, webhook.events, webhook.state) == ("https://example.org/", ["video.failed"], "active")

    def test_a_test_a_new_secret_and_a_redelivery(self, client, administrator, webhook, receiver):
        def act(path, name, row):
            return client.post(path, {"action": name, "_selected_action": [row.pk]}, follow=True).content.decode()

        assert "A test is sent" in act(LIST, "send_test", webhook)
        deliver_webhooks()
        assert [one["event"] for one in sent_to(receiver)] == ["ping"]
        secret = webhook.secret
        page = act(LIST, "renew_secret", webhook)
        webhook.refresh_from_db()
        assert webhook.secret != secret
        assert webhook.secret in page
        delivery = WebhookDelivery.objects.get()
        assert "1 event will be sent again shortly." in act(LOG, "redeliver", delivery)
        deliver_webhooks()
        first, second = sent_to(receiver)
        assert first == second
        assert len(WebhookDelivery.objects.get().tries) == 2
        page = client.get(f"{LOG}{delivery.pk}/change/").content.decode()
        assert page.count("The receiver answered 204.") == 2
        webhook.switch(active=False)
        assert "1 event will not be sent: the webhook is not active." in act(LOG, "redeliver", delivery)
        assert "is not active. Activate it first." in act(LIST, "send_test", webhook)

    def test_the_log_makes_the_same_queries_for_any_number(
        self, client, administrator, webhook, django_assert_num_queries
    ):
        VideoFactory()
        deliver_webhooks()
        client.get(LOG)
        with django_assert_num_queries(7):
            assert "The receiver answered 204." in client.get(f"{LOG}?state=delivered").content.decode()
        VideoFactory()
        VideoFactory()
        with django_assert_num_queries(7):
            client.get(LOG)

    def test_a_webhook_is_deleted_with_its_log(self, client, administrator, webhook):
        VideoFactory()
        client.post(f"{LIST}{webhook.pk}/delete/", {"post": "yes"})
        assert not WebhookDelivery.objects.exists()
        assert AuditEntry.objects.filter(action="deleted").count() == 1


def test_no_log_line_has_the_secret(webhook, receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.status = 500
    VideoFactory()
    deliver_webhooks()
    assert webhook.secret not in caplog.text
    assert "secret-key" not in caplog.text
