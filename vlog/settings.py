"""The settings, read from VLOG_* variables; docs/settings.md lists them.

Each variable NAME can also be set as NAME_FILE: the path of a file that contains the value (for secrets).
"""

import json
from typing import Any
from urllib.parse import urlsplit

import environs
from csp.constants import NONE, SELF, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from vlog import addresses, embedded, enums, imports, installation, logs, podcast, speech, templating
from vlog.environment import (
    BASE_DIR,
    PRESETS,
    REDIS_TIMEOUTS,
    data_dir,
    folder,
    origin_of_objects,
    parse_database_url,
    parse_email_url,
    parse_language,
    parse_limit,
    parse_networks,
    parse_proxies,
    parse_reserve,
    parse_storage_url,
    parse_time_zone,
    parse_token,
    read_secret_files,
    redis_client_url,
    stored_secret,
)
from vlog.ladders import parse_ladder
from vlog.serving.reception import BUFFERED_BODY

env = environs.Env(prefix="VLOG_")
is_positive = environs.validate.Range(min=1)
is_days = environs.validate.Range(min=0, max=36_500)

# The encoders of transcoding.engine.codecs.h264, and `auto`.
ENCODERS = ("auto", "h264_nvenc", "h264_qsv", "h264_vaapi", "libx264")

try:
    read_secret_files()
    DEBUG = env.bool("DEBUG", False)
    # A command beside a running `up` prints its address.
    BASE_URL = addresses.parse_site(env.str("BASE_URL", installation.address(data_dir()) or "http://127.0.0.1:8000"))
    _own_hosts = ["localhost", "127.0.0.1", "[::1]", addresses.host_of(BASE_URL)]
    ALLOWED_HOSTS = addresses.parse_hosts(env.list("ALLOWED_HOSTS", _own_hosts))
    # VLog speaks no TLS, so an https:// address means that a proxy does, most often on the same machine.
    TRUSTED_PROXIES = parse_proxies(
        env.str("TRUSTED_PROXIES", "127.0.0.1, ::1, unix" if BASE_URL.startswith("https://") else "")
    )
    SESSION_HOURS = env.int("SESSION_HOURS", 336, validate=environs.validate.Range(min=1, max=24 * 400))
    REQUIRE_TOTP = env.bool("REQUIRE_TOTP", False)
    TIME_ZONE = parse_time_zone(env.str("TIME_ZONE", "UTC"))
    SITE_LANGUAGE = parse_language(env.str("LANGUAGE", "en"))
    # Of new videos; those with a password get it afterwards.
    DEFAULT_VISIBILITY = env.str(
        "DEFAULT_VISIBILITY", "private", validate=environs.validate.OneOf(("private", "unlisted", "public"))
    )
    EMBED_SITES = addresses.parse_embed_sites(env.str("EMBED_SITES", "*"))
    LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=environs.validate.OneOf(logs.FORMATTERS))
    LEASE_SECONDS = env.int("LEASE_SECONDS", 60, validate=is_positive)
    SWEEP_SECONDS = env.int("SWEEP_SECONDS", 10, validate=is_positive)
    ARCHIVE_RETENTION_DAYS = env.int("ARCHIVE_RETENTION_DAYS", 30, validate=is_positive)
    KEEP_REPLACED_DAYS = env.int("KEEP_REPLACED_DAYS", 30, validate=is_days)
    AUDIT_DAYS = env.int("AUDIT_DAYS", 365, validate=is_positive)
    DISK_RESERVE = parse_reserve(env.str("DISK_RESERVE", "5%, 2G"))
    STORAGE_URL = env.str("STORAGE_URL", "")
    STORAGE_KEY, STORAGE_SECRET = env.str("STORAGE_KEY", ""), env.str("STORAGE_SECRET", "")
    OBJECTS = parse_storage_url(STORAGE_URL, STORAGE_KEY, STORAGE_SECRET) if STORAGE_URL else {}
    MEDIA_BASE_URL = addresses.parse_media_base(env.str("MEDIA_BASE_URL", ""))
    if MEDIA_BASE_URL and not OBJECTS:
        raise ValueError("VLOG_MEDIA_BASE_URL is the address of the objects in VLOG_STORAGE_URL: set both, or unset it")
    ENCODER = env.str("ENCODER", "libx264", validate=environs.validate.OneOf(ENCODERS))
    X264_PRESET = env.str("X264_PRESET", "veryfast", validate=environs.validate.OneOf(PRESETS))
    NORMALIZE_AUDIO = env.bool("NORMALIZE_AUDIO", False)
    AUDIO_TRACKS = env.int("AUDIO_TRACKS", 8, validate=environs.validate.Range(min=1, max=99))
    LADDER = parse_ladder(env.str("LADDER", ""))  # none: that of transcoding.engine.plan.ladder
    ENCODE_THREADS = env.int("ENCODE_THREADS", 0, validate=environs.validate.Range(min=0))  # 0: one per core
    HEAD_SECONDS = env.int("HEAD_SECONDS", 10, validate=is_positive)
    SILENCE_SECONDS = env.int("SILENCE_SECONDS", 30, validate=is_positive)
    MIN_RATE = env.int("MIN_RATE", 4096, validate=is_positive)  # bytes a second
    CONNECTIONS_PER_ADDRESS = env.int("CONNECTIONS_PER_ADDRESS", 1000, validate=is_positive)
    KEEP_PAGES_BYTES = env.int("KEEP_PAGES_BYTES", 16 << 20, validate=environs.validate.Range(min=0))  # each process
    BACKUP_DAYS = env.int("BACKUP_DAYS", 8, validate=environs.validate.Range(min=0))
    METRICS_TOKEN = parse_token("METRICS_TOKEN", env.str("METRICS_TOKEN", ""))
    PLAYBACK_LIMIT = parse_limit("PLAYBACK_LIMIT", env.str("PLAYBACK_LIMIT", "600/60"))  # of each client
    SEARCH_LIMIT = parse_limit("SEARCH_LIMIT", env.str("SEARCH_LIMIT", "400/60"))
    API_LIMIT = parse_limit("API_LIMIT", env.str("API_LIMIT", "400/60"))
    PODCAST_CATEGORY, PODCAST_EXPLICIT = podcast.parse(env)
    SEEK_LIMIT = parse_limit("SEEK_LIMIT", env.str("SEEK_LIMIT", "5/10"))
    WHISPER_MODEL, WHISPER_PROMPT, TRANSLATION = speech.parse(env)
    ALERT_EMAILS = addresses.parse_recipients(env.str("ALERT_EMAILS", ""))
    ALERT_FROM = addresses.parse_sender(env.str("ALERT_FROM", addresses.default_sender(BASE_URL)))
    ALERT_WEBHOOK = addresses.parse_webhook(env.str("ALERT_WEBHOOK", ""))
    WEBHOOK_PRIVATE_ADDRESSES = parse_networks("WEBHOOK_PRIVATE_ADDRESSES", env.str("WEBHOOK_PRIVATE_ADDRESSES", ""))
    _mail = parse_email_url(env.str("EMAIL_URL", "smtp://localhost"))
    EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = _mail["host"], _mail["port"], 10  # seconds
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["user"], _mail["password"]
    EMAIL_USE_TLS, EMAIL_USE_SSL, EMAIL_IS_SET_UP = _mail["starttls"], _mail["tls"], bool(env.str("EMAIL_URL", ""))
    DATA_DIR = folder(data_dir())
    UPLOADS_DIR = folder(DATA_DIR / "uploads")
    SOURCES_DIR, MEDIA_DIR = folder(DATA_DIR / "sources"), folder(DATA_DIR / "media")
    ARCHIVE_DIR = folder(DATA_DIR / "archive")
    WHISPER_DIR = folder(DATA_DIR / "whisper")
    IMPORTS = imports.parse(env, DATA_DIR)
    SECRET_KEY = env.str("SECRET_KEY", "") or stored_secret(DATA_DIR / "secret-key")
    DATABASES = {"default": parse_database_url(env.str("DATABASE_URL", "") or embedded.database_url(DATA_DIR))}
    REDIS_URL = addresses.parse_redis_url(env.str("REDIS_URL", "") or embedded.redis_url(DATA_DIR))
except OSError as error:
    raise ImproperlyConfigured(f"VLOG_DATA_DIR names a folder that cannot be used: {error}") from error
except environs.EnvValidationError as error:
    name, reasons = str(error).split('"')[1], " ".join(map(str, error.error_messages))
    raise ImproperlyConfigured(f"{name} is invalid: {reasons} docs/settings.md lists every setting.") from error
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
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "vlog",
    "videos",
    "transcoding",
    "workers",
    "analytics",
]
MIDDLEWARE = [
    "vlog.request_ids.assign_request_id",
    "vlog.proxies.trust_proxies",
    "vlog.traffic.count_requests",
    "django.middleware.security.SecurityMiddleware",
    "vlog.security_headers.add_security_headers",
    "vlog.refusals.InvalidValueMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "vlog.security_headers.PolicyMiddleware",
    "videos.uploads.form.UploadMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "vlog.accounts.sessions.AuthenticationMiddleware",
    "vlog.audit.remember_request",
    "vlog.zones.use_zone_and_language",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "vlog.urls"
TEMPLATES = templating.TEMPLATES

# The schema's integer keys are 32 bits wide.
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_RESET_TIMEOUT = 3600  # seconds
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["vlog.accounts.backends.LimitedBackend"]
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
OTP_TOTP_ISSUER = f"VLog {urlsplit(BASE_URL).hostname}"  # shown in authenticator apps

LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]

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
        "BACKEND": "vlog.serving.static.HashedStaticFiles",
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
        "vlog.authentication.TokenAuthentication",  # first, so that an anonymous request gets status 401
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "VLog",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": enums.NAMES,
    "SERVE_AUTHENTICATION": [],  # public: docs/ says the same
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

# Uploads are written to the file system of the sources, so that a complete one is renamed, not copied.
FILE_UPLOAD_TEMP_DIR = UPLOADS_DIR
# Views that take files are marked, and the middleware gives their requests another handler.
FILE_UPLOAD_HANDLERS = ["videos.uploads.form.FileRefuser"]
DATA_UPLOAD_MAX_NUMBER_FILES = 40  # a video, and what may come with it
FILE_UPLOAD_PERMISSIONS = 0o600
# The event loop of the web server reads as much of a body, so that a form never holds a thread while it arrives.
DATA_UPLOAD_MAX_MEMORY_SIZE = BUFFERED_BODY

SESSION_COOKIE_AGE = SESSION_HOURS * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BASE_URL.startswith("https://")
SECURE_SSL_REDIRECT = BASE_URL.startswith("https://")
# Load balancers, supervisors and Prometheus request these without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz(/full)?$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if BASE_URL.startswith("https://") else 0
# HSTS for other sites on the same domain is not for VLog to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# vlog.proxies removes this header unless a trusted proxy sent it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
CSRF_TRUSTED_ORIGINS = [BASE_URL]
# The origins from which browsers load segments and images; those of protected videos never from MEDIA_BASE_URL.
MEDIA_ORIGINS = sorted({origin_of_objects(OBJECTS, base) for base in (MEDIA_BASE_URL, "")}) if OBJECTS else []
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
        "style-src": [SELF, UNSAFE_INLINE],  # 500.html carries <style>, because it must need no other file
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
CELERY_TASK_ROUTES = {f"transcoding.tasks.{name}": {"queue": name} for name in ("encode", "transcribe")}
CELERY_BEAT_SCHEDULER = "vlog.scheduler.Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5  # seconds
CELERY_BEAT_SCHEDULE = {
    name.rsplit(".", 1)[-1]: {
        "task": name,
        "schedule": seconds,
        "options": {"expires": seconds},  # without a worker they must not accumulate
    }
    for name, seconds in {
        "transcoding.tasks.sweep": SWEEP_SECONDS,
        **dict.fromkeys(("transcoding.tasks.backfill_storyboards", "videos.tasks.renew_packages"), 60),
        "videos.tasks.relocate": SWEEP_SECONDS,
        "videos.tasks.apply_visibility_changes": SWEEP_SECONDS,
        "videos.tasks.deliver_webhooks": SWEEP_SECONDS,
        "videos.tasks.finish_archives": 60,
        "videos.tasks.purge_archive": 3600,
        **dict.fromkeys(("videos.tasks.purge_versions", "videos.tasks.sweep_uploads"), 600),
        **dict.fromkeys(("videos.tasks.run_bulk_edits", "videos.tasks.run_imports"), 60),
        "videos.tasks.measure_storage": 6 * 3600,
        "analytics.tasks.roll_up": 60,
        "vlog.tasks.prune_audit": 3600,
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
    "mail": "vlog.doctor.check_mail",
    "backup": "vlog.doctor.check_backup",
    "queues": "transcoding.operations.doctor.check_queues",
    "ffmpeg": "transcoding.operations.doctor.check_ffmpeg",
    "confinement": "transcoding.operations.doctor.check_confinement",
    "whisper": "transcoding.operations.doctor.check_whisper",
    "jobs": "transcoding.operations.doctor.check_jobs",
    "failures": "transcoding.operations.doctor.check_failures",
    "storage": "videos.doctor.check_storage",
    "videos": "videos.doctor.check_videos",
    "leftovers": "videos.doctor.check_leftovers",
    "webhooks": "videos.doctor.check_webhooks",
}
# The checks that send alerts: how often each is made, in seconds, and the checks of the services that it needs.
ALERTED: dict[str, dict[str, Any]] = {
    "database": {"every": 10, "needs": ()},
    "redis": {"every": 10, "needs": ()},
    "disk": {"every": 10, "needs": ()},
    "beat": {"every": 10, "needs": ("redis",)},
    "queues": {"every": 10, "needs": ("database", "redis")},
    "jobs": {"every": 60, "needs": ("database",)},
    "failures": {"every": 60, "needs": ("database",)},
    "storage": {"every": 60, "needs": ()},
    "backup": {"every": 600, "needs": ("database",)},
    "webhooks": {"every": 600, "needs": ("database",)},
}
# Functions that start a thread in each process of the web server. Their argument says whether the process goes on.
WEB_THREADS_OF_APPS = [
    "videos.uploads.look_after",
    "vlog.alerts.start",
    "vlog.serving.notices.start",
    "analytics.pending.start",
]

LOGGING = logs.configuration(LOG_FORMAT)
