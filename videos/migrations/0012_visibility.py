"""Who may watch a video is a column of its own: `published_at` said that, and when, and whether it was withdrawn.

What is there: published videos are public. Those with a date ahead are private, with a change to public at that moment.
Those that are not ready yet are public when they are. Ready ones without a date were withdrawn, and are private.

`video_reach` orders the states by who may fetch the files with the media key alone: 2 for everybody, 1 for everybody with
the address, 0 for nobody: a private video and one with a password need a grant.
"""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import videos.models.visibility

FOREIGN_KEYS = """
ALTER TABLE visibility_changes ADD CONSTRAINT fk_visibility_changes_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE share_links ADD CONSTRAINT fk_share_links_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE editor_defaults ADD CONSTRAINT fk_editor_defaults_user_id FOREIGN KEY (user_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE editor_defaults DROP CONSTRAINT fk_editor_defaults_user_id;
ALTER TABLE share_links DROP CONSTRAINT fk_share_links_video_id;
ALTER TABLE visibility_changes DROP CONSTRAINT fk_visibility_changes_video_id;
"""

OLD_TRIGGER = """
CREATE FUNCTION video_reach(status TEXT, publish_early BOOLEAN, published_at TIMESTAMPTZ, deleted_at TIMESTAMPTZ)
RETURNS INTEGER LANGUAGE sql AS $$
    SELECT CASE
        WHEN deleted_at IS NULL AND published_at <= clock_timestamp()
            AND (status = 'ready' OR status = 'processing' AND publish_early) THEN 1
        ELSE 0
    END
$$;
CREATE FUNCTION renew_media_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.media_key = OLD.media_key
        AND video_reach(NEW.status, NEW.publish_early, NEW.published_at, NEW.deleted_at)
            < video_reach(OLD.status, OLD.publish_early, OLD.published_at, OLD.deleted_at)
    THEN
        NEW.media_key := replace(gen_random_uuid()::TEXT, '-', '');
    END IF;
    IF NEW.media_key <> OLD.media_key OR (NEW.deleted_at IS NULL) <> (OLD.deleted_at IS NULL) THEN
        NEW.misplaced := TRUE;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tr_videos_media_key BEFORE UPDATE OF status, publish_early, published_at, deleted_at, media_key ON videos
    FOR EACH ROW EXECUTE FUNCTION renew_media_key();
"""
NO_OLD_TRIGGER = """
DROP TRIGGER tr_videos_media_key ON videos;
DROP FUNCTION renew_media_key();
DROP FUNCTION video_reach(TEXT, BOOLEAN, TIMESTAMPTZ, TIMESTAMPTZ);
"""

# Two writers of one video's changes: the second waits for the row, and then reads what the first has written, because
# each statement of a function sees what is committed when it begins.
CHANGES = """
CREATE FUNCTION due_visibility(video INTEGER) RETURNS VARCHAR LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT visibility FROM visibility_changes WHERE video_id = video AND at <= STATEMENT_TIMESTAMP()
    ORDER BY at DESC LIMIT 1
$$;
CREATE FUNCTION note_next_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    changed INTEGER := CASE WHEN TG_OP = 'DELETE' THEN OLD.video_id ELSE NEW.video_id END;
BEGIN
    PERFORM FROM videos WHERE id = changed FOR NO KEY UPDATE;
    UPDATE videos SET changes_at = (SELECT min(at) FROM visibility_changes WHERE video_id = changed)
        WHERE id = changed;
    RETURN NULL;
END $$;
CREATE TRIGGER tr_visibility_changes_next AFTER INSERT OR UPDATE OR DELETE ON visibility_changes
    FOR EACH ROW EXECUTE FUNCTION note_next_change();
"""
NO_CHANGES = """
DROP TRIGGER tr_visibility_changes_next ON visibility_changes;
DROP FUNCTION note_next_change();
DROP FUNCTION due_visibility(INTEGER);
"""

MOVE = """
INSERT INTO visibility_changes (video_id, at, visibility)
    SELECT id, published_at, 'public' FROM videos WHERE published_at > clock_timestamp();
UPDATE videos SET
    playable = status = 'ready' OR status <> 'pending' AND published_at IS NOT NULL AND changes_at IS NULL,
    visibility = CASE WHEN changes_at IS NOT NULL OR published_at IS NULL AND status = 'ready' THEN 'private'
                      ELSE 'public' END,
    published_at = CASE WHEN changes_at IS NULL THEN published_at END;
SET CONSTRAINTS ALL IMMEDIATE;
"""
MOVE_BACK = """
UPDATE videos SET published_at = (
    SELECT min(at) FROM visibility_changes c WHERE c.video_id = videos.id AND c.visibility = 'public'
) WHERE visibility <> 'public';
DELETE FROM visibility_changes;
SET CONSTRAINTS ALL IMMEDIATE;
"""

# A publication is noted here, because it cannot be forgotten here: not by a step, a form, a change of the visibility, or
# by a node of an earlier release, which writes a date when a video is ready, whoever may watch it.
TRIGGERS = """
CREATE FUNCTION video_reach(
    status TEXT, publish_early BOOLEAN, playable BOOLEAN, visibility TEXT, deleted_at TIMESTAMPTZ
) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN deleted_at IS NOT NULL OR NOT (status = 'ready' OR status = 'processing' AND publish_early AND playable) THEN 0
        WHEN visibility = 'public' THEN 2
        WHEN visibility = 'unlisted' THEN 1
        ELSE 0
    END
$$;
CREATE FUNCTION renew_media_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.media_key = OLD.media_key AND (
        video_reach(NEW.status, NEW.publish_early, NEW.playable, NEW.visibility, NEW.deleted_at)
            < video_reach(OLD.status, OLD.publish_early, OLD.playable, OLD.visibility, OLD.deleted_at)
        OR OLD.password <> '' AND NEW.password <> '' AND NEW.password <> OLD.password
    ) THEN
        NEW.media_key := replace(gen_random_uuid()::TEXT, '-', '');
    END IF;
    IF NEW.media_key <> OLD.media_key OR (NEW.deleted_at IS NULL) <> (OLD.deleted_at IS NULL) THEN
        NEW.misplaced := TRUE;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tr_videos_media_key
    BEFORE UPDATE OF status, publish_early, playable, visibility, password, deleted_at, media_key ON videos
    FOR EACH ROW EXECUTE FUNCTION renew_media_key();

CREATE FUNCTION note_publication() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.published_at IS NOT NULL THEN
        NEW.published_at := COALESCE(NEW.published_at, OLD.published_at);
    ELSIF video_reach(NEW.status, NEW.publish_early, NEW.playable, NEW.visibility, NEW.deleted_at) = 2 THEN
        NEW.published_at := COALESCE(NEW.published_at, clock_timestamp());
    ELSIF TG_OP = 'UPDATE' THEN
        NEW.published_at := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tr_videos_published_at
    BEFORE INSERT OR UPDATE OF status, publish_early, playable, visibility, deleted_at, published_at ON videos
    FOR EACH ROW EXECUTE FUNCTION note_publication();
"""
NO_TRIGGERS = """
DROP TRIGGER tr_videos_published_at ON videos;
DROP FUNCTION note_publication();
DROP TRIGGER tr_videos_media_key ON videos;
DROP FUNCTION renew_media_key();
DROP FUNCTION video_reach(TEXT, BOOLEAN, BOOLEAN, TEXT, TIMESTAMPTZ);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("videos", "0011_chapters_and_source_streams"),
    ]

    operations = [
        migrations.CreateModel(
            name="EditorDefaults",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "visibility",
                    models.CharField(
                        choices=[
                            ("private", "Private"),
                            ("unlisted", "Unlisted"),
                            ("public", "Public"),
                            ("password", "Password"),
                        ],
                        max_length=10,
                    ),
                ),
            ],
            options={
                "db_table": "editor_defaults",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ShareLink",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(blank=True, db_default="", default="", help_text="Who got it", max_length=100),
                ),
                ("key_hash", models.CharField(editable=False, max_length=64)),
                ("key_prefix", models.CharField(editable=False, max_length=8)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "share_links",
                "ordering": ["-created_at", "-id"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="VisibilityChange",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "visibility",
                    models.CharField(
                        choices=[
                            ("private", "Private"),
                            ("unlisted", "Unlisted"),
                            ("public", "Public"),
                            ("password", "Password"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "password",
                    models.CharField(blank=True, db_default="", default="", help_text="Its hash", max_length=128),
                ),
            ],
            options={
                "db_table": "visibility_changes",
                "ordering": ["at"],
                "default_permissions": (),
            },
        ),
        migrations.RunSQL(NO_OLD_TRIGGER, OLD_TRIGGER),
        migrations.RemoveIndex(
            model_name="video",
            name="ix_videos_public",
        ),
        migrations.AddField(
            model_name="video",
            name="changes_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When the next change of the visibility is due", null=True
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="password",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, help_text="Its hash", max_length=128
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="playable",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name="video",
            name="visibility",
            field=models.CharField(
                choices=[
                    ("private", "Private"),
                    ("unlisted", "Unlisted"),
                    ("public", "Public"),
                    ("password", "Password"),
                ],
                db_default="private",
                default=videos.models.visibility.default_visibility,
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="video",
            name="published_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        # A generated column cannot be altered everywhere.
        migrations.RemoveField(model_name="video", name="watchable"),
        migrations.AddField(
            model_name="video",
            name="watchable",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.ExpressionWrapper(
                    models.Q(
                        ("status", "ready"),
                        models.Q(("playable", True), ("publish_early", True), ("status", "processing")),
                        _connector="OR",
                    ),
                    models.BooleanField(),
                ),
                output_field=models.BooleanField(),
            ),
        ),
        migrations.AddIndex(
            model_name="video",
            index=models.Index(
                models.OrderBy(models.F("published_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(
                    models.Q(("visibility", "public"), ("changes_at__isnull", False), _connector="OR"),
                    ("deleted_at__isnull", True),
                    ("watchable", True),
                ),
                name="ix_videos_public",
            ),
        ),
        migrations.AddConstraint(
            model_name="video",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["private", "unlisted", "public", "password"])),
                name="ck_videos_visibility",
            ),
        ),
        migrations.AddConstraint(
            model_name="video",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("visibility", "password"), models.Q(("password", ""), _negated=True)),
                    models.Q(models.Q(("visibility", "password"), _negated=True), ("password", "")),
                    _connector="OR",
                ),
                name="ck_videos_password",
            ),
        ),
        migrations.AddConstraint(
            model_name="editordefaults",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["private", "unlisted", "public", "password"])),
                name="ck_editor_defaults_visibility",
            ),
        ),
        migrations.AddField(
            model_name="sharelink",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="share_links",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="visibilitychange",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="changes",
                to="videos.video",
            ),
        ),
        migrations.AddIndex(
            model_name="sharelink",
            index=models.Index(fields=["key_prefix"], name="ix_share_links_key_prefix"),
        ),
        migrations.AddIndex(
            model_name="sharelink",
            index=models.Index(fields=["video"], name="ix_share_links_video_id"),
        ),
        migrations.AddIndex(
            model_name="visibilitychange",
            index=models.Index(fields=["at"], name="ix_visibility_changes_at"),
        ),
        migrations.AddConstraint(
            model_name="visibilitychange",
            constraint=models.UniqueConstraint(fields=("video", "at"), name="uq_visibility_changes_video_id_at"),
        ),
        migrations.AddConstraint(
            model_name="visibilitychange",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["private", "unlisted", "public", "password"])),
                name="ck_visibility_changes_visibility",
            ),
        ),
        migrations.AddConstraint(
            model_name="visibilitychange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("visibility", "password"), models.Q(("password", ""), _negated=True)),
                    models.Q(models.Q(("visibility", "password"), _negated=True), ("password", "")),
                    _connector="OR",
                ),
                name="ck_visibility_changes_password",
            ),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
        migrations.RunSQL(CHANGES, NO_CHANGES),
        migrations.RunSQL(MOVE, MOVE_BACK),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
