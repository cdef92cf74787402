"""`python -m benchmarks.claimers N SECONDS`: N workers claim as fast as they can; prints how many pieces they got."""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import django

PROCESSES = 2 * (os.cpu_count() or 1)  # as many as the web server has


def main() -> None:
    workers, seconds = int(sys.argv[1]), float(sys.argv[2])
    shares = [range(number, workers, PROCESSES) for number in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        print(sum(pool.map(claim_for, shares, [seconds] * PROCESSES)))


def claim_for(workers: range, seconds: float) -> int:
    """Some of the workers, each in a thread of its own."""
    django.setup()
    from transcoding.queue.local import LocalQueue  # noqa: PLC0415 - Django comes first
    from workers.models import Worker  # noqa: PLC0415

    def claim(number: int) -> int:
        queue, got = LocalQueue(Worker.objects.get(worker_name=f"far-{number}"), lambda job: None), 0
        while time.monotonic() < end:
            got += queue.claim(["video"]) is not None
        return got

    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(workers)) as pool:
        return sum(pool.map(claim, workers))


if __name__ == "__main__":
    main()
