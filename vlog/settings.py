"""The settings, read from VLOG_* variables; docs/settings.md lists them.

Each variable NAME can also be set as NAME_FILE: the path of a file that contains the value (for secrets).
"""

import json
from typing import Any
from urllib.parse import urlsplit

import environs
from csp.constants import NONE, SELF, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from vlog import embedded
from vlog.environment import (
    BASE_DIR,
    REDIS_TIMEOUTS,
    data_dir,
    folder,
    origin_of_objects,
    parse_database_url,
    parse_email_url,
    parse_reserve,
    parse_storage_url,
    read_secret_files,
    redis_client_url,
    stored_secret,
)
from vlog.logs import FORMATTERS

env = environs.Env(prefix="VLOG_")
is_address = environs.validate.Regexp(r"https?://[^\s/]+", error="must begin with http:// or https:// and a host")
is_address_or_empty = environs.validate.Regexp(r"(https?://[^\s/]+.*)?$", error=is_address.error)
is_positive = environs.validate.Range(min=1)

# The encoders of transcoding.engine.codecs.h264, and `auto`.
ENCODERS = ("auto", "h264_nvenc", "h264_qsv", "h264_vaapi", "libx264")

try:
    read_secret_files()
    DEBUG = env.bool("DEBUG", False)
    BASE_URL = env.str("BASE_URL", "http://127.0.0.1:8000", validate=is_address).rstrip("/")
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", str(urlsplit(BASE_URL).hostname)])
    LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=environs.validate.OneOf(FORMATTERS))
    LEASE_SECONDS = env.int("LEASE_SECONDS", 60, validate=is_positive)
    SWEEP_SECONDS = env.int("SWEEP_SECONDS", 10, validate=is_positive)
    ARCHIVE_RETENTION_DAYS = env.int("ARCHIVE_RETENTION_DAYS", 30, validate=is_positive)
    DISK_RESERVE = parse_reserve(env.str("DISK_RESERVE", "5%, 2G"))
    STORAGE_URL = env.str("STORAGE_URL", "")
    STORAGE_KEY, STORAGE_SECRET = env.str("STORAGE_KEY", ""), env.str("STORAGE_SECRET", "")
    OBJECTS = parse_storage_url(STORAGE_URL, STORAGE_KEY, STORAGE_SECRET) if STORAGE_URL else {}
    MEDIA_BASE_URL = env.str("MEDIA_BASE_URL", "", validate=is_address_or_empty).rstrip("/")
    if MEDIA_BASE_URL and not OBJECTS:
        raise ValueError("VLOG_MEDIA_BASE_URL is the address of the objects in VLOG_STORAGE_URL: set both, or unset it")
    ENCODER = env.str("ENCODER", "libx264", validate=environs.validate.OneOf(ENCODERS))
    X264_PRESET = env.str("X264_PRESET", "veryfast")
    ENCODE_THREADS = env.int("ENCODE_THREADS", 0, validate=environs.validate.Range(min=0))  # 0: one per core
    METRICS_TOKEN = env.str("METRICS_TOKEN", "")
    WHISPER_MODEL = env.str("WHISPER_MODEL", "base")
    ALERT_EMAILS = env.str("ALERT_EMAILS", "").replace(",", " ").split()
    ALERT_FROM = env.str("ALERT_FROM", f"vlog@{urlsplit(BASE_URL).hostname}")
    ALERT_WEBHOOK = env.str("ALERT_WEBHOOK", "", validate=lambda url: not url or is_address(url))
    _mail = parse_email_url(env.str("EMAIL_URL", "smtp://localhost"))
    EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = _mail["host"], _mail["port"], 10  # seconds
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["user"], _mail["password"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail["starttls"], _mail["tls"]
    DATA_DIR = folder(data_dir())
    UPLOADS_DIR = folder(DATA_DIR / "uploads")
    SOURCES_DIR = folder(DATA_DIR / "sources")
    MEDIA_DIR = folder(DATA_DIR / "media")
    ARCHIVE_DIR = folder(DATA_DIR / "archive")
    WHISPER_DIR = folder(DATA_DIR / "whisper")
    SECRET_KEY = env.str("SECRET_KEY", "") or stored_secret(DATA_DIR / "secret-key")
    DATABASES = {"default": parse_database_url(env.str("DATABASE_URL", "") or embedded.database_url(DATA_DIR))}
    REDIS_URL = env.str("REDIS_URL", "") or embedded.redis_url(DATA_DIR)
except OSError as error:
    raise ImproperlyConfigured(f"VLOG_DATA_DIR names a folder that cannot be used: {error}") from error
except (environs.EnvError, ValueError) as error:
    raise ImproperlyConfigured(f"{str(error).rstrip('.')}. docs/settings.md lists every setting.") from error

INSTALLED_APPS = [
    "vlog.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "vlog",
    "videos",
    "transcoding",
    "workers",
    "analytics",
]
MIDDLEWARE = [
    "vlog.request_ids.assign_request_id",
    "vlog.traffic.count_requests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "videos.receiving.refuse_large_uploads",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "vlog.urls"
WSGI_APPLICATION = "vlog.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# The schema's integer keys are 32 bits wide.
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "vlog.node_files.NodeFilesFinder",
]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage",
        # The user that serves the files may be another one; FILE_UPLOAD_PERMISSIONS is for uploads.
        "OPTIONS": {"file_permissions_mode": 0o644},
    },
}
if OBJECTS:
    STORAGES["objects"] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": OBJECTS}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.BasicAuthentication",  # first, so that an anonymous request gets status 401
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "VLog",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {"Kind": "workers.api.serializers.REMOTE_KINDS"},
    "SERVE_AUTHENTICATION": [],  # public: docs/ says the same
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

# Uploads are written to the file system of the sources, so that a complete one is renamed, not copied.
FILE_UPLOAD_TEMP_DIR = UPLOADS_DIR
FILE_UPLOAD_HANDLERS = ["videos.receiving.UploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
SECURE_SSL_REDIRECT = BASE_URL.startswith("https://")
# Load balancers, supervisors and Prometheus request these without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if BASE_URL.startswith("https://") else 0
# HSTS for other sites on the same domain is not for VLog to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = [BASE_URL]
# The origins from which browsers load segments and images.
MEDIA_ORIGINS = [origin_of_objects(OBJECTS, MEDIA_BASE_URL)] if OBJECTS else []
CONTENT_SECURITY_POLICY = {
    # These are no pages and are requested very often: by players and by workers.
    "EXCLUDE_URL_PREFIXES": ["/api/v1/playback/", "/api/worker/"],
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", *MEDIA_ORIGINS],
        "connect-src": [SELF, *MEDIA_ORIGINS],
        # Media Source Extensions play from a blob, and hls.js creates a track of captions with an empty data URL.
        "media-src": [SELF, "blob:", "data:", *MEDIA_ORIGINS],
        "worker-src": [SELF, "blob:"],  # hls.js demuxes in a worker made from a blob
        "style-src": [SELF, UNSAFE_INLINE],  # media-chrome's shadow roots carry <style>
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    },
}

CACHES = {
    "default": {
        "BACKEND": "vlog.cache.TolerantRedisCache",
        "LOCATION": [redis_client_url(REDIS_URL)],  # a list, because Django splits a string at commas
        "KEY_PREFIX": "vlog-cache",  # the broker's keys are in the same database
        # JSON, because loading a pickle can run code that was written to Redis.
        "OPTIONS": {"serializer": json, **REDIS_TIMEOUTS},
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True  # the database has the results; there is no result backend
CELERY_TASK_DEFAULT_QUEUE = "tasks"
CELERY_TASK_ACKS_LATE = False  # the sweep sends lost messages again; see docs/decisions.md
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 12 * 3600}
CELERY_TASK_ROUTES = {
    "transcoding.tasks.encode": {"queue": "encode"},
    "transcoding.tasks.transcribe": {"queue": "transcribe"},
}
CELERY_BEAT_SCHEDULE = {
    name.rsplit(".", 1)[-1]: {
        "task": name,
        "schedule": seconds,
        "options": {"expires": seconds},  # without a worker they must not accumulate
    }
    for name, seconds in {
        "transcoding.tasks.sweep": SWEEP_SECONDS,
        "transcoding.tasks.backfill_storyboards": 60,
        "videos.tasks.finish_archives": 60,
        "videos.tasks.purge_archive": 3600,
        "videos.tasks.sweep_uploads": 3600,
        "videos.tasks.measure_storage": 6 * 3600,
        "analytics.tasks.roll_up": 60,
    }.items()
}

# Functions of the apps, by name, because `vlog` imports none of them.
BACKUP_BELONGS = "videos.storage.paths.has_row"
AFTER_RESTORE = ["transcoding.queue.recovery.release_all"]
# In the order in which `manage.py doctor` prints them.
DOCTOR = {
    "database": "vlog.health.check_database",
    "redis": "vlog.health.check_redis",
    "disk": "vlog.health.check_disk",
    "installation": "vlog.doctor.check_installation",
    "settings": "vlog.doctor.check_settings",
    "clock": "vlog.doctor.check_clock",
    "beat": "vlog.doctor.check_beat",
    "queues": "transcoding.operations.doctor.check_queues",
    "ffmpeg": "transcoding.operations.doctor.check_ffmpeg",
    "whisper": "transcoding.operations.doctor.check_whisper",
    "jobs": "transcoding.operations.doctor.check_jobs",
    "failures": "transcoding.operations.doctor.check_failures",
    "storage": "videos.doctor.check_storage",
    "videos": "videos.doctor.check_videos",
    "leftovers": "videos.doctor.check_leftovers",
}
# The checks that send alerts.
ALERTED = ["database", "redis", "disk", "queues", "jobs", "failures"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"chosen": {"()": FORMATTERS[LOG_FORMAT]}},
    "filters": {
        "expected": {"()": "vlog.logs.ExpectedResponses"},
        "refused": {"()": "vlog.logs.RefusedRequests"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["refused"]}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["expected"]},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
