"""What an earlier release left is there, and this release's migrations keep it."""

import json
import subprocess
import sys

from psycopg import sql

from vlog.tests.earlier_release import AGENT, EarlierSite, row_counts

FINISHED, HALF_MADE = "harbour-at-dawn", "crossing-the-sound"
STATES = {
    FINISHED: "ready",
    "the-old-lighthouse": "ready",
    "fog-over-the-pier": "ready",
    "the-regatta-of-the-next-century": "ready",
    "a-letter-not-a-video": "failed",
    "through-the-lock": "failed",
    HALF_MADE: "processing",
}
# Each migration and each new model adds to these.
GROWING = ("auth_permission", "auth_group_permissions", "django_content_type", "django_migrations")


def counts(site: EarlierSite, tables: list[str]) -> dict[str, int]:
    question = sql.SQL("SELECT count(*) FROM {}")
    return {table: site.query(question.format(sql.Identifier(table)))[0][0] for table in tables}


def check_rows(site: EarlierSite) -> None:
    slug = "coalesce((SELECT slug FROM archive_entries WHERE video_id = v.id), v.slug)"
    assert dict(site.query(f"SELECT {slug}, status FROM videos v")) == STATES  # noqa: S608
    withdrawn_or_later = (
        "SELECT slug FROM videos WHERE status = 'ready' AND published_at IS NULL OR published_at > now()"
    )
    assert {slug for (slug,) in site.query(withdrawn_or_later)} == {
        "fog-over-the-pier",
        "the-regatta-of-the-next-century",
    }
    pieces = "SELECT kind, status, first_segment FROM transcoding_chunks WHERE job_id = 7 ORDER BY id"
    assert ("video", "running", 3) in site.query(pieces)
    assert ("video", "pending", 7) in site.query(pieces)
    assert site.query("SELECT last_error FROM transcoding_jobs WHERE video_id = 6") == [("Cancelled by erin.",)]
    assert site.query("SELECT worker_name FROM workers WHERE held_back LIKE 'set aside:%'") == [("shed",)]
    assert site.query("SELECT worker_name FROM workers WHERE status = 'disabled'") == [("barn",)]


def check_files(site: EarlierSite) -> None:
    package, half = site.package(FINISHED), site.package(HALF_MADE)
    for name in ("master.m3u8", "poster.jpg", "storyboard.vtt", "480p/00006.m4s", "360p/init.mp4", "captions/en.vtt"):
        assert (package / name).stat().st_size > 0, name
    made = {rung: len(list((half / rung).glob("*.m4s"))) for rung in ("720p", "480p", "360p", "audio")}
    assert made == {"720p": 4, "480p": 4, "360p": 5, "audio": 7}
    assert not list((site.data_dir / "media").glob("2-*"))
    assert (site.data_dir / "archive" / "2" / "media" / "master.m3u8").is_file()
    originals = [*site.data_dir.glob("sources/*/original.*"), *site.data_dir.glob("archive/*/source/original.*")]
    assert len(originals) == len(STATES)


def test_the_earlier_site_is_there_before_and_after_the_migrations(earlier_site):
    told = row_counts()
    assert counts(earlier_site, list(told)) == told
    check_rows(earlier_site)
    check_files(earlier_site)

    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    earlier_site.manage("migrate", "--check")
    kept = [table for table in told if table not in GROWING]
    assert counts(earlier_site, kept) == {table: told[table] for table in kept}
    check_rows(earlier_site)
    check_files(earlier_site)
    jobs = json.loads(earlier_site.manage("jobs", "list", "--all", "--json"))
    assert {job["slug"]: job["state"] for job in jobs} == STATES | {"the-old-lighthouse": "archived"}


def test_its_rows_go_on_being_numbered(earlier_site):
    """The sequences stand where they stood, and the database's own rules are in force."""
    insert = "INSERT INTO videos (title, slug) VALUES ('Another', 'another') RETURNING id, status, length(media_key)"
    assert earlier_site.query(insert) == [(8, "pending", 32)]
    assert earlier_site.query("SELECT count(*) FROM search_documents WHERE video_id = 8") == [(1,)]
    earlier_site.query("DELETE FROM videos")
    assert not any(counts(earlier_site, ["transcoding_jobs", "cues", "daily_views", "search_documents"]).values())


def test_its_agent_starts():
    done = subprocess.run([sys.executable, str(AGENT), "--help"], capture_output=True, text=True, check=True)
    assert "Makes videos for a VLog site" in done.stdout
