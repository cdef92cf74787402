"""Forms that say which version of a row they were made from, so that no edit overwrites another one unseen.

A form of an older version keeps what others changed in the fields that its editor left alone: `from_values` has a
digest of what the form showed in each field. Where both changed a field, nothing is saved. The form is shown again, and
for each of these fields with both values and a choice: `choice-<field>` is `mine`, or `theirs` for the value that is
saved now. `choices_version` is the version that these values were read from: with another one, the choices were made
between other values.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from django import forms
from django.db.models import Model
from django.http import QueryDict
from django.template.defaultfilters import yesno
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from vlog import audit
from vlog.models import AuditEntry

OUTDATED = gettext_lazy(
    "This page is older than the last change, so nothing was saved. Choose a value for each field that differs, and "
    "save again."
)
MINE, THEIRS = "mine", "theirs"

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Conflict:
    """A field whose value in a form differs from the one that is saved now.

    entry: who changed it last, if that is known. is_settled: whether the editor has chosen.
    """

    name: str
    label: str
    mine: str
    theirs: str
    entry: AuditEntry | None
    is_settled: bool


class VersionInput(forms.HiddenInput):
    """Two hidden fields: the version that a form was made from, and digests of what it showed."""

    digests: Callable[[], str] = str  # called last, because forms set their initial values step by step

    def render(self, name: str, value: Any, *args: Any, **kwargs: Any) -> SafeString:
        values = format_html('<input type="hidden" name="from_values" value="{}">', self.digests())
        return super().render(name, value, *args, **kwargs) + values


class VersionField(forms.IntegerField):
    """The version that a form was made from; what is sent is no change of the row."""

    widget = VersionInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class VersionedForm(forms.ModelForm):
    """A form of a row with a version."""

    from_version = VersionField(required=False)
    # By the name of a field: those that are chosen together with it, and its name in the history if that differs.
    together: Mapping[str, Sequence[str]] = {}
    recorded_as: Mapping[str, str] = {}
    unversioned: Sequence[str] = ()  # fields of no column, which cannot contradict another edit

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        self.initial["from_version"] = self.instance.version
        cast(VersionInput, self.fields["from_version"].widget).digests = self._digests
        self.conflicts: list[Conflict] = []
        self.merged: list[str] = []  # the labels of fields that others changed and this editor did not
        self.unopposed: set[str] = set()  # the fields that others did not change
        self.is_outdated = is_outdated(data, self.instance)
        if self.is_bound and self.instance.pk:
            self.data = self._resolved(cast(QueryDict, self.data).copy())

    def _resolved(self, data: QueryDict) -> QueryDict:
        """Return the data with the saved value where that was chosen, or where the editor changed nothing."""
        for name in self._leading():
            if self.is_outdated and self.fields[name].show_hidden_initial:
                self._write(data, self.add_initial_prefix(name), name)
            if data.get(f"choice-{name}") == THEIRS:
                self._write_all(data, name)
        if self.is_outdated:
            self._merge(data)
        return data

    def _merge(self, data: QueryDict) -> None:
        """Find the fields that others left alone, and take the saved value of those that the editor left alone."""
        shown, saved = _parsed(data.get("from_values", "")), self._saved_digests()
        for name, digest in saved.items():
            if shown.get(name) == digest:
                self.unopposed.add(name)
            elif shown.get(name) == self._digest(data, name):
                self._write_all(data, name)
                self.merged.append(str(self.fields[name].label or name.replace("_", " ")))

    def _digests(self) -> str:
        """Return digests of what the form showed in each field, as JSON: those that came with it, if it was sent."""
        if self.is_bound:
            return str(self.data.get("from_values", ""))
        return json.dumps(self._saved_digests(), separators=(",", ":"))

    def _saved_digests(self) -> dict[str, str]:
        saved = QueryDict(mutable=True)
        for name in self._leading():
            self._write_all(saved, name)
        return {name: self._digest(saved, name) for name in self._leading()}

    def _digest(self, data: QueryDict, name: str) -> str:
        """Return a digest of what a browser sends of a field, and of those that are chosen together with it."""
        keys = [self.add_prefix(each) for each in (name, *self.together.get(name, ()))]
        sent = {
            key: [value.replace("\r\n", "\n") for value in map(str, data.getlist(key)) if value]
            for key in sorted(data)
            if key in keys or key.rpartition("_")[0] in keys
        }
        return sha256(json.dumps([[key, values] for key, values in sent.items() if values]).encode()).hexdigest()[:12]

    def _write_all(self, data: QueryDict, name: str) -> None:
        """Write the saved values of a field, and of those that are chosen together with it."""
        for each in (name, *self.together.get(name, ())):
            self._write(data, self.add_prefix(each), each)

    def _leading(self) -> list[str]:
        """Return the fields that are chosen one by one."""
        others = {"from_version", *self.unversioned, *(name for names in self.together.values() for name in names)}
        return [name for name in self.fields if name not in others]

    def _write(self, data: QueryDict, key: str, name: str) -> None:
        """Write the saved value of a field into the data, as the browser would send it."""
        field = self.fields[name]
        value = field.prepare_value(self.get_initial_for_field(field, name))
        if isinstance(field, forms.BooleanField):
            data.setlist(key, ["on"] if value else [])
        elif isinstance(field.widget, forms.MultiWidget):
            for number, part in enumerate(field.widget.decompress(value) or ()):
                data[f"{key}_{number}"] = str(part or "")
        else:
            data[key] = "" if value is None else str(value)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if self.instance.pk and self.is_outdated:
            self.conflicts = list(self._find_conflicts())
            if not all(conflict.is_settled for conflict in self.conflicts):
                self.add_error(None, OUTDATED)
        return data

    def _find_conflicts(self) -> Any:
        changed, leading = set(self.changed_data), [name for name in self._leading() if name not in self.unopposed]
        names = [name for name in leading if not changed.isdisjoint((name, *self.together.get(name, ())))]
        last = audit.last_changes(self.instance) if names else {}
        for name in names:
            mine, theirs = self.shown(name, self[name].value()), self.shown(name, self[name].initial)
            if not changed.isdisjoint(self.together.get(name, ())):
                mine += _(" (with what is entered below)")
            entry = last.get(self.recorded_as.get(name, name))
            is_settled = has_chosen(self.data, self.instance, name)
            yield Conflict(name, str(self[name].label), mine, theirs, entry, is_settled)

    def shown(self, name: str, value: Any) -> str:
        """Return the value of a field as text."""
        field = self.fields[name]
        if isinstance(field, forms.BooleanField):
            return str(yesno(bool(value), _("yes,no")))
        if isinstance(field, forms.ModelChoiceField):
            with suppress(forms.ValidationError):
                return str(field.to_python(value) or "")
        if isinstance(field, forms.ChoiceField):
            return str(dict(cast(Any, field.choices)).get(value, value))
        return str(value or "")


class VersionedFormSet(forms.BaseInlineFormSet):
    """The rows of another table in the form of a row with a version: they are chosen together."""

    recorded_as = ""  # the name of the rows in the history
    conflict: Conflict | None = None
    model: type[Model]
    prefix: str

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        self.is_outdated = is_outdated(data, self.instance)
        if not self.is_bound or not self.instance.pk:
            return
        if data.get(f"choice-{self.prefix}") == THEIRS:
            self.data = self._written([_values(form) for form in self._saved().initial_forms], [])
        elif self.is_outdated:
            self._keep_mine()

    def _keep_mine(self) -> None:
        """Make new rows of those that were deleted meanwhile."""
        key, mine = self.model._meta.pk.name, _posted(self.data, self.prefix)
        known = {str(pk) for pk in self.get_queryset().values_list("pk", flat=True)}
        saved = [row for row in mine if row.get(key) in known]
        new = [{**row, key: ""} for row in mine if row.get(key) not in known]
        self.data = self._written(saved, new)

    def _saved(self) -> "VersionedFormSet":
        """Return the rows that are saved now, unbound."""
        return type(self)(instance=self.instance, prefix=self.prefix, queryset=self.get_queryset())

    def _written(self, saved: Rows, new: Rows) -> QueryDict:
        data = cast(QueryDict, self.data).copy()
        for key in [key for key in data if key.startswith(f"{self.prefix}-")]:
            del data[key]
        data.update({f"{self.prefix}-TOTAL_FORMS": str(len(saved) + len(new))})
        data.update({f"{self.prefix}-INITIAL_FORMS": str(len(saved))})
        for number, row in enumerate([*saved, *new]):
            data.update({f"{self.prefix}-{number}-{name}": value for name, value in row.items()})
        return data

    def clean(self) -> None:
        super().clean()
        if self.instance.pk and self.is_outdated and self.has_changed():
            mine, theirs = (_as_text(formset.forms) for formset in (self, self._saved()))
            entry = audit.last_changes(self.instance).get(self.recorded_as)
            label = str(self.model._meta.verbose_name_plural).capitalize()
            is_settled = has_chosen(self.data, self.instance, self.prefix)
            self.conflict = Conflict(self.prefix, label, mine, theirs, entry, is_settled)
            if not is_settled:
                raise forms.ValidationError(OUTDATED)


def _parsed(text: str) -> dict[str, str]:
    """Return the digests that came with a form; none where they are not what VLog has written."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def is_outdated(data: Any, row: Any) -> bool:
    """Return whether a form was made from another version of the row than the present one; it may not name any."""
    return data is not None and data.get("from_version") != str(row.version)


def has_chosen(data: Any, row: Any, name: str) -> bool:
    """Return whether the editor has seen the saved value of a field, and keeps the other one."""
    return data.get("choices_version") == str(row.version) and data.get(f"choice-{name}") == MINE


def _posted(data: Any, prefix: str) -> Rows:
    """Return the rows of a formset, as the browser has sent them."""
    rows: dict[int, dict[str, str]] = {}
    for key, value in data.items():
        if match := re.fullmatch(rf"{re.escape(prefix)}-(\d{{1,6}})-(.+)", key):
            rows.setdefault(int(match[1]), {})[match[2]] = value
    return [row for _key, row in sorted(rows.items())]


def _values(form: Any) -> dict[str, str]:
    """Return the values of an unbound form, as the browser would send them."""
    values = {field.name: field.value() for field in form}
    sent = {name: value for name, value in values.items() if value is not None and value is not False}
    return {name: "on" if value is True else str(value) for name, value in sent.items()}


def _as_text(forms: Any) -> str:
    """Return the rows of a formset as text, a line each."""
    return "\n".join(filter(None, map(_as_line, forms)))


def _as_line(form: Any) -> str:
    """Return the row of a form as one line; empty for a row that is empty or to be deleted."""
    values = {field.name: field.value() for field in form if not field.is_hidden}
    if values.pop("DELETE", False):
        return ""
    return " ".join(str(name if value is True else value) for name, value in values.items() if value)
