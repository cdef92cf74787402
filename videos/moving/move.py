"""What all steps of an import have: the old database, the name of the installation, the report and the progress."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, models, transaction

from videos.models import ImportMap
from videos.models.addresses import free_slug_in
from videos.moving.database import MovingError, OldDatabase
from videos.moving.progress import Progress
from videos.moving.report import Report
from videos.moving.transfer import Mode

Pair = tuple[int, models.Model]
LOCK = 0x6D6F7665  # of the advisory lock: one import at a time


@dataclass(frozen=True)
class Order:
    """What is imported: the address of the database, the storage folder, a name for both; and how files get here."""

    url: str
    storage: Path
    source: str
    mode: Mode


@dataclass(frozen=True)
class Move:
    """source: the name of the installation in the map. is_trial: everything is rolled back."""

    old: OldDatabase
    source: str
    report: Report
    progress: Progress
    is_trial: bool = False

    def new_ids(self, kind: str, old_ids: Iterable[int | None]) -> dict[int | None, int | None]:
        """Return the ids here by those there; None stays None."""
        known = ImportMap.objects.new_ids(self.source, kind, (pk for pk in old_ids if pk is not None))
        found: dict[int | None, int | None] = {None: None}
        found.update(known.items())
        return found

    def left(self, kind: str, rows: Sequence[Any]) -> list[Any]:
        """Return the rows that are not here yet."""
        known = ImportMap.objects.new_ids(self.source, kind, (row.id for row in rows))
        return [row for row in rows if row.id not in known]

    def keeps_ids(self, kind: str, model: type[models.Model]) -> bool:
        """Return whether rows keep their ids: where the table was empty when the import began.

        Its sequence then goes on after the highest id there, before the first row is written.
        """
        step = f"ids of {kind}"
        with transaction.atomic():
            mark = ImportMap.objects.mark(self.source, step)
            if mark is None:
                mark = int(not model._default_manager.exists())
                if mark and not self.is_trial:
                    _advance_sequence(model._meta.db_table, self.old.highest(kind))
                ImportMap.objects.set_mark(self.source, step, mark)
        return bool(mark)

    def load(
        self,
        kind: str,
        model: type[models.Model],
        columns: tuple[str, ...],
        build: Callable[[list[Any]], list[Pair]],
        *,
        address: str = "",
    ) -> None:
        """Import a table: build makes unsaved rows of those there, each with its id there. One transaction a chunk.

        Rows for which build makes none are noted as left out. address: the column with the address there.
        """
        keeps = self.keeps_ids(kind, model)
        self.progress.begin(kind.replace("_", " "), self.old.count(kind))
        for rows in self.old.chunks(kind, columns):
            with transaction.atomic():
                left = self.left(kind, rows)
                addresses = {row.id: getattr(row, address) for row in left} if address else {}
                self.save(kind, build(left), {row.id: None for row in left}, addresses, keeps_ids=keeps)
            self.progress.advance(len(rows))

    def save(
        self,
        kind: str,
        pairs: list[Pair],
        ids: dict[int, int | None],
        addresses: dict[int, str],
        *,
        keeps_ids: bool,
    ) -> None:
        """Write the new rows of a chunk, and note where they came from. A row that is saved already is only noted.

        ids: those there of the whole chunk.
        """
        fresh = [(old, row) for old, row in pairs if row._state.adding]
        for old, row in fresh:
            if keeps_ids and not isinstance(row._meta.pk, models.OneToOneField):
                row.pk = old
        for model in {type(row) for _, row in fresh}:
            model._default_manager.bulk_create([row for _, row in fresh if type(row) is model])
        made = ids | {old: row.pk for old, row in pairs}
        ImportMap.objects.note(self.source, kind, made.items(), addresses)
        self.report.add(kind.replace("_", " "), len(fresh))


def unused(model: type[models.Model], text: str, used: set[str]) -> str:
    """Return a slug made from a text that no row has, nor another one of the same chunk, and add it to `used`."""
    slug = base = free_slug_in(model, text)
    number = 1
    while slug in used:
        number += 1
        slug = free_slug_in(model, f"{base[:40]}-{number}")
    used.add(slug)
    return slug


def _advance_sequence(table: str, highest: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), "
            "greatest(%s, nextval(pg_get_serial_sequence(%s, 'id')) - 1, 1))",
            [table, highest, table],
        )


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of imports. Raises MovingError where another one runs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            raise MovingError("Another import is running. Wait until it has ended.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
