"""The Celery application: `celery -A vlog worker`."""

import os
import time

from celery import Celery
from celery.signals import after_task_publish, beat_init, celeryd_init, task_prerun
from django.core.cache import cache

from vlog import embedded, logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")

app = Celery("vlog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
@beat_init.connect
def join_installation(**kwargs: object) -> None:
    """Hold the embedded services for as long as this worker or scheduler lives."""
    embedded.join()


@task_prerun.connect
def forget_the_last(**kwargs: object) -> None:
    """What this process logs does not concern any more what the task before was about."""
    logs.begin()


@beat_init.connect
def look_for_trouble(**kwargs: object) -> None:
    from vlog import alerts  # noqa: PLC0415 - Django has to be set up before

    alerts.begin_to_look()


@beat_init.connect
def tell_of_beat(**kwargs: object) -> None:
    after_task_publish.connect(note_beat)


def note_beat(**kwargs: object) -> None:
    """The scheduler lives: it has sent a message just now."""
    cache.set("beat", time.time(), 24 * 3600)
