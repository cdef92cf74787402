"""docs/schema.md compared with the catalogue of PostgreSQL, and the constraints tried in raw SQL.

Plain SQL throughout: a rule that only Django keeps must not pass.
"""

# The SQL is made of names from this file and the document.
# ruff: noqa: S608

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models.expressions import DatabaseDefault
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker

APPS = ["vlog", "videos", "transcoding", "workers", "analytics"]
DOCUMENT = (settings.BASE_DIR / "docs" / "schema.md").read_text()
TYPES = {"FLOAT": "double precision", "VARCHAR": "character varying"}

# A row for every table. The database supplies the missing columns and writes search_documents.
ROWS = """
    INSERT INTO categories (id, name, slug) VALUES (1, 'Walks', 'walks');
    INSERT INTO tags (id, name, slug) VALUES (1, 'Woods', 'woods');
    INSERT INTO videos (id, title, slug, category_id, status, published_at)
        VALUES (1, 'A walk', 'my-video', 1, 'ready', NOW());
    INSERT INTO videos (id, title, slug, version_of_id) VALUES (20, 'A walk', 'held', 1);
    INSERT INTO file_versions (id, video_id, number, holder_id, state) VALUES (1, 1, 1, 20, 'making');
    INSERT INTO video_tags (video_id, tag_id) VALUES (1, 1);
    INSERT INTO video_qualities (id, video_id, quality, width, height, bitrate) VALUES (1, 1, '720p', 1280, 720, 2000);
    INSERT INTO transcriptions (id, video_id) VALUES (1, 1);
    INSERT INTO video_slugs (id, slug, video_id) VALUES (1, 'a-walk', 1);
    INSERT INTO category_slugs (id, slug, category_id) VALUES (1, 'hikes', 1);
    INSERT INTO playlists (id, title, slug, poster_video_id) VALUES (1, 'Walks', 'walks', 1);
    INSERT INTO playlist_items (id, playlist_id, video_id, position) VALUES (1, 1, 1, 1);
    INSERT INTO playlist_slugs (id, slug, playlist_id) VALUES (1, 'hikes', 1);
    INSERT INTO featured_videos (video_id) VALUES (1);
    INSERT INTO pictures (key, category_id, jpeg) VALUES ('00000000-0000-4000-8000-000000000001', 1, '\\x');
    INSERT INTO pictures (key, playlist_id, jpeg) VALUES ('00000000-0000-4000-8000-000000000002', 1, '\\x');
    INSERT INTO tag_slugs (id, slug, tag_id) VALUES (1, 'forest', 1);
    INSERT INTO archive_entries (video_id, slug) VALUES (1, 'my-video');
    INSERT INTO visibility_changes (id, video_id, at, visibility) VALUES (1, 1, NOW() + INTERVAL '1 day', 'public');
    INSERT INTO share_links (id, video_id, key_hash, key_prefix, expires_at) VALUES (1, 1, 'h', 'p', NOW());
    INSERT INTO storage_entries (video_id) VALUES (1);
    INSERT INTO audio_tracks (id, video_id, rendition, name) VALUES (1, 1, 'audio', 'English');
    INSERT INTO caption_tracks (id, video_id, number, origin) VALUES (1, 1, 1, 'file');
    INSERT INTO cues (id, track_id, start, "end", text) VALUES (1, 1, 0, 1.5, 'Hello.');
    INSERT INTO caption_versions (id, track_id, number, state, language, origin, cues)
        VALUES (1, 1, 1, 'draft', 'en', 'whisper', '[]');
    INSERT INTO chapters (id, video_id, start, title) VALUES (1, 1, 0, 'Start');
    INSERT INTO source_streams (id, video_id, number, kind, fate, reason) VALUES (1, 1, 0, 'data', 'left_out', 'Data.');
    INSERT INTO viewers (id, session_id) VALUES (1, 'a');
    INSERT INTO playback_sessions (id, video_id, viewer_id, session_token, duration_watched, completed)
        VALUES (1, 1, 1, 'one', 5400, TRUE), (2, 1, 1, 'two', 1800, FALSE), (3, 1, NULL, 'three', 0, FALSE);
    INSERT INTO daily_views (video_id, day) VALUES (1, '2026-01-31');
    INSERT INTO daily_totals (day) VALUES ('2026-01-31');
    INSERT INTO workers (id, worker_id, registered_at) VALUES (1, 'uuid', NOW());
    INSERT INTO worker_api_keys (id, worker_id, key_hash, key_prefix, created_at) VALUES (1, 1, 'h', 'p', NOW());
    INSERT INTO auth_user (id, password, username, first_name, last_name, email, is_superuser, is_staff, is_active,
        date_joined) VALUES (1000, '', 'ann', '', '', '', FALSE, FALSE, TRUE, NOW()) ON CONFLICT DO NOTHING;
    INSERT INTO api_tokens (id, user_id, key_hash, key_prefix, scopes, created_at)
        VALUES (1, 1000, 'h', 'p', ARRAY['read'], NOW());
    INSERT INTO invitations (id, role, key_hash, key_prefix, invited_by_id, account_id, expires_at)
        VALUES (1, 'Editors', 'h', 'p', 1000, 1000, NOW());
    INSERT INTO user_settings (user_id) VALUES (1000);
    INSERT INTO site_settings (id, name, language, time_zone) VALUES (1, 'VLog', 'en', 'UTC');
    INSERT INTO own_pages (id, title, slug) VALUES (1, 'Imprint', 'imprint');
    INSERT INTO category_limits (id, user_id, category_id) VALUES (1, 1000, 1);
    INSERT INTO editor_defaults (user_id, visibility) VALUES (1000, 'public');
    INSERT INTO saved_views (id, user_id, name, query) VALUES (1, 1000, 'Mine', 'mine=1');
    INSERT INTO bulk_edits (id, user_id, action) VALUES (1, 1000, 'archive');
    INSERT INTO bulk_edit_items (id, edit_id, video_id) VALUES (1, 1, 1);
    INSERT INTO import_map (source, kind, old_id, new_id) VALUES ('vlog', 'videos', 7, 1);
    INSERT INTO imported_packages (video_id, layout) VALUES (1, 'ts');
    INSERT INTO uploads (key, owner_id, category_id, replaces_id, size, expires_at)
        VALUES ('00000000-0000-4000-8000-000000000000', 1000, 1, 1, 7, NOW());
    INSERT INTO imports (key, owner_id, address, kind, details, via, upload_id)
        VALUES ('00000000-0000-4000-8000-000000000000', 1000, 'https://example.org/a.mp4', 'http', '{}', 'form',
            '00000000-0000-4000-8000-000000000000');
    INSERT INTO source_files (id, video_id, number, size, sha256) VALUES (1, 1, 1, 7, repeat('a', 64));
    INSERT INTO webhooks (id, address, secret, events)
        VALUES (1, 'https://example.org/', 'whsec_eA==', ARRAY['video.ready']);
    INSERT INTO webhook_deliveries (key, webhook_id, event, payload)
        VALUES ('00000000-0000-4000-8000-000000000000', 1, 'video.ready', '{}');
    INSERT INTO audit_entries (action, actor) VALUES ('restored', 'ann');
    INSERT INTO transcoding_jobs (id, video_id, worker_id, last_checkpoint)
        VALUES (1, 1, 'uuid', NOW() - INTERVAL '31 minutes');
    INSERT INTO quality_progress (id, job_id, quality) VALUES (1, 1, '720p');
    INSERT INTO transcoding_chunks (id, job_id, worker_id) VALUES (1, 1, 'uuid');
    INSERT INTO speech_parts (chunk_id, begin, "end") VALUES (1, 0, 300);
    INSERT INTO transcoding_attempts (id, job_id, chunk_id, kind, number, worker_id, started_at)
        VALUES (1, 1, 1, 'video', 1, 'uuid', NOW());
    UPDATE workers SET current_job_id = 1;
"""


class Column(NamedTuple):
    type: str
    constraints: str

    @property
    def sql_type(self) -> str:
        name, *length = re.split(r"(?=\()", self.type)
        return "".join([TYPES.get(name, name.lower()), *length])

    @property
    def nullable(self) -> bool:
        return "NULLABLE" in self.constraints

    @property
    def default(self) -> str | None:
        match = re.search(r"DEFAULT (.+)$", self.constraints)
        return match and match[1]


def sections(text: str, level: str) -> dict[str, str]:
    """Return the text below each heading of that level, by heading."""
    parts = re.split(rf"^{level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table_rows(text: str, header: str) -> list[list[str]]:
    """Return the cells of the Markdown table with that first column."""
    lines = re.search(rf"^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    assert lines is not None, f"no table of {header}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1].splitlines()]


def listed(text: str, title: str) -> list[str]:
    """Return the beginnings of the list items below a bold title."""
    items = re.search(rf"^\*\*{title}:\*\*\n((?:- .*\n)+)", text, flags=re.MULTILINE)
    return re.findall(r"^- `(\w+)`", items[1], flags=re.MULTILINE) if items else []


CHAPTERS = sections(DOCUMENT, "##")
TABLES = sections(CHAPTERS["Tables"], "###")
COLUMNS = {
    (table, name): Column(type_, constraints)
    for table, text in TABLES.items()
    for name, type_, constraints, _ in table_rows(text, "Column")
}
REFERENCES = {
    (table, name, *match.groups())
    for (table, name), column in COLUMNS.items()
    if (match := re.search(r"FK\((\w+)\.(\w+)\) (CASCADE|SET NULL)", column.constraints))
}
CASCADES = [(parent, *child.split("."), rule) for parent, child, rule in table_rows(CHAPTERS["Cascades"], "Parent")]
PAGE = sections((settings.BASE_DIR / "docs" / "database.md").read_text(), "##")
QUERIES = re.findall(r"```sql\n(.+?)```", PAGE["Common queries"], flags=re.DOTALL)
FIELDS = [
    field
    for app in APPS
    for model in apps.get_app_config(app).get_models()
    if not model._meta.proxy
    for field in model._meta.concrete_fields
]
FIELDS_WITH_DEFAULT = [field for field in FIELDS if field.has_db_default()]


def query(sql: str, *params: Any, using: str = "default") -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall() if cursor.description else []


def catalogue(using: str = "default") -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return type, NOT NULL and default of every column of our tables. Generated columns have no default."""
    rows = query(
        """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                  CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
           WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
             AND c.relname !~ '^(auth|django|otp|celery)_'""",
        using=using,
    )
    return {(table, column): tuple(rest) for table, column, *rest in rows}


def constraints(kind: str, using: str = "default") -> set[tuple[Any, ...]]:
    """Return table, name, columns and definition of our constraints of a kind: c, f, p or u."""
    rows = query(
        """SELECT r.relname, c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY AS k (num, place)
                  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.num ORDER BY place),
                  pg_get_constraintdef(c.oid)
           FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
           WHERE c.contype = %s AND r.relname = ANY(%s)""",
        kind,
        list(TABLES),
        using=using,
    )
    return {(table, name, tuple(columns), text) for table, name, columns, text in rows}


def indexes(using: str = "default") -> set[tuple[Any, ...]]:
    rows = query(
        """SELECT t.relname, i.relname, array(SELECT COALESCE(attname, 'expression')
                  FROM unnest(x.indkey) WITH ORDINALITY AS k (num, place) LEFT JOIN pg_attribute a
                  ON a.attrelid = t.oid AND a.attnum = k.num ORDER BY place)
           FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
           WHERE NOT x.indisprimary AND t.relname = ANY(%s)""",
        list(TABLES),
        using=using,
    )
    return {(table, name, tuple(columns)) for table, name, columns in rows}


def plain(default: str | None) -> str | None:
    """Return a default as the document has it: PostgreSQL adds casts and brackets, and 0.0 to a FLOAT."""
    if default is None:
        return None
    return re.sub(r"::[a-z ]+(\[\])?|[() ]", "", default, flags=re.IGNORECASE).upper().replace("0.0", "0")


@pytest.fixture
def filled(db: None) -> None:
    query(ROWS)


# The document and the catalogue


def test_the_document_and_the_code_have_the_same_tables():
    ours = {model._meta.db_table for app in APPS for model in apps.get_app_config(app).get_models()}
    assert set(TABLES) == ours
    assert len(ours) == 55


@pytest.mark.django_db
def test_every_column_is_as_documented_and_no_other_is_there():
    documented = {
        place: (column.sql_type, not column.nullable, plain(column.default)) for place, column in COLUMNS.items()
    }
    there = {place: (type_, not_null, plain(default)) for place, (type_, not_null, default) in catalogue().items()}
    assert there == documented


@pytest.mark.django_db
def test_primary_keys_are_as_documented():
    documented: dict[str, list[str]] = {}
    for (table, name), column in COLUMNS.items():
        if re.search(r"\bPK\b|PRIMARY KEY", column.constraints):
            documented.setdefault(table, []).append(name)
    assert {table: list(columns) for table, _, columns, _ in constraints("p")} == documented


@pytest.mark.django_db
def test_ids_are_counted_by_the_database():
    counted = query(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'id' AND is_identity = 'YES'"
    )
    assert {table for (table,) in counted} >= {table for table, column in COLUMNS if column == "id"}


@pytest.mark.django_db
def test_columns_marked_unique_have_a_constraint_of_their_own():
    documented = {(table, name) for (table, name), column in COLUMNS.items() if "UNIQUE" in column.constraints}
    assert {(table, columns[0]) for table, _, columns, _ in constraints("u") if len(columns) == 1} == documented


@pytest.mark.django_db
def test_every_index_is_documented_and_every_documented_index_is_there():
    documented = {
        (table, name, tuple(columns.split(", ")))
        for table, text in TABLES.items()
        for name, columns in re.findall(r"^- `(\w+)` \(([\w, ]+)\) - ", text, flags=re.MULTILINE)
    }
    assert indexes() == documented


@pytest.mark.django_db
def test_no_column_has_two_indexes_that_begin_with_it_alone():
    single = [(table, columns) for table, _, columns in indexes() if len(columns) == 1]
    assert len(single) == len(set(single))


@pytest.mark.django_db
def test_every_check_is_documented_and_every_documented_check_is_there():
    documented = {(table, name) for table, text in TABLES.items() for name in re.findall(r"`(ck_\w+)`", text)}
    assert {(table, name) for table, name, *_ in constraints("c")} == documented


@pytest.mark.django_db
def test_every_foreign_key_has_its_documented_rule_in_the_database():
    there = {
        (table, columns[0], *re.findall(r"REFERENCES (\w+)\((\w+)\) ON DELETE (CASCADE|SET NULL)", text)[0])
        for table, _, columns, text in constraints("f")
    }
    assert there == REFERENCES


def test_the_cascade_table_has_every_foreign_key_and_its_rule():
    assert len(REFERENCES) == sum("FK(" in column.constraints for column in COLUMNS.values())
    assert set(CASCADES) == {(parent, table, column, rule) for table, column, parent, _, rule in REFERENCES}


def test_django_follows_the_same_rules_as_the_database():
    rules: dict[Any, str] = {models.CASCADE: "CASCADE", models.SET_NULL: "SET NULL"}
    keys = [field for field in FIELDS if isinstance(field, models.ForeignKey)]
    known = {
        (key.remote_field.model._meta.db_table, key.model._meta.db_table, key.column, rules[key.remote_field.on_delete])
        for key in keys
    }
    assert known == set(CASCADES)


@pytest.mark.django_db
def test_the_models_need_no_further_migration():
    call_command("makemigrations", check=True, dry_run=True, stdout=StringIO())


# Deletes


@pytest.mark.parametrize(("parent", "child", "column", "rule"), CASCADES)
@pytest.mark.usefixtures("filled")
def test_a_delete_typed_by_hand_follows_the_cascade_table(parent, child, column, rule):
    referring = f"SELECT COUNT(*) FROM {child} WHERE {column} IS NOT NULL"
    everything = f"SELECT COUNT(*) FROM {child}"
    before = query(everything)
    assert query(referring) > [(0,)]
    query(f"DELETE FROM {parent}")
    query("SET CONSTRAINTS ALL IMMEDIATE")
    assert query(referring) == [(0,)]
    left = [(1 if child == "pictures" else 0,)]  # one of a category, the other one of a playlist
    assert query(everything) == (before if rule == "SET NULL" else left)


@pytest.mark.usefixtures("filled")
def test_a_deleted_video_leaves_viewers_workers_tags_and_categories():
    query("DELETE FROM videos")
    kept = ["categories", "tags", "viewers", "workers", "worker_api_keys", "api_tokens", "audit_entries", "uploads"]
    kept += ["saved_views", "bulk_edits", "playlists", "playlist_slugs", "pictures", "import_map"]
    kept += ["imports", "invitations", "user_settings", "site_settings", "own_pages", "category_limits"]
    kept += ["daily_totals", "editor_defaults", "category_slugs", "tag_slugs", "webhooks", "webhook_deliveries"]
    for table in TABLES:
        number = 2 if table == "pictures" else 1
        assert query(f"SELECT COUNT(*) FROM {table}") == [(number if table in kept else 0,)], table


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE videos SET category_id = 9",
        "UPDATE transcoding_jobs SET worker_id = 'unknown'",
        "UPDATE workers SET current_job_id = 9",
        "UPDATE video_tags SET tag_id = 9",
    ],
)
@pytest.mark.usefixtures("filled")
def test_no_row_refers_to_one_that_is_not_there(sql):
    query("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError), transaction.atomic():
        query(sql)


@pytest.mark.parametrize("sql", ["UPDATE audit_entries SET actor = 'bob'", "DELETE FROM audit_entries"])
@pytest.mark.usefixtures("filled")
def test_the_audit_log_can_only_be_added_to(sql):
    for pruning in ("off", "on"):  # the entry is too young for the pruning
        query("SELECT set_config('vlog.pruning', %s, TRUE)", pruning)
        with pytest.raises(IntegrityError, match="cannot be changed or deleted"), transaction.atomic():
            query(sql)


# Checks

REFUSED = [
    ("videos", "status", "'published'", "ck_videos_status"),
    ("videos", "duration", "-0.1", "ck_videos_duration"),
    ("videos", "visibility", "'secret'", "ck_videos_visibility"),
    ("videos", "visibility", "'password'", "ck_videos_password"),
    *((table, "version", "0", f"ck_{table}_version") for table in ("videos", "categories", "tags")),
    ("visibility_changes", "visibility", "'secret'", "ck_visibility_changes_visibility"),
    ("visibility_changes", "visibility", "'password'", "ck_visibility_changes_password"),
    ("editor_defaults", "visibility", "'secret'", "ck_editor_defaults_visibility"),
    ("playlists", "visibility", "'password'", "ck_playlists_visibility"),
    ("playlists", "version", "0", "ck_playlists_version"),
    ("playlist_items", "position", "0", "ck_playlist_items_position"),
    ("pictures", "category_id", "NULL, playlist_id = NULL", "ck_pictures_owner"),
    ("bulk_edits", "action", "'delete'", "ck_bulk_edits_action"),
    ("invitations", "revoked_at", "NOW(), accepted_at = NOW()", "ck_invitations_end"),
    ("site_settings", "id", "2", "ck_site_settings_id"),
    ("site_settings", "accent", "'red'", "ck_site_settings_accent"),
    ("bulk_edit_items", "state", "'lost'", "ck_bulk_edit_items_state"),
    ("videos", "source_width", "-1", "ck_videos_source_size"),
    ("videos", "source_height", "-1", "ck_videos_source_size"),
    ("videos", "poster_version", "-1", "ck_videos_poster_version"),
    ("videos", "base_views", "-1", "ck_videos_base_views"),
    ("imported_packages", "layout", "'dash'", "ck_imported_packages_layout"),
    ("videos", "media_key", "'../../etc'", "ck_videos_media_key"),
    ("videos", "media_key", "repeat('A', 32)", "ck_videos_media_key"),
    ("videos", "media_key", "repeat('a', 31)", "ck_videos_media_key"),
    ("video_qualities", "width", "-1", "ck_video_qualities_sizes"),
    ("video_qualities", "height", "-1", "ck_video_qualities_sizes"),
    ("video_qualities", "bitrate", "-1", "ck_video_qualities_sizes"),
    ("transcriptions", "status", "'ready'", "ck_transcriptions_status"),
    ("transcriptions", "duration_seconds", "-1", "ck_transcriptions_duration"),
    ("transcriptions", "word_count", "-1", "ck_transcriptions_words"),
    ("transcriptions", "progress_percent", "-1", "ck_transcriptions_progress"),
    ("transcriptions", "progress_percent", "101", "ck_transcriptions_progress"),
    ("archive_entries", "size", "-1", "ck_archive_entries_size"),
    *(("storage_entries", name, "-1", "ck_storage_entries_bytes") for name in ("source", "renditions", "extras")),
    ("storage_entries", "temporary", "-1", "ck_storage_entries_bytes"),
    ("audio_tracks", "role", "'karaoke'", "ck_audio_tracks_role"),
    ("audio_tracks", "name", "''", "ck_audio_tracks_name"),
    ("audio_tracks", "is_default", "TRUE, hidden = TRUE", "ck_audio_tracks_default"),
    ("caption_tracks", "number", "0", "ck_caption_tracks_number"),
    ("caption_tracks", "number", "100", "ck_caption_tracks_number"),
    ("caption_tracks", "language", "'e\"g'", "ck_caption_tracks_language"),
    ("caption_tracks", "language", "''", "ck_caption_tracks_language"),
    ("caption_tracks", "kind", "'chapters'", "ck_caption_tracks_kind"),
    ("caption_tracks", "origin", "'somewhere'", "ck_caption_tracks_origin"),
    ("caption_tracks", "state", "'hidden'", "ck_caption_tracks_state"),
    ("caption_tracks", "version", "0", "ck_caption_tracks_version"),
    ("caption_versions", "number", "0", "ck_caption_versions_number"),
    ("caption_versions", "length", "-1", "ck_caption_versions_length"),
    ("caption_versions", "language", "'e\"g'", "ck_caption_versions_language"),
    ("caption_versions", "origin", "'somewhere'", "ck_caption_versions_origin"),
    ("caption_versions", "state", "'published'", "ck_caption_versions_state"),
    ("caption_versions", "state", "'replaced', is_working = TRUE", "ck_caption_versions_working"),
    ("caption_versions", "revision", "0", "ck_caption_versions_revision"),
    ("chapters", "start", "-0.1", "ck_chapters_start"),
    ("source_streams", "fate", "'lost'", "ck_source_streams_fate"),
    ("source_streams", "number", "-1", "ck_source_streams_number"),
    ("cues", "start", "-0.1", "ck_cues_times"),
    ("cues", "start", "2", "ck_cues_times"),
    ("api_tokens", "scopes", "'{}'", "ck_api_tokens_scopes"),
    ("api_tokens", "scopes", "'{read,everything}'", "ck_api_tokens_scopes"),
    ("videos", "visibility", "'public'", "ck_videos_visibility_of_version"),
    ("file_versions", "state", "'lost'", "ck_file_versions_state"),
    ("file_versions", "number", "0", "ck_file_versions_number"),
    ("file_versions", "size", "-1", "ck_file_versions_size"),
    ("file_versions", "holder_id", "NULL", "ck_file_versions_state_holder"),
    ("file_versions", "state", "'current'", "ck_file_versions_state_holder"),
    ("file_versions", "state", "'replaced'", "ck_file_versions_replaced"),
    ("uploads", "size", "0", "ck_uploads_bytes"),
    ("uploads", '"offset"', "8", "ck_uploads_bytes"),
    ("uploads", "visibility", "'password'", "ck_uploads_visibility"),
    ("uploads", "finished_at", "NOW()", "ck_uploads_finished"),
    ("imports", "kind", "'ftp'", "ck_imports_kind"),
    ("imports", "state", "'lost'", "ck_imports_state"),
    ("imports", "tries", "-1", "ck_imports_counts"),
    ("imports", "state", "'running'", "ck_imports_lease"),
    ("source_files", "size", "0", "ck_source_files_size"),
    ("source_files", "sha256", "'x'", "ck_source_files_sha256"),
    ("playback_sessions", "duration_watched", "-1", "ck_playback_sessions_seconds"),
    ("playback_sessions", "max_position", "-1", "ck_playback_sessions_seconds"),
    ("playback_sessions", "last_report", "-1", "ck_playback_sessions_last_report"),
    ("daily_views", "views", "-1", "ck_daily_views_counts"),
    ("daily_views", "unique_viewers", "-1", "ck_daily_views_counts"),
    ("daily_views", "watch_seconds", "-1", "ck_daily_views_counts"),
    ("daily_views", "completions", "-1", "ck_daily_views_counts"),
    ("daily_totals", "views", "-1", "ck_daily_totals_counts"),
    ("daily_totals", "watch_seconds", "-1", "ck_daily_totals_counts"),
    ("daily_totals", "completions", "-1", "ck_daily_totals_counts"),
    ("transcoding_jobs", "current_step", "'upload'", "ck_transcoding_jobs_step"),
    ("transcoding_jobs", "progress_percent", "-1", "ck_transcoding_jobs_progress"),
    ("transcoding_jobs", "progress_percent", "101", "ck_transcoding_jobs_progress"),
    ("transcoding_jobs", "attempt_number", "0", "ck_transcoding_jobs_attempts"),
    ("transcoding_jobs", "max_attempts", "0", "ck_transcoding_jobs_attempts"),
    ("transcoding_jobs", "reserved_bytes", "-1", "ck_transcoding_jobs_reserved"),
    ("transcoding_jobs", "place", "1", "ck_transcoding_jobs_place"),
    ("transcoding_jobs", "cancelled_by", "''", "ck_transcoding_jobs_cancelled"),
    ("quality_progress", "status", "'running'", "ck_quality_progress_status"),
    ("quality_progress", "progress_percent", "-1", "ck_quality_progress_progress"),
    ("quality_progress", "progress_percent", "101", "ck_quality_progress_progress"),
    ("quality_progress", "segments_total", "-1", "ck_quality_progress_segments"),
    ("quality_progress", "segments_completed", "-1", "ck_quality_progress_segments"),
    ("workers", "status", "'online'", "ck_workers_status"),
    ("workers", "worker_type", "'cloud'", "ck_workers_worker_type"),
    ("workers", "hold", "'paused', held_back = 'why'", "ck_workers_hold"),
    ("workers", "hold", "'drained'", "ck_workers_hold"),
    ("workers", "held_back", "'why'", "ck_workers_hold"),
    ("transcoding_chunks", "kind", "'subtitles'", "ck_transcoding_chunks_kind"),
    ("speech_parts", "percent", "101", "ck_speech_parts_percent"),
    ("speech_parts", "begin", "300", "ck_speech_parts_times"),
    ("transcoding_chunks", "status", "'in_progress'", "ck_transcoding_chunks_status"),
    ("transcoding_chunks", "priority", "4", "ck_transcoding_chunks_priority"),
    ("transcoding_chunks", "place", "1", "ck_transcoding_chunks_place"),
    ("transcoding_chunks", "first_segment", "1", "ck_transcoding_chunks_segments"),
    ("transcoding_chunks", "last_segment", "-1", "ck_transcoding_chunks_segments"),
    ("transcoding_chunks", "tier", "-1", "ck_transcoding_chunks_counts"),
    ("transcoding_chunks", "index", "-1", "ck_transcoding_chunks_counts"),
    ("transcoding_chunks", "attempt", "-1", "ck_transcoding_chunks_counts"),
    ("transcoding_chunks", "failures", "-1", "ck_transcoding_chunks_counts"),
    ("transcoding_attempts", "outcome", "'gone', ended_at = NOW()", "ck_transcoding_attempts_outcome"),
    ("transcoding_attempts", "outcome", "'lost'", "ck_transcoding_attempts_end"),
    ("transcoding_attempts", "ended_at", "NOW()", "ck_transcoding_attempts_end"),
    ("transcoding_attempts", "first_segment", "1", "ck_transcoding_attempts_segments"),
    ("transcoding_attempts", "last_segment", "-1", "ck_transcoding_attempts_segments"),
    ("transcoding_attempts", "tier", "-1", "ck_transcoding_attempts_counts"),
    ("transcoding_attempts", "number", "0", "ck_transcoding_attempts_counts"),
    ("transcoding_attempts", "seconds", "-1", "ck_transcoding_attempts_counts"),
    ("transcoding_attempts", "final", "TRUE", "ck_transcoding_attempts_final"),
    ("webhooks", "events", "ARRAY['video.eaten']", "ck_webhooks_events"),
    ("webhooks", "events", "'{}'", "ck_webhooks_events"),
    ("webhooks", "secret", "''", "ck_webhooks_secret"),
    ("webhooks", "retry_at", "NOW()", "ck_webhooks_retry_at"),
    ("webhook_deliveries", "next_at", "NOW(), delivered_at = NOW()", "ck_webhook_deliveries_delivered"),
]
LISTED_VALUES = [
    (table, column, value)
    for table, text in TABLES.items()
    for title, column in (("Status values", "status"), ("Steps, in their order", "current_step"))
    for value in listed(text, title)
]


@pytest.mark.parametrize(("table", "column", "value", "constraint"), REFUSED)
@pytest.mark.usefixtures("filled")
def test_the_database_refuses_what_cannot_be(table, column, value, constraint):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        query(f"UPDATE {table} SET {column} = {value}")
    assert f'"{constraint}"' in str(refusal.value)


@pytest.mark.django_db
def test_every_check_has_been_tried():
    tried = {(table, name) for table, _, _, name in REFUSED} | {("audit_entries", "ck_audit_entries_via")}
    assert tried == {(table, name) for table, name, *_ in constraints("c")}


@pytest.mark.django_db
def test_an_entry_of_the_audit_log_is_from_a_known_place():
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():  # no UPDATE reaches the check
        query("INSERT INTO audit_entries (action, via) VALUES ('restored', 'somewhere')")
    assert '"ck_audit_entries_via"' in str(refusal.value)


@pytest.mark.parametrize(("table", "column", "value"), LISTED_VALUES)
@pytest.mark.usefixtures("filled")
def test_the_database_takes_every_documented_value(table, column, value):
    query(f"UPDATE {table} SET {column} = %s", value)
    assert query(f"SELECT DISTINCT {column} FROM {table}") == [(value,)]


def test_the_documented_values_are_those_of_the_models():
    known = {
        (field.model._meta.db_table, field.column, value)
        for field in FIELDS
        if field.column in ("status", "current_step")
        for value, _ in field.choices or []
    }
    assert set(LISTED_VALUES) == known


@pytest.mark.parametrize("percent", [0, 100])
@pytest.mark.parametrize("table", ["transcoding_jobs", "quality_progress"])
@pytest.mark.usefixtures("filled")
def test_the_ends_of_a_percentage_belong_to_it(table, percent):
    query(f"UPDATE {table} SET progress_percent = %s", percent)


# Defaults


@pytest.mark.parametrize("field", FIELDS_WITH_DEFAULT, ids=str)
@pytest.mark.django_db
def test_python_and_the_database_agree_on_a_default(field, settings):
    settings.DEFAULT_VISIBILITY = "private"  # the tests' own is public
    _, _, expression = catalogue()[field.model._meta.db_table, field.column]
    ((there,),) = query(f"SELECT {expression}")
    here = getattr(field.model(), field.attname)
    assert not isinstance(here, DatabaseDefault)
    if field.column == "media_key":
        assert re.fullmatch("[0-9a-f]{32} [0-9a-f]{32}", f"{here} {there}")
    elif isinstance(field, models.UUIDField):
        assert here.version == there.version == 4
    elif isinstance(field, models.DateTimeField):
        assert abs((here - there).total_seconds()) < 60
    elif isinstance(field, models.JSONField):
        assert json.loads(there) == here
    else:
        assert field.to_python(there) == here


def test_every_documented_default_is_also_one_in_python():
    documented = {place for place, column in COLUMNS.items() if column.default}
    assert {(field.model._meta.db_table, field.column) for field in FIELDS_WITH_DEFAULT} == documented


@pytest.mark.usefixtures("filled")
def test_rows_typed_by_hand_get_keys_and_times_of_their_own():
    query("INSERT INTO videos (id, title, slug) VALUES (2, 'Another', 'another')")
    keys = [key for (key,) in query("SELECT media_key FROM videos")]
    assert len(set(keys)) == len(keys) == 3
    ((created,),) = query("SELECT created_at FROM videos WHERE slug = 'another'")
    assert abs((timezone.now() - created).total_seconds()) < 60


# The common queries


def run_common(number: int) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[number])
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=False)) for row in cursor.fetchall()]


def test_there_are_five_common_queries():
    assert len(QUERIES) == 5


@pytest.mark.usefixtures("filled")
def test_the_ready_videos_come_with_their_category_and_the_latest_first():
    query("""INSERT INTO videos (id, title, slug, status, published_at) VALUES
             (2, 'Later', 'later', 'ready', NOW() + INTERVAL '1 hour'), (3, 'Unmade', 'unmade', 'pending', NULL)""")
    assert [(row["slug"], row["category_name"]) for row in run_common(0)] == [("later", None), ("my-video", "Walks")]


@pytest.mark.usefixtures("filled")
def test_a_video_comes_with_its_qualities():
    (row,) = run_common(1)
    assert (row["title"], row["quality"], row["width"], row["height"], row["bitrate"]) == (
        ("A walk", "720p", 1280, 720, 2000)
    )


@pytest.mark.usefixtures("filled")
def test_a_job_comes_with_its_qualities():
    (row,) = run_common(2)
    assert (row["video_id"], row["quality"], row["status"], row["progress_percent"]) == (1, "720p", "pending", 0)


@pytest.mark.usefixtures("filled")
def test_all_plays_come_at_a_glance():
    (row,) = run_common(3)
    assert (row["total_views"], row["unique_viewers"], row["watch_hours"]) == (3, 1, 2.0)
    assert float(row["completion_rate"]) == pytest.approx(1 / 3)


@pytest.mark.usefixtures("filled")
def test_a_job_that_stands_still_for_half_an_hour_is_stale():
    assert [row["id"] for row in run_common(4)] == [1]
    query("UPDATE transcoding_jobs SET last_checkpoint = NOW() - INTERVAL '29 minutes'")
    assert run_common(4) == []
    query("UPDATE transcoding_jobs SET last_checkpoint = NOW() - INTERVAL '1 day', completed_at = NOW()")
    assert run_common(4) == []


# Migrations, in a separate database: a failure must not affect other tests


@pytest.fixture(scope="module")
def template(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """The name of a migrated database that is only copied."""
    with django_db_blocker.unblock(), database("template") as alias:
        migrate(alias)
        connections[alias].close()
        yield connections.settings[alias]["NAME"]


@pytest.fixture
def scratch(template: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A migrated database with its own alias. Not with the `db` fixture, which allows known aliases only."""
    with django_db_blocker.unblock(), database("scratch", template) as alias:
        yield alias


@contextmanager
def database(alias: str, template: str = "template1") -> Iterator[str]:
    name = f"{connection.settings_dict['NAME']}_{alias}"
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    connections.settings[alias] = {**connection.settings_dict, "NAME": name}
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}"')


def migrate(using: str, *targets: tuple[str, str | None]) -> None:
    executor = MigrationExecutor(connections[using])
    executor.migrate(list(targets) or executor.loader.graph.leaf_nodes())


def shape(using: str) -> tuple[Any, ...]:
    """Return the descriptions of our tables in the catalogue."""
    return catalogue(using), indexes(using), *(constraints(kind, using) for kind in "cfpu")


@pytest.mark.slow("undoes and repeats all migrations on a filled database")
def test_migrations_are_undone_and_done_again_on_a_filled_database(scratch):
    assert shape(scratch) == shape("default")
    query(ROWS, using=scratch)
    migrate(scratch, *((app, None) for app in APPS))
    assert catalogue(scratch) == {}
    migrate(scratch)
    query(ROWS, using=scratch)
    assert shape(scratch) == shape("default")


@pytest.mark.slow("undoes all migrations, once for each app")
@pytest.mark.parametrize("app", APPS)
def test_each_app_is_undone_alone_with_those_that_need_it_on_a_filled_database(scratch, app):
    query(ROWS, using=scratch)
    migrate(scratch, (app, None))
    own = {model._meta.db_table for model in apps.get_app_config(app).get_models()}
    assert not own & {table for table, _ in catalogue(scratch)}
    migrate(scratch)
    assert shape(scratch) == shape("default")


@pytest.mark.slow("undoes and repeats migrations on a filled database")
def test_the_rows_of_workers_outlive_the_step_back_before_their_current_job(scratch):
    query(ROWS, using=scratch)
    migrate(scratch, ("workers", "0001_initial"))
    assert ("workers", "current_job_id") not in catalogue(scratch)
    migrate(scratch)
    assert query("SELECT worker_id, current_job_id FROM workers", using=scratch) == [("uuid", None)]


def test_no_app_has_two_last_migrations(scratch):
    leaves = [app for app, _ in MigrationExecutor(connections[scratch]).loader.graph.leaf_nodes() if app in APPS]
    assert all(one != other for one, other in pairwise(sorted(leaves)))
    assert set(leaves) == set(APPS)
