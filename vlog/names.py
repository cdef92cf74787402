"""The names of models, of their fields and of the values of these in the language of a page.

Django derives most of them from the code: `created_at` is called "created at". They are looked up in the catalogues
with the context NAME. Migrations do not change, because they read what the code says.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Field, Model
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

NAME = "name"


def translate(models: Iterable[type[Model]]) -> None:
    """Let these models and their fields be called in the language of the page. Called once, when the apps are ready."""
    for model in models:
        for name in ("verbose_name", "verbose_name_plural"):
            setattr(model._meta, name, _lazy(getattr(model._meta, name)))
        for field in model._meta.get_fields():
            if isinstance(field, Field):
                field.verbose_name = _lazy(field.verbose_name)
                if field.choices:
                    field.choices = [(value, _lazy(label)) for value, label in field.flatchoices]


def _lazy(text: Any) -> Any:
    return text if isinstance(text, Promise) or not text else pgettext_lazy(NAME, str(text))
