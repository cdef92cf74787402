"""Imports by address: asked for, transferred into an upload, and finished as an upload is.

A transfer is continued where it broke off, if the server can do that. Whatever happens, an import ends with a video or
with a sentence, and one that has failed leaves no bytes.
"""

import logging
import time
from contextlib import suppress
from functools import partial
from typing import Any, cast

from django.contrib.auth.models import User
from django.db import transaction
from rest_framework.exceptions import ValidationError

from transcoding.queue.disk_quota import InsufficientSpace
from transcoding.queue.wakeups import send
from videos.imports import addresses, pages, roots
from videos.imports.details import of_upload
from videos.imports.folder import Refused
from videos.imports.pages import PageError
from videos.imports.taking import Known, Options, take
from videos.models import Import, ImportKind, Upload, WrongCategory, category_for
from videos.models.imports import MAX_UNFINISHED, WAITS
from videos.uploads import completion, details, reservation, transfer
from videos.uploads.completion import UploadError, clean
from videos.uploads.transfer import Body, Finished, Gone, Interrupted, InUse, TooMuch, WrongOffset
from vlog import audit
from vlog.celery import app
from vlog.fetching import Fetched, Readable, Unavailable
from vlog.outbound import OutboundError

SLICE_SECONDS = 60  # after which another import has its turn, if the rest can be asked for
TICK_SECONDS = 2  # between two looks at the row
SLOW_SECONDS, SLOWEST = 120, 4096  # a server that brings fewer bytes a second for so long is given up for now
SHORT = "The connection ended before all bytes had come."
TOO_SLOW = f"The server brings fewer than {SLOWEST} bytes a second."
TOO_MANY = f"You have {MAX_UNFINISHED} imports that have not ended, and no more are possible. Wait, or cancel some."

log = logging.getLogger(__name__)


class Cancelled(Exception):
    """The owner has cancelled the import, or another process has it."""


class TurnOver(Exception):
    """Another import waits, and this one can be continued."""


class TooMany(OutboundError):
    """The account has as many imports as it may have."""


def ask(owner: User, address: str, fields: dict[str, Any], *, via: str, is_page: bool = False) -> Import:
    """Ask for the import of an address. fields: the details of an upload, validated.

    Raises OutboundError, TooMany and WrongCategory.
    """
    kind = addresses.kind_of(address, is_page=is_page)
    category = category_for(owner, fields.get("category"))
    kept = {name: value for name, value in fields.items() if name != "category"}
    kept["category"] = category.slug if category else ""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # two requests at once are counted
        if Import.objects.of(owner).unfinished().count() >= MAX_UNFINISHED:
            raise TooMany(TOO_MANY)
        Import.objects.of(owner).forget_oldest()
        row = Import.objects.create(owner=owner, address=address, kind=kind, details=kept, via=via)
        audit.record("asked for", subject=row)
        _wake()
    return row


def _wake() -> None:
    """Have a worker look for imports, after the commit; beat does so, too."""
    transaction.on_commit(partial(send, app.signature("videos.tasks.run_imports")))


def run() -> int:
    """Transfer what waits, until nothing is ready; returns how many imports had their turn."""
    number = 0
    while (row := Import.objects.claim()) is not None:
        number += 1
        with audit.on_behalf_of(row.owner, row.via):
            _run(row)
    return number


def cancel(row: Import) -> bool:
    """End an import at the wish of its owner, with what has arrived; False where it has ended."""
    if not row.cancel():
        return False
    _discard(row)
    return True


def retry(row: Import) -> bool:
    """Begin again what failed or was cancelled; False for others."""
    if not row.retry():
        return False
    _wake()
    return True


def _run(row: Import) -> None:
    """Give an import its turn, and note how it ended."""
    try:
        WORK.get(ImportKind(row.kind), _file)(row)
    except Cancelled:
        row.refresh_from_db()
        if not row.is_unfinished:
            _discard(row)
    except TurnOver:
        row.wait()
    except (InUse, Unavailable, Interrupted) as error:
        _retry(row, SHORT if isinstance(error, Interrupted) else str(error) or "Its file is in use.")
    except ENDS as error:
        _fail(row, _sentence(error))


# What ends an import, with a sentence for its owner.
ENDS = (
    OutboundError, reservation.Refused, InsufficientSpace, WrongCategory, ValidationError, UploadError, PageError,
    Refused, WrongOffset, TooMuch, Gone, Known,
)  # fmt: skip


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(cast(dict[str, Any], error.detail).get("detail", error))
    if isinstance(error, Known):
        return f"There is a video of this content already: {error}."
    return str(error) or "What had arrived is gone. Retry it."


def _retry(row: Import, error: str) -> None:
    """Let an import wait before its next try, or end it after the last one."""
    if row.tries >= len(WAITS):
        _fail(row, f"{error} It was tried {row.tries + 1} times.")
        return
    row.wait(WAITS[row.tries], error, row.tries + 1)


def _fail(row: Import, error: str) -> None:
    log.info("the import of %s has failed: %s", row, error)
    upload = row.upload
    if row.fail(error) and upload is not None:
        _discard_upload(upload)


def _discard(row: Import) -> None:
    if row.upload is not None and row.upload.finished_at is None:
        _discard_upload(row.upload)


def _discard_upload(upload: Upload) -> None:
    with suppress(InUse):  # its transfer notices within seconds, and discards it
        transfer.discard(upload)


def _file(row: Import) -> None:
    """Transfer a file, or the rest of it, and make its video."""
    upload = row.upload
    if upload is not None and _is_finished(row, upload):
        return
    offset = transfer.offset_of(upload) if upload else 0
    with addresses.opened(row.address, row.kind, offset, row.validator) as found:
        if upload is not None and (found.size != upload.size or found.offset != offset):
            if found.offset:
                raise Unavailable("The file has changed meanwhile.")  # the next try begins again
            _begin_again(row, upload)
            upload = None
        upload = upload or _begin(row, found)
        _transfer(row, upload, found)


def _is_finished(row: Import, upload: Upload) -> bool:
    """Finish an import whose process was killed after the last byte; False where bytes are missing."""
    if upload.finished_at is None and transfer.offset_of(upload) == upload.size:
        with suppress(Finished), transfer.locked(upload):
            completion.complete(upload)
    if upload.finished_at is not None:
        row.finish(upload.video_id, upload.notes)
        return True
    return False


def _begin_again(row: Import, upload: Upload) -> None:
    if not row.note(upload=None, validator=""):
        raise Cancelled
    _discard_upload(upload)


def _begin(row: Import, found: Fetched) -> Upload:
    """Begin the upload of a file whose size is known. Raises what `reservation.begin` raises, and ValidationError."""
    columns = details.validated(row.details, row.owner)
    name = clean(found.name)
    upload = reservation.begin(row.owner, found.size, name=name, **columns)
    if not row.note(upload=upload, validator=found.validator, name=name):
        _discard_upload(upload)
        raise Cancelled
    return upload


def _transfer(row: Import, upload: Upload, found: Fetched) -> None:
    start = transfer.offset_of(upload)
    metered = Metered(row, found.body, can_pause=bool(found.validator))
    try:
        with transfer.locked(upload) as file:
            transfer.receive(upload, file, Body(metered, upload.size - start, start))
            completion.complete(upload)
    except Finished:
        upload.refresh_from_db()
    finally:
        if metered.received:
            row.tries = 0  # there was progress
    row.finish(upload.video_id, upload.notes)


class Metered:
    """The bytes of a transfer: renews the lease, ends at a cancellation, a turn's end and a rate that is too low."""

    def __init__(self, row: Import, body: Readable, *, can_pause: bool) -> None:
        self.row, self.body, self.can_pause = row, body, can_pause
        self.received = 0
        self.began = self._looked = self._measured = time.monotonic()
        self._counted = 0

    def read(self, size: int, /) -> bytes:
        now = time.monotonic()
        if now - self._looked >= TICK_SECONDS:
            self._looked = now
            self._look(now)
        block = self.body.read(size)
        self.received += len(block)
        return block

    def _look(self, now: float) -> None:
        if not self.row.renew():
            raise Cancelled
        is_over = self.can_pause and self.received and now - self.began >= SLICE_SECONDS
        if is_over and Import.objects.exclude(pk=self.row.pk).due():
            raise TurnOver
        if now - self._measured >= SLOW_SECONDS:
            if self.received - self._counted < SLOWEST * SLOW_SECONDS:
                raise Unavailable(TOO_SLOW)
            self._measured, self._counted = now, self.received


class Lease:
    """Renews the lease of an import while a file is copied, and ends it after a cancellation."""

    def __init__(self, row: Import) -> None:
        self.row, self._looked = row, time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._looked >= TICK_SECONDS:
            self._looked = now
            if not self.row.renew():
                raise Cancelled


def _folder(row: Import) -> None:
    """Make a video of a file in a folder of the operator, as the command does."""
    entry = roots.entry(row.address)
    row.note(name=clean(entry.path.name))
    fields = details.validated(row.details, row.owner)
    try:
        taken = take(entry, of_upload(fields), Options(tick=Lease(row)))
    except Known as known:
        if row.attempt > 1 and known.video.created_at >= row.created_at:
            row.finish(known.video.pk)  # the process of the attempt before was killed after the commit
            return
        raise
    row.finish(taken.video.pk if taken.video else None, "\n".join(taken.notes))


def _page(row: Import) -> None:
    """Fetch the video of a page with the operator's program, and make a video of it."""

    def goes_on() -> bool:
        return row.renew()

    video, notes = pages.fetch(row.address, details.validated(row.details, row.owner), goes_on)
    if video is None:
        raise Cancelled
    row.note(name=video.source_name)
    row.finish(video.pk, "\n".join(notes))


WORK = {ImportKind.PAGE: _page, ImportKind.FOLDER: _folder}
