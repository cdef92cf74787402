"""The beginning of an upload: how large it may be, how many there may be, and the bytes that it reserves."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from videos.models import Upload
from videos.uploads import sidecars, transfer
from vlog.disk import readable

MAX_UNFINISHED = 1000  # of one account
LARGEST = 2**62  # bytes; no disk is larger, and more would not fit the columns of the database


class Refused(Exception):
    """The upload may not begin; the message says why and what to do."""


class TooLarge(Refused):
    pass


class TooMany(Refused):
    pass


def begin(owner: User, size: int, **columns: Any) -> Upload:
    """Begin an upload: its row, and its file with the announced bytes allocated.

    Raises Refused where it may not begin, and InsufficientSpace where it does not fit now.
    """
    if not size:
        raise Refused("The file is empty (0 bytes). Check that it plays on your computer, then send it again.")
    if size > LARGEST:
        raise TooLarge("No disk takes a file of this size. Send the length of the file in bytes as Upload-Length.")
    upload = Upload(owner=owner, size=size, **columns)
    if sidecars.is_one(upload) and size > sidecars.MAX_BYTES:
        raise TooLarge(
            f"{upload.name} is larger than {readable(sidecars.MAX_BYTES)}, the most for captions and pictures."
        )
    with transaction.atomic():
        transfer.begin(upload)  # uploads that begin at once wait for each other here, so they can be counted
        if Upload.objects.of(owner).unfinished().count() > MAX_UNFINISHED:
            transfer.path_of(upload).unlink()
            raise TooMany(
                f"You have {MAX_UNFINISHED} unfinished uploads, and no more are possible. Finish or discard some."
            )
    return upload
