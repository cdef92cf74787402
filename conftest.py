"""One data folder with real services for the whole test run; it goes when the run ends."""

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import hypothesis
import jinja2
import psycopg
import pytest
import redis
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from hypothesis import HealthCheck

from vlog import embedded
from vlog.environment import redis_client_url

IS_XDIST_WORKER = "PYTEST_XDIST_WORKER" in os.environ


def _begin() -> Path:
    # Playwright's synchronous API runs an event loop in the thread in which tests use the ORM.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
    os.environ["VLOG_WHISPER_MODEL"] = "none"  # the tests of captions name their own; nothing is fetched
    # Without the lowest rung: most clips have 360 lines, and are made in one rendition.
    os.environ["VLOG_LADDER"] = "2160:15000:192, 1440:8000:192, 1080:5000:128, 720:2500:128, 480:1000:96, 360:600:96"
    os.environ["VLOG_DEFAULT_VISIBILITY"] = "public"  # most tests are about videos that everybody may watch
    os.environ["VLOG_KEEP_PAGES_BYTES"] = "0"  # a change shows at once; the tests of kept pages set their own
    os.environ["VLOG_DISK_RESERVE"] = "0"  # the tests of the mark set their own; the machine's disk may be nearly full
    if not IS_XDIST_WORKER:  # a worker inherits the controller's folder
        os.environ["VLOG_DATA_DIR"] = tempfile.mkdtemp(prefix="vlog-test-")
    embedded.join()
    if not IS_XDIST_WORKER and "postgres" in embedded.required():
        _trust_the_machine()
    if "vlog.settings" in sys.modules:
        _reread_settings()
    if not os.environ.get("VLOG_TEST_COLLECTED"):
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.TEMPLATES[0]["OPTIONS"]["undefined"] = jinja2.StrictUndefined
    # Every test client has a WhiteNoise of its own, which otherwise reads through all static files first.
    settings.WHITENOISE_AUTOREFRESH = True
    # Two workers' Celery nodes must not take each other's messages: each has a Redis database of its own.
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    settings.REDIS_URL = settings.CELERY_BROKER_URL = settings.REDIS_URL.replace("host=0", f"host={number}")
    settings.CACHES["default"]["LOCATION"] = [redis_client_url(settings.REDIS_URL)]
    django.setup()
    PBKDF2PasswordHasher.iterations = 1  # half a second of the processor for each account of a test otherwise
    return Path(os.environ["VLOG_DATA_DIR"])


def _trust_the_machine() -> None:
    """Let PostgreSQL wait for no disk: of this run nothing has to outlive a power cut."""
    with psycopg.connect(embedded.database_url(Path(os.environ["VLOG_DATA_DIR"])), autocommit=True) as database:
        for name in ("fsync", "full_page_writes"):
            database.execute(f"ALTER SYSTEM SET {name} = off")
        database.execute("SELECT pg_reload_conf()")


def _reread_settings() -> None:
    """pytest-django reads the settings that pyproject.toml names before it lets any conftest choose the folder."""
    databases = settings.DATABASES  # Django's connections are made of these very dictionaries
    importlib.reload(sys.modules["vlog.settings"])
    settings._setup()  # type: ignore[misc]
    databases["default"].update(settings.DATABASES["default"])
    settings.DATABASES = databases


hypothesis.settings.register_profile(
    "vlog",
    deadline=None,  # no test measures time: the machine may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("vlog")

# When this file is imported, because test modules and other conftests import models.
DATA_DIR = _begin()
pytest_plugins = [
    "videos.tests.folders",
    "videos.tests.live",
    "videos.tests.store",
    "vlog.tests.counted",
    "vlog.tests.services",
    "vlog.tests.earlier_release",
    "vlog.tests.flushing",
    "vlog.tests.slow",
]


REDIS = redis.Redis.from_url(redis_client_url(settings.REDIS_URL))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget what earlier tests guessed and called, before any fixture logs in.

    All tests of this process have one address, and the limits of an address count for up to an hour.
    """
    for kind in ("guesses", "bucket"):
        for key in REDIS.scan_iter(f"*:{kind}:*", count=1000):
            REDIS.delete(key)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if not IS_XDIST_WORKER:
        embedded.leave()
        shutil.rmtree(DATA_DIR)


# What migrations wrote: a test with transactions of its own empties all tables but these. Groups and their permissions
# take a third of a second to make again, in every test that needs them.
KEPT = {"auth_group", "auth_group_permissions", "auth_permission", "django_content_type"}


@pytest.fixture(scope="session", autouse=True)
def _keep_groups() -> Iterator[None]:
    def without_kept(*arguments: Any, **options: Any) -> list[str]:
        return [table for table in table_names(*arguments, **options) if table not in KEPT]

    # Of every connection: beside the event loop of a browser, the same thread has another one.
    introspection = type(connection.introspection)
    table_names = introspection.django_table_names
    introspection.django_table_names = without_kept  # type: ignore[method-assign]
    yield
    introspection.django_table_names = table_names  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _first_settings_of_the_site() -> None:
    """Each test begins with the first values, which cost no query; what it saves is read."""
    site = importlib.import_module("vlog.site")  # here, because it needs the models
    site.settings_of_site.assume(site.first_values())
    importlib.import_module("videos.models").footer.assume(())
    for name, value in (("filters", "offered"), ("months", "numbers"), ("related", "lists")):
        if module := sys.modules.get(f"videos.pages.{name}"):
            getattr(module, value).forget()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Each test process counts videos from a number of its own: they share the folder that is named by it."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        first = number * 1_000_000 + 1
        cursor.execute(f"ALTER TABLE videos ALTER COLUMN id SET START WITH {first} RESTART WITH {first}")
