"""Two workers that complete the last two chunks of a video at the same time."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from django.db import connection

from torture.site import Violation
from transcoding.engine.contract import Assignment
from transcoding.engine.plan.ladder import renditions_for
from transcoding.engine.plan.plan import Plan
from transcoding.engine.timeline import Timeline
from transcoding.models import Attempt, ChunkKind, TranscodingChunk, TranscodingJob
from transcoding.queue.local import LocalQueue
from videos.models import Video
from workers import nodes

PLAN = Plan(
    stream=0,
    zero=0,
    time_base=Fraction(1, 25),
    timeline=Timeline(Fraction(1, 25), (0, 50), 100),
    gop=50,
    seeks=(None, None),
    renditions=renditions_for(320, 180),
    encoder="libx264",
    preset="ultrafast",
    ffmpeg="",
)


def race(seed: int) -> None:
    """Run one round; raises Violation unless the last pipeline steps are started exactly once."""
    chance, finished = random.Random(seed), list[int]()
    workers = [nodes.register(f"racer{number}@torture") for number in range(2)]
    video = Video.objects.create_with_slug(title="Race", source_name="clip.mkv")
    job = TranscodingJob.objects.create(video=video, plan=PLAN.to_json())
    queues = [LocalQueue(worker, finished.append, job) for worker in workers]
    chunks = [_claimed(job, queue, index) for index, queue in enumerate(queues)]
    barrier = threading.Barrier(2)

    def complete(queue: LocalQueue, chunk: Assignment, delay: float) -> None:
        try:
            barrier.wait()
            time.sleep(delay)
            queue.complete(chunk)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        ends = [
            pool.submit(complete, queue, chunk, chance.choice([0, chance.uniform(0, 0.002)]))
            for queue, chunk in zip(queues, chunks, strict=True)
        ]
        for end in ends:
            end.result()
    _check(job, finished)
    video.delete()


def _claimed(job: TranscodingJob, queue: LocalQueue, index: int) -> Assignment:
    TranscodingChunk.objects.create(job=job, index=index, first_segment=index, last_segment=index)
    chunk = queue.claim([ChunkKind.VIDEO])
    if chunk is None:
        raise Violation("a pending chunk cannot be claimed")
    return chunk


def _check(job: TranscodingJob, finished: list[int]) -> None:
    if finished != [job.pk]:
        raise Violation(f"the last pipeline steps were started {len(finished)} times")
    if set(job.chunks.values_list("status", flat=True)) != {"completed"} or Attempt.objects.running().exists():
        raise Violation("a completed chunk is still open")
