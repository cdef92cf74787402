"""Playlists: videos in an order that editors chose, such as a series or a course."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models, transaction
from django.db.models import Deferrable, Exists, Max, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models.addresses import AddressedQuerySet, OldSlug, address_of, free_slug_in
from videos.models.catalogue import Video, VideoQuerySet
from videos.models.categories import SLUG_HELP, version_field
from videos.models.order import kept_beside, placed, write_positions
from videos.models.visibility import Visibility
from vlog import audit
from vlog.schema import NOW

MAX_ITEMS = 500  # videos of one playlist
NAMED = 20  # videos in one entry of the history


class PlaylistFull(Exception):
    """A playlist takes no more videos; the message says so."""


class PlaylistVisibility(models.TextChoices):
    PRIVATE = Visibility.PRIVATE.value
    UNLISTED = Visibility.UNLISTED.value
    PUBLIC = Visibility.PUBLIC.value


class PlaylistQuerySet(AddressedQuerySet["Playlist"]):
    def public(self) -> "PlaylistQuerySet":
        """Playlists that every viewer finds in lists."""
        return self.filter(visibility=PlaylistVisibility.PUBLIC)

    def listed(self) -> "PlaylistQuerySet":
        """Public playlists with a video that every viewer may watch."""
        shown = Video.objects.public().filter(playlist_items__playlist=OuterRef("pk"))
        return self.public().filter(Exists(shown))


class Playlist(models.Model):
    """A list of videos. It says nothing of who may watch them: `shown` has those that viewers see.

    Each writer of its items locks its row, after those of the videos.
    """

    Visibility = PlaylistVisibility

    title = models.CharField(max_length=255)
    slug = models.SlugField(max_length=255, blank=True, db_index=False, help_text=SLUG_HELP)
    description = models.TextField(blank=True, default="", db_default="")
    visibility = models.CharField(
        max_length=10,
        choices=PlaylistVisibility,
        default=PlaylistVisibility.PRIVATE,
        db_default=PlaylistVisibility.PRIVATE,
    )
    poster_video = models.ForeignKey(
        Video,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Whose poster stands for the playlist. If empty, that of its first video.",
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)  # written by triggers
    version = version_field()
    videos = models.ManyToManyField(Video, through="PlaylistItem", related_name="playlists")

    objects = PlaylistQuerySet.as_manager()

    class Meta:
        db_table = "playlists"
        ordering = ["title", "id"]
        indexes = [models.Index(fields=["poster_video"], name="ix_playlists_poster_video_id")]  # ON DELETE
        constraints = [
            models.UniqueConstraint(fields=["slug"], name="uq_playlists_slug"),
            models.CheckConstraint(
                condition=Q(visibility__in=PlaylistVisibility.values), name="ck_playlists_visibility"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="ck_playlists_version"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.slug = self.slug or free_slug_in(Playlist, self.title)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return address_of("playlist", self.slug)

    def shown(self) -> VideoQuerySet:
        """Return the videos that viewers see, in their order: of a public playlist those that are public themselves."""
        is_public = self.visibility == PlaylistVisibility.PUBLIC
        videos = Video.objects.public() if is_public else Video.objects.open()
        return videos.filter(playlist_items__playlist=self).order_by("playlist_items__position")

    def order(self) -> list[int]:
        """Return the ids of all its videos, in their order."""
        return list(self.items.order_by("position").values_list("video_id", flat=True))

    def add(self, video_ids: Sequence[int], before: int | None = None) -> list[int]:
        """Add videos, at the end or before the video with this id; returns the ids of those that were not in it.

        Raises PlaylistFull, and DoesNotExist where the playlist was deleted meanwhile.
        """
        with transaction.atomic():
            known = lock_videos(video_ids)
            self._lock()
            order = self.order()
            new = [pk for pk in dict.fromkeys(video_ids) if pk in known - set(order)]
            if len(order) + len(new) > MAX_ITEMS:
                raise PlaylistFull(_("A playlist has at most %(max_items)s videos.") % {"max_items": MAX_ITEMS})
            last = self.items.aggregate(last=Max("position"))["last"] or 0
            rows = (PlaylistItem(playlist=self, video_id=pk, position=last + n) for n, pk in enumerate(new, start=1))
            PlaylistItem.objects.bulk_create(rows)
            if before in order:
                self._write(placed(order, new, before))
            if new:
                audit.record("added videos to", subject=self, after={"videos": _titles(new)})
            return new

    def remove(self, video_ids: Iterable[int]) -> int:
        """Remove videos; returns how many were in it. Raises DoesNotExist."""
        with transaction.atomic():
            self._lock()
            gone = self.items.filter(video__in=video_ids)
            titles = _titles(list(gone.order_by("position").values_list("video_id", flat=True)))
            number = gone.delete()[0]
            if number:
                audit.record("removed videos from", subject=self, before={"videos": titles})
            return number

    def move(self, video_id: int, before: int | None) -> int:
        """Move a video before another one of the playlist, or to the end; returns its number, counted from 1.

        An editor says where it goes by its neighbour, so that changes of others to the rest of the order stay. 0 where
        the video is not in the playlist. Raises DoesNotExist.
        """
        with transaction.atomic():
            self._lock()
            order = self.order()
            if video_id not in order:
                return 0
            wanted = placed(order, [video_id], before)
            old, new = (ids.index(video_id) + 1 for ids in (order, wanted))
            if old != new:
                self._write(wanted)
                (title,) = _titles([video_id])
                audit.record(
                    "moved a video in", subject=self, before={"number": old}, after={"number": new, "video": title}
                )
            return new

    def replace(self, video_ids: Sequence[int]) -> None:
        """Make these its videos, in this order. Those in the archive stay, each after the one that it stands behind.

        Raises PlaylistFull, DoesNotExist.
        """
        with transaction.atomic():
            archived = set(self.items.exclude(video__deleted_at=None).values_list("video_id", flat=True))
            order = self.order()
            self.add(video_ids)
            self.remove(set(order) - set(video_ids) - archived)
            present = set(self.order())
            wanted = [pk for pk in kept_beside(order, list(dict.fromkeys(video_ids)), archived) if pk in present]
            if self._write(wanted) and [pk for pk in order if pk in wanted] != [pk for pk in wanted if pk in order]:
                audit.record("ordered the videos of", subject=self, after={"videos": _titles(wanted)})

    def _write(self, order: list[int]) -> bool:
        """Write the positions of all its videos; False where they are so already. The row is locked."""
        rows = {item.video_id: item for item in self.items.all()}
        return write_positions([rows[video_id] for video_id in order])

    def _lock(self) -> None:
        Playlist.objects.select_for_update(no_key=True).only("pk").get(pk=self.pk)


class PlaylistItem(models.Model):
    """A video of a playlist. Positions order them, and may have gaps."""

    playlist = models.ForeignKey(Playlist, models.CASCADE, related_name="items", db_constraint=False, db_index=False)
    video = models.ForeignKey(Video, models.CASCADE, related_name="playlist_items", db_constraint=False, db_index=False)
    position = models.IntegerField()

    class Meta:
        db_table = "playlist_items"
        default_permissions = ()  # who may change a playlist may change what is in it
        ordering = ["playlist_id", "position"]
        indexes = [models.Index(fields=["video"], name="ix_playlist_items_video_id")]  # the video's page, ON DELETE
        constraints = [
            models.UniqueConstraint(fields=["playlist", "video"], name="uq_playlist_items_video"),
            # Compared at the end of the transaction, because two videos exchange their positions in two steps.
            models.UniqueConstraint(
                fields=["playlist", "position"], name="uq_playlist_items_position", deferrable=Deferrable.DEFERRED
            ),
            models.CheckConstraint(condition=Q(position__gte=1), name="ck_playlist_items_position"),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.video}"


class PlaylistSlug(OldSlug):
    playlist = models.ForeignKey(
        Playlist, models.CASCADE, related_name="old_slugs", db_constraint=False, db_index=False
    )

    class Meta:
        db_table = "playlist_slugs"
        default_permissions = ()
        indexes = [models.Index(fields=["playlist"], name="ix_playlist_slugs_playlist_id")]  # the admin's page
        constraints = [models.UniqueConstraint(fields=["slug"], name="uq_playlist_slugs_slug")]


def lock_videos(video_ids: Iterable[int]) -> set[int]:
    """Lock videos, which is done before the playlist is locked; returns the ids of those that there are."""
    videos = Video.objects.listed().filter(pk__in=video_ids).order_by("pk").select_for_update(no_key=True)
    return {video.pk for video in videos.only("pk")}


def _titles(video_ids: Sequence[int]) -> list[str]:
    """Return the titles of the first of these videos, and how many more there are."""
    titles = dict(Video.objects.filter(pk__in=video_ids[:NAMED]).values_list("pk", "title"))
    more = [f"and {len(video_ids) - NAMED} more"] if len(video_ids) > NAMED else []
    return [titles[pk] for pk in video_ids[:NAMED] if pk in titles] + more
