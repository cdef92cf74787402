"""The setting TEMPLATES: Jinja2 renders the public pages, Django's engine those of the admin."""

from typing import Any

import jinja2

from vlog.environment import BASE_DIR

CONTEXT_PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    "vlog.site.context",
]
TEMPLATES: list[dict[str, Any]] = [
    # The first engine that has a template renders it.
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates" / "site"],
        "OPTIONS": {
            "environment": "videos.pages.templates.environment",
            "context_processors": CONTEXT_PROCESSORS,
            # A name without a value shows nothing. Tests refuse it.
            "undefined": jinja2.ChainableUndefined,
        },
    },
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": CONTEXT_PROCESSORS,
            # Every template of the desk has translated texts.
            "builtins": ["django.templatetags.i18n", "vlog.templatetags.sentences"],
        },
    },
]
