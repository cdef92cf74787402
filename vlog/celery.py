"""The Celery application: `celery -A vlog worker`."""

import os

from celery import Celery
from celery.signals import beat_init, celeryd_init, task_prerun

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
