"""The Celery application: `celery -A vlog worker`."""

import os
import time

from celery import Celery
from celery.signals import after_task_publish, beat_init, celeryd_init, task_prerun
from django.core.cache import cache

from vlog import embedded, logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")

DAY = 24 * 3600  # seconds

app = Celery("vlog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
@beat_init.connect
def join_installation(**kwargs: object) -> None:
    """Keep the embedded services running for as long as this worker or scheduler runs."""
    embedded.join()


@task_prerun.connect
def clear_log_context(**kwargs: object) -> None:
    """Remove the log context of the previous task."""
    logs.clear_context()


@beat_init.connect
def start_alerts(**kwargs: object) -> None:
    from vlog import alerts  # noqa: PLC0415 - it needs Django to be set up

    alerts.start()


@beat_init.connect
def record_heartbeats(**kwargs: object) -> None:
    after_task_publish.connect(record_heartbeat)


def record_heartbeat(**kwargs: object) -> None:
    """Store when the scheduler last sent a message: `manage.py doctor` reads it."""
    cache.set("beat", time.time(), DAY)
