"""Installations of the original VLog for tests: a database of either schema in the tests' cluster, and a storage.

The ids begin far above those of other tests, which share the folders of originals.
"""

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from django.conf import settings
from django.core.management import call_command
from psycopg import sql

from transcoding.engine.ffmpeg import processes
from vlog import embedded

DATA = Path(__file__).parent / "data"
SCHEMAS = {"first start": "old_vlog_first_start.sql", "migrations": "old_vlog_migrations.sql"}
THEN = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
KEY = "3q2-WorkerKeyOfTheOldInstallation0123456789"
TALK = "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nGood morning.\n\n00:00:02.000 --> 00:00:04.000\nWe begin.\n"


@contextmanager
def database() -> Iterator[str]:
    """An empty database; gives its address."""
    server, name = embedded.database_url(settings.DATA_DIR), f"old_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass
class OldSite:
    """An old installation. first: the id below which none of its rows is."""

    url: str
    storage: Path
    schema: str
    first: int

    def execute(self, query: str, *parameters: Any) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query, parameters)  # type: ignore[arg-type]

    def add(self, table: str, **columns: Any) -> None:
        """Insert a row; columns without a value are NULL, as far as the table lets them be, or the default."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        values = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), names, values)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query, list(columns.values()))

    def video(self, number: int, slug: str, **columns: Any) -> int:
        """Add a published video; returns its id."""
        pk = self.first + number
        facts: dict[str, Any] = {"title": slug.replace("-", " ").capitalize(), "slug": slug, "status": "ready"}
        facts |= {"duration": 8.0, "source_width": 640, "source_height": 360, "published_at": THEN, "created_at": THEN}
        self.add("videos", id=pk, **{**facts, **columns})
        return pk

    def folder(self, slug: str) -> Path:
        found = self.storage / "videos" / slug
        found.mkdir(parents=True, exist_ok=True)
        return found


@contextmanager
def site(folder: Path, schema: str = "first start") -> Iterator[OldSite]:
    """An installation without rows."""
    for name in ("videos", "uploads", "archive/uploads"):
        (folder / name).mkdir(parents=True)
    with database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((DATA / SCHEMAS[schema]).read_text())  # type: ignore[arg-type]
        old = OldSite(url, folder, schema, 300_000_000 + 1000 * secrets.randbelow(1_000_000))
        if schema == "migrations":
            old.add("alembic_version", version_num="027")
        yield old


def fill(old: OldSite) -> None:
    """Add some of everything, with NULL wherever the table lets it be."""
    first = old.first
    old.add("categories", id=first, name="Lectures", slug="lectures")
    old.add("tags", id=first, name="Логика", slug="logika", created_at=THEN)
    talk = old.video(1, "lektsiia-1-vvedenie", category_id=first, is_featured=True, featured_at=THEN, title="Лекция 1")
    walk = old.video(2, "a-walk", description="In the woods", thumbnail_source="custom")
    old.video(3, "a-draft", published_at=None, duration=None, source_width=None, source_height=None)
    gone = old.video(4, "gone", deleted_at=datetime.now(UTC) - timedelta(days=2))
    old.add("video_tags", video_id=talk, tag_id=first)
    for number, (start, title) in enumerate([(0.0, "Start"), (4.0, "End")]):
        position = {"position": number, "created_at": THEN}
        old.add("chapters", id=first + number, video_id=talk, title=title, start_time=start, **position)
    kept = {"visibility": "public", "playlist_type": "course", "is_featured": False, "created_at": THEN}
    old.add("playlists", id=first, title="Course", slug="course", **kept)
    for number, video in enumerate([walk, talk]):
        old.add("playlist_items", id=first + number, playlist_id=first, video_id=video, position=number)
    _add_making(old, talk)
    _add_sessions(old, talk, gone)
    _add_rest(old, walk)


def _add_making(old: OldSite, talk: int) -> None:
    first, facts = old.first, {"registered_at": THEN.replace(tzinfo=None)}
    for number, status in enumerate(["busy", "disabled"]):
        old.add(
            "workers", id=first + number, worker_id=str(uuid4()), worker_name=f"gpu-{number}", status=status, **facts
        )
    created = {"created_at": THEN.replace(tzinfo=None), "worker_id": first}
    sha = sha256(KEY.encode()).hexdigest()
    old.add("worker_api_keys", id=first, key_hash=sha, key_prefix=KEY[:8], hash_version=1, **created)
    argon = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$" + "A" * 43
    old.add("worker_api_keys", id=first + 1, key_hash=argon, key_prefix="argonkey", hash_version=2, **created)
    old.add(
        "transcoding_jobs", id=first, video_id=talk, worker_id="LOCAL_WORKER", processed_by_worker_id="LOCAL_WORKER",
        current_step="finalize", completed_at=THEN,
    )  # fmt: skip
    for number, (quality, status) in enumerate([("360p", "uploaded"), ("original", "completed")]):
        old.add("quality_progress", id=first + number, job_id=first, quality=quality, status=status)


def _add_sessions(old: OldSite, talk: int, gone: int) -> None:
    first = old.first
    old.add("viewers", id=first, session_id="viewer-one", first_seen=THEN)
    begun = {"video_id": talk, "started_at": THEN}
    old.add(
        "playback_sessions", id=first, session_token=f"one{first}", viewer_id=first, duration_watched=30.0,
        ended_at=THEN + timedelta(seconds=30), quality_used="original", completed=True, **begun,
    )  # fmt: skip
    old.add("playback_sessions", id=first + 1, session_token=f"two{first}", completed=None, **begun)
    old.add("playback_sessions", id=first + 2, session_token=f"three{first}", video_id=gone, started_at=THEN)


def _add_rest(old: OldSite, walk: int) -> None:
    first = old.first
    field = {"field_type": "text", "required": False, "position": 1}
    old.add("custom_field_definitions", id=first, name="Speaker", slug="speaker", **field)
    old.add("video_custom_fields", video_id=walk, field_id=first, value="Ann")
    counts = dict.fromkeys(("total_deliveries", "successful_deliveries", "failed_deliveries"), 0)
    hook = {"events": json.dumps(["video.ready", "worker.online"]), "active": True, "created_at": THEN}
    old.add("webhooks", id=first, name="Chat", url="https://chat.example.org/hook", **hook, **counts)
    days = {"category": "storage", "value_type": "integer", "updated_at": THEN}
    old.add("settings", id=first, key="storage.archive_retention_days", value="14", **days)
    session = {"session_token": "secret", "created_at": THEN, "expires_at": THEN}
    old.add("admin_sessions", id=first, **session)


def ffmpeg(*arguments: str) -> None:
    subprocess.run([processes.executable(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


def clip(path: Path, seconds: int = 8, height: int = 360) -> Path:
    """A file with pictures and sound."""
    size = f"{height * 16 // 9 // 2 * 2}x{height}"
    inputs = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}", "-f", "lavfi", "-i", f"sine=440:d={seconds}"]
    ffmpeg(
        *inputs, "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)
    )
    return path


def hls_ts(source: Path, folder: Path, quality: str) -> None:
    """A rendition of transport streams, as the original VLog names its files."""
    kept = ["-c", "copy", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod"]
    names = ["-hls_segment_filename", str(folder / f"{quality}_%04d.ts"), str(folder / f"{quality}.m3u8")]
    ffmpeg("-i", str(source), *kept, *names)


def hls_cmaf(source: Path, folder: Path, quality: str) -> None:
    """A rendition of fragmented MP4 with the sound inside."""
    (folder / quality).mkdir()
    kept = ["-c", "copy", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    names = ["-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", str(folder / quality / "seg_%04d.m4s")]
    ffmpeg("-i", str(source), *kept, *names, str(folder / quality / "stream.m3u8"))


def add_files(old: OldSite, source: Path, picture: bytes = b"\xff\xd8\xff\xd9") -> None:
    """Give the videos of `fill` files: a package of each layout, of one only its parts; the draft has an original."""
    talk, walk = old.folder("lektsiia-1-vvedenie"), old.folder("a-walk")
    hls_ts(source, talk, "360p")
    hls_ts(source, talk, "original")
    (talk / "captions.vtt").write_text(TALK)
    hls_cmaf(source, walk, "360p")
    for folder in (talk, walk):
        (folder / "thumbnail.jpg").write_bytes(picture)
    shutil.copyfile(source, old.storage / "uploads" / f"{old.first + 2}.mp4")
    shutil.copyfile(source, old.storage / "uploads" / f"{old.first + 3}.mp4")
    shutil.copytree(walk, old.storage / "archive" / "gone")
    facts = {"status": "completed", "language": "en", "word_count": 4, "transcript_text": "Good morning. We start now."}
    old.add("transcriptions", id=old.first, video_id=old.first + 1, vtt_path="/mnt/old/captions.vtt", **facts)


def move_in(old: OldSite, folder: Path, *options: str) -> tuple[str, str]:
    """Run the command; returns what it printed, and its report."""
    out, report = StringIO(), folder / f"report-{uuid4().hex}.txt"
    arguments = ["--database-url", old.url, "--storage", str(old.storage), "--report", str(report), *options]
    call_command("import_vlog", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue(), report.read_text() if report.exists() else ""
