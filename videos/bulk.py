"""Edits of many videos at once: changed one by one, continued by another process after a kill, and undone.

A video and its row of `bulk_edit_items` change in one transaction, so nothing is done twice, however often `run` is
called.
"""

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from math import inf
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from transcoding import tasks
from transcoding.models import TranscodingJob
from transcoding.operations import control
from transcoding.queue.wakeups import send
from videos import archive, editing, history, publication, uploads
from videos.models import (
    BulkAction,
    BulkEdit,
    BulkItem,
    BulkState,
    Category,
    FeaturedVideo,
    Playlist,
    PlaylistFull,
    Tag,
    Video,
    Visibility,
)
from videos.publication import PublicationError
from vlog import audit
from vlog.celery import app
from vlog.models import Via

AT_ONCE = 50  # videos that a request changes itself; more are changed in the background
MAX_VIDEOS = 10_000  # of one edit
MAX_FOLLOWING = 50  # videos that are remembered with one that is removed from a playlist
KEPT = timedelta(days=7)
CHANGED_SINCE = "It was changed since."
UNDOABLE = {
    BulkAction.VISIBILITY,
    BulkAction.CATEGORY,
    BulkAction.ADD_TAGS,
    BulkAction.REMOVE_TAGS,
    BulkAction.ADD_TO_PLAYLIST,
    BulkAction.REMOVE_FROM_PLAYLIST,
    BulkAction.FEATURE,
    BulkAction.UNFEATURE,
    BulkAction.ARCHIVE,
}

Values = dict[str, Any]


class Skip(Exception):
    """A video is left as it is; the message says why."""


def begin(user: User, action: BulkAction, parameters: Values, videos: Iterable[tuple[int, int | None]]) -> BulkEdit:
    """Write down an edit of these videos, and begin it; it may still run in the background afterwards.

    videos: each id with the version that the editor saw, None if they did not see the video.
    """
    with transaction.atomic():
        old = BulkEdit.objects.filter(user=user, created_at__lt=timezone.now() - KEPT)
        old.exclude(finished_at=None).delete()
        edit = BulkEdit.objects.create(user=user, action=action, parameters=parameters)
        rows = (BulkItem(edit=edit, video_id=pk, version=version) for pk, version in videos)
        number = len(BulkItem.objects.bulk_create(rows, batch_size=5000))
    _start(edit, number)
    return edit


def undo(edit: BulkEdit) -> bool:
    """Put back what an edit has changed, where no other change was made since; False where that is not possible now."""
    if edit.action not in UNDOABLE or not edit.begin_undo():
        return False
    _start(edit, edit.items.filter(state=BulkState.CHANGED).count())
    return True


def _start(edit: BulkEdit, number: int) -> None:
    if number > AT_ONCE:
        continue_later(edit.pk)
    else:
        run(edit.pk)


def continue_later(edit_id: int) -> None:
    """Send the message that wakes a worker. If it is lost, beat sends another one."""
    transaction.on_commit(partial(send, app.signature("videos.tasks.run_bulk_edits", (edit_id,))))


def run(edit_id: int, seconds: float = inf) -> None:
    """Change the videos of an edit that are left, or put them back where it is undone.

    seconds: after which the rest is left to another task, so that no worker is occupied for long.
    """
    edit = BulkEdit.objects.unfinished().select_related("user").filter(pk=edit_id).first()
    if edit is None:
        return
    end = time.monotonic() + seconds
    with audit.on_behalf_of(edit.user, Via.LIST):
        while _work_on_next(edit):
            if time.monotonic() > end:
                continue_later(edit.pk)
                return
    if not BulkItem.objects.left(edit).exists():  # no other process works on the last ones
        edit.finish()


def _work_on_next(edit: BulkEdit) -> bool:
    """Work on one video that no other process works on; False where there is none."""
    with transaction.atomic():
        items = BulkItem.objects.left(edit).select_for_update(of=("self",), skip_locked=True)
        item = items.order_by("pk").first()
        if item is None:
            return False
        do, reset = ACTIONS[BulkAction(edit.action)]
        try:
            with transaction.atomic():
                if edit.undone_at and reset:
                    reset(item, edit)
                    item.restore()
                else:
                    item.change(do(item, edit))
        except (Skip, PlaylistFull, control.Refused, PublicationError) as error:
            item.skip(str(error))
    return True


def _locked(item: BulkItem, edit: BulkEdit) -> Video:
    """Return the video of an item, locked. Raises Skip where it is gone, or is not what the editor saw."""
    videos = Video.objects.not_archived().select_for_update(of=("self",), no_key=True)
    video = videos.select_related("category").filter(pk=item.video_id).first()
    if video is None:
        raise Skip("It is archived or gone.")
    if item.version not in (None, video.version) and not edit.undone_at:
        raise Skip("It was changed after the list was loaded.")
    return video


def _set_visibility(item: BulkItem, edit: BulkEdit) -> Values:
    video = _locked(item, edit)
    before = _publication_of(video)
    at, until = (_moment(edit.parameters.get(name)) for name in ("at", "until"))
    publication.set_visibility(video, edit.parameters["visibility"], at=at, until=until)
    return {"before": before, "after": _publication_of(Video.objects.get(pk=video.pk))}


def _put_visibility_back(item: BulkItem, edit: BulkEdit) -> None:
    video, before = _locked(item, edit), (item.before or {})["before"]
    if _publication_of(video) != (item.before or {})["after"]:
        raise Skip(CHANGED_SINCE)
    if Visibility.PASSWORD in (before["visibility"], *(visibility for _, visibility in before["planned"])):
        raise Skip("It had a password, which only its page can set again.")
    publication.set_visibility(video, before["visibility"])
    for at, visibility in before["planned"]:
        if moment := _moment(at):
            publication.set_visibility(video, visibility, at=moment)


def _publication_of(video: Video) -> Values:
    planned = [[change.at.isoformat(), change.visibility] for change in video.changes.order_by("at")]
    return {"visibility": video.visibility, "planned": planned}


def _moment(text: str | None) -> datetime | None:
    """Return a moment ahead; None for one that has passed, so that it counts as now."""
    moment = datetime.fromisoformat(text) if text else None
    return moment if moment and moment > timezone.now() else None


def _set_category(item: BulkItem, edit: BulkEdit) -> Values:
    video = _locked(item, edit)
    return {"category": _write_category(video, edit.parameters["category"])}


def _put_category_back(item: BulkItem, edit: BulkEdit) -> None:
    video = _locked(item, edit)
    if video.category_id != edit.parameters["category"]:
        raise Skip(CHANGED_SINCE)
    _write_category(video, (item.before or {})["category"])


def _write_category(video: Video, category_id: int | None) -> int | None:
    """Set the category of a locked video; returns the one of before."""
    before = video.category_id
    category = Category.objects.filter(pk=category_id).first() if category_id else None
    if category_id and category is None:
        raise Skip("The category was deleted.")
    if before != category_id:
        with history.recorded(video):
            editing.change(video, {"category": category})
    return before


def _add_tags(item: BulkItem, edit: BulkEdit) -> Values:
    video = _locked(item, edit)
    wanted = uploads.tags_named(edit.parameters["tags"])
    return {"tags": _write_tags(video, add={tag.pk for tag in wanted})}


def _remove_tags(item: BulkItem, edit: BulkEdit) -> Values:
    video = _locked(item, edit)
    names = {name.casefold() for name in edit.parameters["tags"]}
    return {"tags": _write_tags(video, remove={tag.pk for tag in video.tags.all() if tag.name.casefold() in names})}


def _take_tags_back(item: BulkItem, edit: BulkEdit) -> None:
    _write_tags(_locked(item, edit), remove=set((item.before or {})["tags"]))


def _give_tags_back(item: BulkItem, edit: BulkEdit) -> None:
    kept = Tag.objects.filter(pk__in=(item.before or {})["tags"])
    _write_tags(_locked(item, edit), add=set(kept.values_list("pk", flat=True)))


def _write_tags(video: Video, add: set[int] = frozenset(), remove: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    """Add and remove tags of a locked video; returns the ids of those that this changed."""
    present = set(video.tags.values_list("pk", flat=True))
    add, remove = add - present, remove & present
    if add or remove:
        with history.recorded(video):
            video.tags.add(*add)
            video.tags.remove(*remove)
    return sorted(add | remove)


def _add_to_playlist(item: BulkItem, edit: BulkEdit) -> Values:
    video = _locked(item, edit)
    return {"added": bool(_playlist_of(edit).add([video.pk]))}


def _remove_from_playlist(item: BulkItem, edit: BulkEdit) -> Values:
    """Remove a video; the next ones in the playlist say where it goes when that is undone."""
    video = _locked(item, edit)
    playlist = _playlist_of(edit)
    order = playlist.order()
    following = order[order.index(video.pk) + 1 :] if video.pk in order else []
    return {"removed": bool(playlist.remove([video.pk])), "before": following[:MAX_FOLLOWING]}


def _take_out_of_playlist(item: BulkItem, edit: BulkEdit) -> None:
    video = _locked(item, edit)
    if (item.before or {})["added"]:
        _playlist_of(edit).remove([video.pk])


def _put_into_playlist(item: BulkItem, edit: BulkEdit) -> None:
    video, before = _locked(item, edit), item.before or {}
    if before["removed"]:
        playlist = _playlist_of(edit)
        present = set(playlist.order())
        playlist.add([video.pk], before=next((pk for pk in before["before"] if pk in present), None))


def _playlist_of(edit: BulkEdit) -> Playlist:
    """Return the playlist of an edit, locked; the video is locked before it."""
    playlist = Playlist.objects.select_for_update(no_key=True).filter(pk=edit.parameters["playlist"]).first()
    if playlist is None:
        raise Skip("The playlist was deleted.")
    return playlist


def _feature(item: BulkItem, edit: BulkEdit) -> Values:
    return {"changed": _write_featured(_locked(item, edit), edit.action == BulkAction.FEATURE)}


def _feature_as_before(item: BulkItem, edit: BulkEdit) -> None:
    if (item.before or {})["changed"]:
        _write_featured(_locked(item, edit), edit.action != BulkAction.FEATURE)


def _write_featured(video: Video, is_featured: bool) -> bool:
    """Feature a video, or no longer; False where it was so already."""
    verb = FeaturedVideo.objects.feature if is_featured else FeaturedVideo.objects.withdraw
    if changed := bool(verb([video.pk])):
        audit.record("featured" if is_featured else "stopped featuring", subject=video)
    return changed


def _transcribe(item: BulkItem, edit: BulkEdit) -> None:
    if not tasks.transcribe_again(_job_of(item)):
        raise Skip("It cannot be transcribed now: it is not ready, has no audio, or is being transcribed.")


def _encode(item: BulkItem, edit: BulkEdit) -> None:
    control.re_encode(_job_of(item))


def _job_of(item: BulkItem) -> TranscodingJob:
    """Return the job of a video that is not locked: every writer that locks both begins with the job."""
    job = TranscodingJob.objects.filter(video=item.video_id, video__deleted_at=None).first()
    if job is None:
        raise Skip("It is archived or gone.")
    return job


def _archive(item: BulkItem, edit: BulkEdit) -> None:
    if not archive.archive(item.video_id, edit.user.get_username(), version=item.version):
        raise Skip("It is archived already, or was changed after the list was loaded.")


def _restore(item: BulkItem, edit: BulkEdit) -> None:
    if archive.restore(item.video_id) is None:
        raise Skip("It is no longer in the archive.")


# What is done with a video, which returns what it was before, and what puts that back.
ACTIONS: dict[BulkAction, tuple[Callable[[BulkItem, BulkEdit], Any], Callable[[BulkItem, BulkEdit], None] | None]] = {
    BulkAction.VISIBILITY: (_set_visibility, _put_visibility_back),
    BulkAction.CATEGORY: (_set_category, _put_category_back),
    BulkAction.ADD_TAGS: (_add_tags, _take_tags_back),
    BulkAction.REMOVE_TAGS: (_remove_tags, _give_tags_back),
    BulkAction.ADD_TO_PLAYLIST: (_add_to_playlist, _take_out_of_playlist),
    BulkAction.REMOVE_FROM_PLAYLIST: (_remove_from_playlist, _put_into_playlist),
    BulkAction.FEATURE: (_feature, _feature_as_before),
    BulkAction.UNFEATURE: (_feature, _feature_as_before),
    BulkAction.TRANSCRIBE: (_transcribe, None),
    BulkAction.ENCODE: (_encode, None),
    BulkAction.ARCHIVE: (_archive, _restore),
}
