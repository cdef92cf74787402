"""Webhooks, and the triggers that record events for them in the transaction of the change, whatever makes it."""

import uuid
from typing import Any

import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.core.serializers.json
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import videos.models.webhooks

EVENTS = [
    ("video.uploaded", "A video was uploaded"),
    ("video.ready", "A video is ready"),
    ("video.failed", "A video failed"),
    ("video.published", "A video became public"),
    ("video.withdrawn", "A video is no longer public"),
    ("video.archived", "A video was archived"),
    ("captions.ready", "Captions can be watched"),
]

# The slug of an archived video is its media key, which no other program may learn: the payload has the one of before.
TRIGGERS = """
ALTER TABLE webhook_deliveries ADD CONSTRAINT fk_webhook_deliveries_webhook_id FOREIGN KEY (webhook_id)
    REFERENCES webhooks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;

CREATE FUNCTION record_webhook_event(event TEXT, payload JSONB) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO webhook_deliveries (webhook_id, event, payload, next_at)
    SELECT id, $1, $2, NOW() FROM webhooks WHERE active AND $1 = ANY (events)
$$;

CREATE FUNCTION record_video_events() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    present JSONB;
    former JSONB := '{}';
    reach INTEGER := 0;
    reached INTEGER := 0;
    happened TEXT[] := '{}';
    event TEXT;
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks WHERE active) THEN
        RETURN NULL;
    END IF;
    -- As JSON, because the columns of other versions of a file come with a migration that may be missing.
    present := to_jsonb(NEW);
    IF present ->> 'version_of_id' IS NOT NULL THEN
        RETURN NULL;
    END IF;
    reach := video_reach(NEW.status, NEW.publish_early, NEW.playable, NEW.visibility, NEW.deleted_at);
    IF TG_OP = 'INSERT' THEN
        happened := ARRAY['video.uploaded'];
    ELSE
        former := to_jsonb(OLD);
        reached := video_reach(OLD.status, OLD.publish_early, OLD.playable, OLD.visibility, OLD.deleted_at);
    END IF;
    IF NEW.deleted_at IS NULL AND NEW.status IN ('ready', 'failed') AND (
        former -> 'status' IS DISTINCT FROM present -> 'status'
        OR former -> 'package_number' IS DISTINCT FROM present -> 'package_number'
    ) THEN
        happened := happened || ('video.' || NEW.status);
    END IF;
    IF reach = 2 AND reached < 2 THEN
        happened := happened || 'video.published'::TEXT;
    ELSIF reach < 2 AND reached = 2 THEN
        happened := happened || 'video.withdrawn'::TEXT;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.deleted_at IS NOT NULL AND former ->> 'deleted_at' IS NULL THEN
        happened := happened || 'video.archived'::TEXT;
    END IF;
    FOREACH event IN ARRAY happened LOOP
        PERFORM record_webhook_event(event, jsonb_build_object('video', jsonb_build_object(
            'id', NEW.id, 'title', NEW.title, 'visibility', NEW.visibility,
            'slug', CASE WHEN TG_OP = 'UPDATE' AND NEW.deleted_at IS NOT NULL THEN former ->> 'slug' ELSE NEW.slug END)));
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER tr_videos_webhooks AFTER INSERT OR UPDATE OF status, publish_early, playable, visibility, deleted_at
    ON videos FOR EACH ROW EXECUTE FUNCTION record_video_events();

CREATE FUNCTION record_captions_event() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM record_webhook_event('captions.ready', jsonb_build_object(
        'video', jsonb_build_object('id', id, 'slug', slug, 'title', title, 'visibility', visibility),
        'captions', jsonb_build_object('number', NEW.number, 'language', NEW.language, 'kind', NEW.kind)))
    FROM videos WHERE id = NEW.video_id AND deleted_at IS NULL AND to_jsonb(videos) ->> 'version_of_id' IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER tr_caption_tracks_webhooks AFTER INSERT OR UPDATE OF state ON caption_tracks
    FOR EACH ROW WHEN (NEW.state = 'published') EXECUTE FUNCTION record_captions_event();
"""
NO_TRIGGERS = """
DROP TRIGGER tr_caption_tracks_webhooks ON caption_tracks;
DROP FUNCTION record_captions_event();
DROP TRIGGER tr_videos_webhooks ON videos;
DROP FUNCTION record_video_events();
DROP FUNCTION record_webhook_event(TEXT, JSONB);
ALTER TABLE webhook_deliveries DROP CONSTRAINT fk_webhook_deliveries_webhook_id;
"""

RIGHTS = {"webhook": ("add", "change", "delete", "view"), "webhookdelivery": ("change", "view")}
NAMES = {"webhook": "webhook", "webhookdelivery": "webhook delivery"}


def grant(apps: Any, schema_editor: Any) -> None:
    """Give the rights to the groups and users that may change accounts: webhooks send what is private, too."""
    types = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    for model, verbs in RIGHTS.items():
        content_type, _ = types.get_or_create(app_label="videos", model=model)
        for verb in verbs:
            name = {"name": f"Can {verb} {NAMES[model]}"}
            permission, _ = permissions.get_or_create(
                content_type=content_type, codename=f"{verb}_{model}", defaults=name
            )
            for change_user in permissions.filter(content_type__app_label="auth", codename="change_user"):
                permission.group_set.add(*change_user.group_set.all())
                permission.user_set.add(*change_user.user_set.all())


def withdraw(apps: Any, schema_editor: Any) -> None:
    rights = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="videos")
    rights.filter(content_type__model__in=RIGHTS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("videos", "0017_old_slugs"),
    ]

    operations = [
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "address",
                    models.CharField(
                        help_text="Such as https://example.org/hook; redirects are not followed", max_length=500
                    ),
                ),
                (
                    "secret",
                    models.CharField(default=videos.models.webhooks.new_webhook_secret, editable=False, max_length=100),
                ),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(choices=EVENTS, max_length=20), size=None
                    ),
                ),
                (
                    "active",
                    models.BooleanField(db_default=True, default=True, help_text="Events are recorded and sent."),
                ),
                ("failing_since", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retry_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
            ],
            options={
                "db_table": "webhooks",
                "ordering": ["address", "id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("events__contained_by", [event for event, _ in EVENTS]),
                            models.Q(("events", []), _negated=True),
                        ),
                        name="ck_webhooks_events",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("secret", ""), _negated=True), name="ck_webhooks_secret"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("retry_at", None), ("failing_since__isnull", False), _connector="OR"),
                        name="ck_webhooks_retry_at",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "key",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("event", models.CharField(max_length=20)),
                (
                    "payload",
                    models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="time",
                    ),
                ),
                ("next_at", models.DateTimeField(blank=True, default=django.utils.timezone.now, null=True)),
                ("delivered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "tries",
                    models.JSONField(
                        db_default=[], default=list, encoder=django.core.serializers.json.DjangoJSONEncoder
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="videos.webhook",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "db_table": "webhook_deliveries",
                "ordering": ["-created_at", "-key"],
                "default_permissions": ("view", "change"),
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)),
                        fields=["webhook", "next_at"],
                        name="ix_webhook_deliveries_due",
                    ),
                    models.Index(fields=["webhook", "created_at"], name="ix_webhook_deliveries_webhook"),
                    models.Index(fields=["created_at"], name="ix_webhook_deliveries_created"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("next_at", None), ("delivered_at", None), _connector="OR"),
                        name="ck_webhook_deliveries_delivered",
                    )
                ],
            },
        ),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.RunPython(grant, withdraw),
    ]
