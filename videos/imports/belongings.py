"""What an export says of a video beside its columns: captions, chapters, old addresses, links, what is planned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from videos.models import (
    AudioTrack,
    CaptionTrack,
    CaptionVersion,
    Chapter,
    Cue,
    FeaturedVideo,
    FileVersion,
    ShareLink,
    Transcription,
    Video,
    VideoSlug,
    Visibility,
    VisibilityChange,
)
from videos.models.caption_versions import as_row

Row = Mapping[str, Any]
Texts = tuple[Row, list[Cue], list[tuple[Row, list[Cue]]]]  # of a track: the document, its cues, those of its versions
NO_PASSWORD = "its password is not in the export"  # noqa: S105 - a sentence


def add(video: Video, document: Row, texts: Sequence[Texts]) -> list[str]:
    """Add the rows of a new video; returns a sentence about each that is left out."""
    Chapter.objects.filter(video=video).delete()  # those of its description
    Chapter.objects.bulk_create(Chapter(video=video, **chapter) for chapter in document["chapters"])
    keep_old_slugs(VideoSlug, "video", video, document["old_slugs"])
    if document["featured_at"]:
        FeaturedVideo.objects.create(video=video, featured_at=document["featured_at"])
    ShareLink.objects.bulk_create(ShareLink(video=video, **link) for link in document["share_links"])
    # The encoding keeps the rows of the tracks that the file has.
    tracks = enumerate(document["audio_tracks"])
    AudioTrack.objects.bulk_create(AudioTrack(video=video, **{"position": n, **track}) for n, track in tracks)
    FileVersion.objects.bulk_create(_file_version(video, row) for row in document["file_versions"])
    Video.objects.filter(pk=video.pk).update(base_views=document["views"], view_count=document["views"])
    if document["transcription"]:
        Transcription.objects.create(**_transcription(video, document["transcription"]))
    for track, cues, versions in texts:
        _add_track(video, track, cues, versions)
    return list(_plan(video, document["planned"]))


def keep_old_slugs(model: Any, owner: str, row: Any, slugs: Sequence[str]) -> None:
    """Have addresses of before lead to a row, where no other row uses them."""
    for slug in slugs:
        if not type(row).objects.taken(slug):
            model.objects.create(slug=slug, **{owner: row})


def _add_track(video: Video, track: Row, cues: list[Cue], versions: list[tuple[Row, list[Cue]]]) -> None:
    fields = {name: value for name, value in track.items() if name not in ("cues", "versions") and value is not None}
    row = CaptionTrack.objects.add(video.pk, cues, **fields)
    for version, texts in versions:
        CaptionVersion.objects.create(
            **{**version, "track": row, "cues": [as_row(cue) for cue in texts], "length": len(texts)}
        )


def _transcription(video: Video, row: Row) -> dict[str, Any]:
    values = {name: value for name, value in row.items() if name != "text"}
    done = row["status"] == Transcription.Status.COMPLETED
    return {**values, "video": video, "transcript_text": row["text"], "progress_percent": 100 if done else 0}


def _file_version(video: Video, row: Row) -> FileVersion:
    values = {name: value for name, value in row.items() if name != "is_current"}
    state = FileVersion.State.CURRENT if row["is_current"] else FileVersion.State.DELETED
    return FileVersion(video=video, state=state, **values)


def _plan(video: Video, planned: Sequence[Row]) -> Iterator[str]:
    """Plan the changes of the visibility; yields a sentence about each that needs a password that is not there."""
    for row in planned:
        password = row.get("password_hash", "")
        if row["visibility"] == Visibility.PASSWORD and not password:
            yield f"what was planned for {row['at']:%Y-%m-%d %H:%M %Z} is left out: {NO_PASSWORD}."
        else:
            VisibilityChange.objects.create(video=video, at=row["at"], visibility=row["visibility"], password=password)
