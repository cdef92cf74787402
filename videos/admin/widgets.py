"""Widgets of the admin."""

from typing import Any

from django.contrib.admin.widgets import AutocompleteSelect


class CheckedAutocompleteSelect(AutocompleteSelect):
    """Django's field with suggestions, which also shows a form again that was sent with a value that is no ID."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        return super().optgroups(name, [one for one in value if str(one).isascii() and str(one).isdecimal()], attrs)
