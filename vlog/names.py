"""The names of models, of their fields and of the values of these in the language of a page.

Django derives most of them from the code: `created_at` is called "created at". They are looked up in the catalogues
with the context NAME. Migrations do not change, because they read what the code says.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Choices, Field, Model
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

NAME = "name"


def translate(models: Iterable[type[Model]]) -> None:
    """Let these models and their fields be called in the language of the page. Called once, when the apps are ready."""
    for model in models:
        names = model._meta
        if "verbose_name_plural" not in names.original_attrs:
            names.verbose_name_plural = str(names.verbose_name_plural)  # Django's, which puts an s behind the other
        names.verbose_name, names.verbose_name_plural = _lazy(names.verbose_name), _lazy(names.verbose_name_plural)
        for field in model._meta.get_fields():
            if isinstance(field, Field):
                field.verbose_name, field.help_text = _lazy(field.verbose_name), _lazy(field.help_text)
                if field.choices:
                    field.choices = [(value, _lazy(label)) for value, label in field.flatchoices]


def choices(values: type[Choices]) -> list[tuple[Any, Any]]:
    """Return the choices of a form's field that has the values of a model's field."""
    return [(value, _lazy(label)) for value, label in values.choices]


def _lazy(text: Any) -> Any:
    return text if isinstance(text, Promise) or not text else pgettext_lazy(NAME, str(text))
