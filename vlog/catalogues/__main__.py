"""See the package."""

import os
import sys
from pathlib import Path

import django

FOLDER = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Return the exit code: 0, 1 if there are holes, 2 for an unknown command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
    django.setup()
    from vlog.catalogues import files, holes  # noqa: PLC0415 - they need the apps

    match arguments:
        case ["update"]:
            for domain in (files.PAGES, files.SCRIPTS):
                template = files.wanted(FOLDER, domain)
                for locale in sorted(FOLDER.glob("locale/*/LC_MESSAGES")):
                    files.update(locale / f"{domain}.po", template)
        case ["compile"]:
            files.compile_all(files.of(FOLDER))
        case ["check"]:
            found = [*holes.of_catalogues(FOLDER), *holes.of_sources(FOLDER)]
            print("\n".join(found) or "The catalogues are complete.")  # noqa: T201
            return bool(found)
        case _:
            print("Use: python -m vlog.catalogues update|check|compile", file=sys.stderr)  # noqa: T201
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
