"""What the list of videos costs an editor's site with a hundred thousand videos."""

import gzip
import random
import statistics
from dataclasses import dataclass, field

from benchmarks import data
from benchmarks.installation import Installation
from benchmarks.processes import difference, total
from vlog import embedded

LARGE = data.Size(videos=100_000, sessions=0)
ROUNDS, REQUESTS = 50, 4  # requests of one round, because the clock of CPU time is coarse
LIST = "/admin/videos/video/"


@dataclass
class Desk:
    """CPU milliseconds of a request to the first page, to searches and to page 1 000, one figure a round.

    weight: the bytes of the first page, compressed.
    """

    first: list[float] = field(default_factory=list)
    searched: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    weight: int = 0
    videos: int = 0

    def median(self, kind: str) -> float:
        return statistics.median(getattr(self, kind))


def measure_desk(installation: Installation, *, quick: bool) -> Desk:
    size = data.QUICK if quick else LARGE
    print("(v) fills the database", flush=True)
    data.fill(embedded.database_url(installation.data), size)
    rounds = 2 if quick else ROUNDS
    words = data.words()
    drawn = random.Random(5)  # noqa: S311 - the same at each run
    searches = [f"{LIST}?q={drawn.choice(words[: len(words) // 2])}" for _ in range(rounds * REQUESTS)]
    late = f"{LIST}?p={size.videos // 100}"  # page 1 000 of 100 000 videos
    return Desk(
        first=_costs(installation, [LIST] * rounds * REQUESTS),
        searched=_costs(installation, searches),
        late=_costs(installation, [late] * rounds * REQUESTS),
        weight=len(gzip.compress(installation.editor.page(LIST))),
        videos=size.videos,
    )


def _costs(installation: Installation, paths: list[str]) -> list[float]:
    """Return the CPU milliseconds of a request, for each round; the first requests are not counted."""
    for path in paths[:REQUESTS]:
        installation.editor.page(path)
    figures = []
    for start in range(0, len(paths), REQUESTS):
        before = installation.family.seconds()
        for path in paths[start : start + REQUESTS]:
            installation.editor.page(path)
        figures.append(1000 * total(difference(installation.family.seconds(), before)) / REQUESTS)
    return figures
