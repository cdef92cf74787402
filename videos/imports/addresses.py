"""Where the file of an import comes from: a web server, the operator's object store or folders, or a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from videos.exports.targets import client_of
from videos.imports import roots
from videos.models import ImportKind
from vlog import fetching, outbound
from vlog.fetching import Fetched, Unavailable
from vlog.outbound import OutboundError

TEMPORARY = {"503", "500", "SlowDown", "InternalError", "RequestTimeout"}
NO_STORE = "Addresses that begin with s3:// must begin with {}, the store that the operator allows."
NOT_ALLOWED = "Addresses that begin with s3:// are not allowed here: VLOG_IMPORT_STORE names the store that is."
NO_PAGES = "Pages cannot be imported here: the operator has not set VLOG_YT_DLP."


def kind_of(address: str, *, is_page: bool) -> ImportKind:
    """Return how an address is fetched. Raises OutboundError where it may not be, as far as it tells."""
    if address.startswith("s3://"):
        allowed = settings.IMPORTS.store_address
        key = address.removeprefix(allowed) if allowed else ""
        if not allowed or not address.startswith(allowed) or not key or ".." in PurePosixPath(key).parts:
            raise OutboundError(NO_STORE.format(allowed) if allowed else NOT_ALLOWED)
        return ImportKind.STORE
    if address.startswith(roots.SCHEME):
        roots.located(address)
        return ImportKind.FOLDER
    fetching.check(address, outbound.IMPORTS)
    if is_page and not settings.IMPORTS.pages:
        raise OutboundError(NO_PAGES)
    return ImportKind.PAGE if is_page else ImportKind.HTTP


@contextmanager
def opened(address: str, kind: str, offset: int, validator: str) -> Iterator[Fetched]:
    """Open a file, or the rest of it behind an offset. Raises OutboundError."""
    kind_of(address, is_page=False)  # the settings may have changed
    if kind == ImportKind.STORE:
        yield _object(address, offset, validator)
        return
    with fetching.fetch(address, outbound.IMPORTS, offset=offset, validator=validator) as found:
        yield found


def _object(address: str, offset: int, validator: str) -> Fetched:
    options = settings.IMPORTS.store
    place = {"Bucket": options["bucket_name"], "Key": address.removeprefix(f"s3://{options['bucket_name']}/")}
    client = client_of(options)
    with _told():
        head = client.head_object(**place)
        tag, size = str(head["ETag"]), int(head["ContentLength"])
        start = offset if validator == tag and offset < size else 0
        body = client.get_object(**place, IfMatch=tag, **({"Range": f"bytes={start}-"} if start else {}))["Body"]
    return Fetched(_ObjectBody(body), start, size, tag, PurePosixPath(place["Key"]).name)


class _ObjectBody:
    def __init__(self, body: Any) -> None:
        self.body = body

    def read(self, size: int, /) -> bytes:
        with _told():
            return bytes(self.body.read(size))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response["Error"].get("Code", ""))
        if code in TEMPORARY:
            raise Unavailable(f"The object store is busy ({code}).") from error
        raise OutboundError(f"The object store refused it ({code}): check the address.") from error
    except (BotoCoreError, OSError) as error:
        raise Unavailable("The object store does not answer.") from error
