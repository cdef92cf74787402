"""Who may watch a video: set it now or from a moment on, apply what is due, share a private video with guests.

A trigger gives a video that fewer people may watch another media key; its files follow right after the commit.
"""

import logging
import math
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models import ShareLink, Video, Visibility, VisibilityChange
from videos.storage import paths, placement
from vlog import audit
from vlog.models import Via

MAX_PASSWORD = 200  # characters
MAX_PLANNED = 20  # changes of one video
MAX_LINKS = 100  # valid ones of one video

log = logging.getLogger(__name__)


class PublicationError(ValueError):
    """The visibility or the schedule is impossible; the message says why, for the editor.

    field: the one of the form that the message is about.
    """

    def __init__(self, message: str, field: str = "visibility") -> None:
        super().__init__(message)
        self.field = field


def set_visibility(
    video: Video, visibility: str, *, password: str = "", at: datetime | None = None, until: datetime | None = None
) -> str:
    """Set who may watch a video, now or from `at` on; after `until` it is private. Returns what to tell the editor.

    A change now cancels those that were planned. One that is planned replaces those between `at` and `until`.
    password: needed for a video that has none. Raises PublicationError.
    """
    check(video, visibility, password=password, at=at, until=until)
    with transaction.atomic():
        video = Video.objects.select_for_update(no_key=True).get(pk=video.pk)
        _apply(video)
        hashed = make_password(password) if password else video.password
        hashed = hashed if visibility == Visibility.PASSWORD else ""
        replaced = video.changes.filter(at__range=(at, until or at)) if at else video.changes.all()
        cancelled = [str(change) for change in replaced]
        replaced.delete()
        if at is None:
            _write(video, visibility, hashed)
        else:
            _plan(video, visibility, hashed, at)
        if until is not None:
            _plan(video, Visibility.PRIVATE, "", until)
        transaction.on_commit(lambda: paths.forget_open(video.pk), robust=True)
    return _message(video, visibility, at, until, cancelled)


def check(
    video: Video, visibility: str, *, password: str = "", at: datetime | None = None, until: datetime | None = None
) -> None:
    """Raise PublicationError if `set_visibility` would."""
    now = timezone.now()
    if at is not None and at <= now:
        raise PublicationError(
            _("%(at)s is in the past. To change the visibility now, give no time.") % {"at": _moment(at)},
            "visible_from",
        )
    if until is not None and until <= (at or now):
        raise PublicationError(
            _("The visibility would end at %(until)s, before it begins. Give a later end.") % {"until": _moment(until)},
            "visible_until",
        )
    if until is not None and visibility == Visibility.PRIVATE:
        raise PublicationError(_("A private video stays private after the end, so give no end."), "visible_until")
    if password and visibility != Visibility.PASSWORD:
        raise PublicationError(_("Only a video with the visibility “password” has a password."))
    if len(password) > MAX_PASSWORD:
        raise PublicationError(
            _("A password has %(max_password)s characters at most.") % {"max_password": MAX_PASSWORD}, "new_password"
        )
    if visibility == Visibility.PASSWORD and not password and not video.in_force().password:
        raise PublicationError(_("Give a password: the video has none yet."), "new_password")


def _write(video: Video, visibility: str, password: str, published_at: datetime | None = None) -> None:
    """Write the visibility to the row of a video, which is locked, and to the audit log."""
    if (video.visibility, video.password) == (visibility, password):
        return
    after: dict[str, Any] = {"visibility": visibility}
    if password and video.password:
        after["is_password_new"] = True
    by: dict[str, Any] = {"actor": audit.SITE, "via": Via.SCHEDULE} if published_at else {}
    audit.record("set the visibility of", subject=video, before={"visibility": video.visibility}, after=after, **by)
    video.visibility, video.password = visibility, password
    video.published_at = video.published_at or published_at  # the trigger keeps it if the video is public
    video.save(update_fields=["visibility", "password", "published_at"])
    placement.relocate_after_commit(video.pk)


def _plan(video: Video, visibility: str, password: str, at: datetime) -> None:
    if video.changes.count() >= MAX_PLANNED:
        raise PublicationError(
            _("%(max_planned)s changes of this video are planned already. Cancel some first.")
            % {"max_planned": MAX_PLANNED}
        )
    video.changes.create(at=at, visibility=visibility, password=password)
    after = {"visibility": visibility, "from": at}
    audit.record("planned the visibility of", subject=video, after=after)


def cancel_planned(video: Video) -> int:
    """Cancel all changes that were planned; returns their number. Those that are due are applied instead."""
    with transaction.atomic():
        video = Video.objects.select_for_update(no_key=True).get(pk=video.pk)
        _apply(video)
        before = {"planned": [str(change) for change in video.changes.all()]}
        if number := video.changes.all().delete()[0]:
            audit.record("cancelled the planned visibility of", subject=video, before=before)
    return number


def apply_due() -> int:
    """Write the visibility of each change that is due to its video; returns the number of videos."""
    video_ids = set(VisibilityChange.objects.due().values_list("video", flat=True))
    for video_id in sorted(video_ids):
        with transaction.atomic():
            video = Video.objects.select_for_update(no_key=True).filter(pk=video_id).first()
            if video is not None:
                _apply(video)
    return len(video_ids)


def _apply(video: Video) -> None:
    """Apply the due changes of a video, which is locked, one after the other: each has counted for some time."""
    for change in video.changes.due():
        _write(video, change.visibility, change.password, published_at=change.at)
        log.info("«%s» is %s since %s", video, change.visibility, _moment(change.at))
        change.delete()


def next_changes(seconds: float) -> list[datetime]:
    """Return the moments of changes within so many seconds from now."""
    now = timezone.now()
    ahead = VisibilityChange.objects.filter(at__gt=now, at__lte=now + timedelta(seconds=seconds))
    return list(ahead.order_by("at").values_list("at", flat=True).distinct())


def seconds_to_next_change() -> float:
    """Return how long pages stay as they are, if no row is written: until the next change of any video's visibility."""
    ahead = VisibilityChange.objects.filter(at__gt=Now()).order_by("at").annotate(wait=F("at") - Now())
    wait = ahead.values_list("wait", flat=True).first()
    return wait.total_seconds() if wait else math.inf


def share(video: Video, name: str, days: int) -> tuple[str, ShareLink]:
    """Make a link for guests; returns its token, which cannot be shown again, and its row. Raises PublicationError."""
    if ShareLink.objects.valid().filter(video=video).count() >= MAX_LINKS:
        raise PublicationError(
            _("This video has %(max_links)s links already. Revoke some first.") % {"max_links": MAX_LINKS}
        )
    with transaction.atomic():
        token, link = ShareLink.objects.issue(video, name, timezone.now() + timedelta(days=days))
        after = {"link": link.key_prefix, "for": name, "expires": link.expires_at}
        audit.record("shared", subject=video, after=after)
    return token, link


def stop_sharing(link: ShareLink) -> bool:
    """Revoke a link: with the next request its guests get nothing more. False where it was revoked before."""
    with transaction.atomic():
        if revoked := link.revoke():
            audit.record("revoked a link of", subject=link.video, before={"link": link.key_prefix, "for": link.name})
    return revoked


def _message(video: Video, visibility: str, at: datetime | None, until: datetime | None, cancelled: list[str]) -> str:
    what = "behind a password" if visibility == Visibility.PASSWORD else visibility
    when = f"will be {what} from {_moment(at)} on" if at else f"is {what} now"
    end = f", and private from {_moment(until)} on" if until else ""
    sentence = f"«{video}» {when}{end}."
    return f"{sentence} Cancelled: {'; '.join(cancelled)}." if cancelled else sentence


def _moment(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"
