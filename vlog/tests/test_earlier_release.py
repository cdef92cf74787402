"""What an earlier release left is there, and this release's migrations keep it."""

import json
import subprocess
import sys

import pytest
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
    assert site.query("SELECT worker_name FROM workers WHERE status = 'disabled'") == [("barn",)]


def check_sentences(site: EarlierSite, *, drained: bool = False) -> None:
    """What the earlier release could only read out of sentences."""
    held = dict(site.query("SELECT worker_name, held_back FROM workers WHERE held_back IS NOT NULL"))
    assert held.pop("shed").startswith(
        "set aside: it failed three pieces in a row that others could do; the last error:"
    )
    assert held == ({"attic": "drained by ada"} if drained else {})


def check_columns(site: EarlierSite) -> None:
    """What this release has columns for."""
    held = dict(site.query("SELECT worker_name, hold FROM workers WHERE hold IS NOT NULL"))
    assert held == {"shed": "suspended"}
    (reason,) = site.query("SELECT held_back FROM workers WHERE worker_name = 'shed'")[0]
    assert reason.startswith("suspended: it failed")
    assert site.query("SELECT video_id, cancelled_by FROM transcoding_jobs WHERE cancelled_by IS NOT NULL") == [
        (6, "erin")
    ]
    assert site.query("SELECT DISTINCT plan_format FROM transcoding_jobs") == [(1,)]


def check_visibility(site: EarlierSite) -> None:
    """A video that was withdrawn or scheduled is private, and the second one becomes public when it was to."""
    private = "SELECT slug FROM videos WHERE visibility = 'private' AND deleted_at IS NULL ORDER BY slug"
    assert site.query(private) == [("fog-over-the-pier",), ("the-regatta-of-the-next-century",)]
    columns = "slug, c.visibility, published_at, c.at = changes_at"
    planned = f"SELECT {columns} FROM visibility_changes c JOIN videos v ON v.id = video_id"  # noqa: S608
    assert site.query(planned) == [("the-regatta-of-the-next-century", "public", None, True)]


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


@pytest.mark.slow("migrates the site of an earlier release")
def test_the_earlier_site_is_there_before_and_after_the_migrations(earlier_site):
    told = row_counts()
    assert counts(earlier_site, list(told)) == told
    check_rows(earlier_site)
    check_sentences(earlier_site)
    check_files(earlier_site)

    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    earlier_site.manage("migrate", "--check")
    kept = [table for table in told if table not in GROWING]
    assert counts(earlier_site, kept) == {table: told[table] for table in kept}
    check_rows(earlier_site)
    check_columns(earlier_site)
    check_visibility(earlier_site)
    check_files(earlier_site)
    jobs = json.loads(earlier_site.manage("jobs", "list", "--all", "--json"))
    assert {job["slug"]: job["state"] for job in jobs} == STATES | {"the-old-lighthouse": "archived"}


@pytest.mark.slow("migrates the site of an earlier release forwards and back")
def test_the_columns_of_this_release_go_back_into_sentences(earlier_site):
    earlier_site.query("UPDATE workers SET held_back = 'drained by ada' WHERE worker_name = 'attic'")
    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    assert earlier_site.query("SELECT hold FROM workers WHERE worker_name = 'attic'") == [("drained",)]
    # What the columns know survives another sentence in the job.
    earlier_site.query("UPDATE transcoding_jobs SET last_error = 'the step failed' WHERE cancelled_by IS NOT NULL")
    earlier_site.query("UPDATE transcoding_attempts SET outcome = 'incompatible' WHERE outcome = 'given_back'")
    for app, migration in (("workers", "0003"), ("transcoding", "0006")):
        earlier_site.manage("migrate", app, migration, "--no-input", "--verbosity", "0")
    check_rows(earlier_site)
    check_sentences(earlier_site, drained=True)
    assert earlier_site.query("SELECT count(*) FROM auth_permission WHERE codename = 'manage_job'") == [(0,)]


@pytest.mark.slow("migrates the site of an earlier release")
def test_who_could_control_jobs_still_can(earlier_site):
    earlier_site.query(
        "INSERT INTO auth_user_user_permissions (user_id, permission_id) SELECT u.id, p.id FROM auth_user u, "
        "auth_permission p WHERE u.username = 'erin' AND p.codename = 'change_video'"
    )
    earlier_site.manage("migrate", "--no-input", "--verbosity", "0")
    groups = """
        SELECT p.codename, array_agg(g.name ORDER BY g.name)::text[] FROM auth_group g
        JOIN auth_group_permissions ON group_id = g.id JOIN auth_permission p ON p.id = permission_id
        WHERE p.codename IN ('change_video', 'manage_job') GROUP BY 1
    """
    users = """
        SELECT u.username FROM auth_user u JOIN auth_user_user_permissions ON user_id = u.id
        JOIN auth_permission p ON p.id = permission_id WHERE p.codename = 'manage_job'
    """
    both = ["Administrators", "Editors"]
    assert dict(earlier_site.query(groups)) == {"change_video": both, "manage_job": both}
    assert earlier_site.query(users) == [("erin",)]


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
