"""What the import of a large original VLog takes, in time and in memory: `python -m benchmarks.moving`.

10 000 videos with empty files, and a million sessions; the bars are three minutes and 300 MB.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks import clips
from benchmarks.installation import BASE, Installation
from benchmarks.processes import Family
from vlog import embedded

SCHEMA = BASE / "videos/tests/data/old_vlog_migrations.sql"
BAR_SECONDS, BAR_BYTES = 180, 300 << 20
ROWS = """
INSERT INTO alembic_version VALUES ('027');
INSERT INTO categories (id, name, slug) SELECT n, 'Category ' || n, 'category-' || n FROM generate_series(1, 20) n;
INSERT INTO tags (id, name, slug) SELECT n, 'Tag ' || n, 'tag-' || n FROM generate_series(1, 200) n;
INSERT INTO videos (id, title, slug, description, category_id, duration, source_width, source_height, status,
    created_at, published_at)
SELECT n, 'Video ' || n, 'video-' || n, repeat('words ', 40), 1 + n %% 20, 600, 1920, 1080, 'ready',
    now() - make_interval(hours => n), now() - make_interval(hours => n) FROM generate_series(1, %(videos)s) n;
INSERT INTO video_tags SELECT v, 1 + (v * k) %% 200 FROM generate_series(1, %(videos)s) v, generate_series(1, 3) k
    ON CONFLICT DO NOTHING;
INSERT INTO chapters (id, video_id, title, start_time, position, created_at)
SELECT 3 * v + k, v, 'Chapter ' || k, 100 * k, k, now() FROM generate_series(1, %(videos)s) v, generate_series(0, 2) k;
INSERT INTO transcoding_jobs (id, video_id, completed_at) SELECT n, n, now() FROM generate_series(1, %(videos)s) n;
INSERT INTO viewers (id, session_id, first_seen) SELECT n, 'viewer-' || n, now() FROM generate_series(1, %(viewers)s) n;
INSERT INTO playback_sessions (id, video_id, viewer_id, session_token, started_at, ended_at, duration_watched,
    max_position, quality_used)
SELECT n, 1 + (n * 7919::bigint) %% %(videos)s, 1 + n %% %(viewers)s, md5(n::text),
    now() - make_interval(mins => n %% 500000), now(), 30 + n %% 600, 30 + n %% 600, '720p'
FROM generate_series(1, %(sessions)s) n;
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moving", description=__doc__)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    options = parser.parse_args()
    with Installation(Family(), clips.FOLDER, only="web") as installation, tempfile.TemporaryDirectory() as folder:
        url = fill(embedded.database_url(installation.data), options.videos, options.sessions)
        furnish(Path(folder), options.videos)
        command = ["import_vlog", "--database-url", url, "--storage", folder, "--report", f"{folder}/report.txt"]
        seconds, memory, text = run(installation, command)
        again, _, _ = run(installation, [*command[:-1], f"{folder}/again.txt"])
    print(text)
    print(f"{seconds:.0f} s (bar {BAR_SECONDS}), {memory >> 20} MB (bar {BAR_BYTES >> 20}); once more: {again:.0f} s")
    return int(seconds > BAR_SECONDS or memory > BAR_BYTES)


def fill(server: str, videos: int, sessions: int) -> str:
    """Make the database of the old installation beside the site's; returns its address."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE old_vlog")
    url = urlunsplit(urlsplit(server)._replace(path="/old_vlog"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA.read_text())
        numbers = {"videos": videos, "sessions": sessions, "viewers": max(1, sessions // 10)}
        for statement in ROWS.split(";")[:-1]:
            connection.execute(statement, numbers)
    return url


def furnish(folder: Path, videos: int) -> None:
    """Make empty files: an original, and a rendition of two segments."""
    (folder / "uploads").mkdir()
    for number in range(1, videos + 1):
        package = folder / "videos" / f"video-{number}"
        package.mkdir(parents=True)
        names = [f"360p_{index:04}.ts" for index in range(2)]
        lines = [f"#EXTINF:6.0,\n{name}" for name in names]
        (package / "360p.m3u8").write_text("\n".join(["#EXTM3U", *lines, "#EXT-X-ENDLIST", ""]))
        for path in (folder / "uploads" / f"{number}.mp4", *(package / name for name in names)):
            path.touch()


def run(installation: Installation, arguments: list[str]) -> tuple[float, int, str]:
    """Run a command; returns its seconds, the bytes of memory that it had at most, and what it printed."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments], cwd=BASE, env=installation.env, stdout=out
        )
        memory = 0
        while process.poll() is None:
            memory = max(memory, _highest(process.pid))
            time.sleep(0.1)
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise SystemExit(f"the import failed:\n{text}")
    return time.monotonic() - started, memory, text


def _highest(pid: int) -> int:
    """Return the bytes that a process has had at most. Its rusage begins with the size of this process."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) << 10 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
