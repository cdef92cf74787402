"""Signed grants: who may have the files of a video that not everybody may watch.

A grant stands in addresses, before the name of the file, so that the relative addresses in a playlist carry it, too:

    /media/<package>/<grant>/720p/00001.m4s

It says who got it: an editor (`e` and the account's id), a guest with a link (`l` and the link's id), or a person who
knew the password (`p` and the version of the password). It is good for twelve hours at most, and each request asks the
rows whether that is still right: a revoked link or a new password ends it with the next request.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256

from django.contrib.auth.models import AnonymousUser, User
from django.core.signing import BadSignature, TimestampSigner

from videos.models import FileVersion, ShareLink, Video, Visibility

LIFETIME = timedelta(hours=12)
COLUMNS = (
    *("media_key", "package_number", "version_of"),
    *("watchable", "deleted_at", "visibility", "password", "changes_at"),
)


def for_editor(user: User | AnonymousUser, video: Video) -> str:
    return _signer(video.pk).sign(f"e{user.pk}")


def for_link(link: ShareLink) -> str:
    return _signer(link.video_id).sign(f"l{link.pk}")


def for_password(video: Video) -> str:
    """Return the grant of a person who knows the password of the video."""
    return _signer(video.pk).sign(f"p{_version(video.in_force().password)}")


def may_preview(user: User | AnonymousUser, video: Video) -> bool:
    """Whether the user may see this video while it is not public."""
    may_see = user.is_staff and user.has_perm("videos.view_video")
    return may_see and Video.objects.for_editor(user).filter(pk=video.pk).exists()


def admits(grant: str, video: Video) -> bool:
    """Whether a grant opens the video now. Any text is valid."""
    try:
        text = _signer(video.pk).unsign(grant, max_age=LIFETIME)
    except BadSignature:
        return False
    return HOLDERS[text[0]](text[1:], video)


def video_at(package: str, grant: str = "") -> Video | None:
    """Return the video of a package whose files this address may open, or None. package: `<id>-<key>`."""
    number, _, key = package.partition("-")
    video = Video.objects.not_archived().in_package(number).filter(media_key=key).only(*COLUMNS).first()
    if video is not None and video.version_of_id is not None:
        return _replaced_at(video, grant)
    return video if video and (video.is_open or (grant and admits(grant, video))) else None


def _replaced_at(holder: Video, grant: str) -> Video | None:
    """Return the row that holds a replaced version, whose files stay open to players that began to play them.

    They are open to those who may watch the video, until it changes who may: then the package gets another key.
    """
    replaced = FileVersion.objects.replaced().filter(holder=holder)
    video = Video.objects.not_archived().filter(file_versions__in=replaced).only(*COLUMNS).first()
    if video is None or video.in_force() is not video or not (video.is_open or (grant and admits(grant, video))):
        return None
    holder.changes_at = video.changes_at  # by which the package may be noted as open
    return holder


def _admits_editor(user_id: str, video: Video) -> bool:
    user = User.objects.filter(pk=user_id, is_active=True).first()
    return user is not None and may_preview(user, video)


def _admits_guest(link_id: str, video: Video) -> bool:
    return video.watchable and ShareLink.objects.valid().filter(pk=link_id, video=video).exists()


def _admits_password(version: str, video: Video) -> bool:
    now = video.in_force()
    return video.watchable and now.visibility == Visibility.PASSWORD and version == _version(now.password)


HOLDERS: Mapping[str, Callable[[str, Video], bool]] = {
    "e": _admits_editor,
    "l": _admits_guest,
    "p": _admits_password,
}


def _signer(video_id: int) -> TimestampSigner:
    return TimestampSigner(sep=".", salt=f"videos.grants:{video_id}")


def _version(password: str) -> str:
    """Return a name of a password that is another one for each new password: its hash has a salt."""
    return sha256(password.encode()).hexdigest()[:12]
