"""The files of locale/: each language has a catalogue of the pages and one of the scripts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from vlog.catalogues import sources
from vlog.catalogues.sources import Message

PAGES, SCRIPTS = "django", "djangojs"  # gettext's domains
WIDTH = 120
HEADER = """\
# Translations of VLog: docs/translating.md tells how to write them.
"""


def wanted(folder: Path, domain: str) -> Catalog:
    """Return a catalogue with all messages of the sources, without translations."""
    found = [*sources.scripts(folder)] if domain == SCRIPTS else [*_of_pages(folder)]
    catalog = Catalog(charset="utf-8")
    for message in sorted(found, key=lambda one: one.place):
        catalog.add(message.text, context=message.context, locations=[(message.place, 0)])
    return catalog


def _of_pages(folder: Path) -> Iterator[Message]:
    yield from sources.python(folder)
    yield from sources.templates(folder)
    yield from sources.names()


def of(folder: Path) -> list[Path]:
    """Return the catalogues of all languages."""
    return sorted(folder.glob("locale/*/LC_MESSAGES/*.po"))


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], domain=path.stem)


def update(path: Path, template: Catalog) -> None:
    """Add the messages of the template to a catalogue, and remove those that the sources no longer have."""
    catalog = read(path) if path.exists() else Catalog(locale=path.parts[-3], domain=path.stem)
    catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    write(path, catalog)


def write(path: Path, catalog: Catalog) -> None:
    catalog.header_comment, catalog.fuzzy = HEADER.rstrip(), False
    catalog.project, catalog.version = "VLog", "1"
    catalog.last_translator = catalog.language_team = catalog.msgid_bugs_address = "VLog"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=WIDTH, omit_header=False, include_lineno=False, ignore_obsolete=True)


def compile_all(paths: Iterable[Path]) -> None:
    """Write beside each catalogue the file that the site reads."""
    for path in paths:
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, read(path))
