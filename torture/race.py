"""Two workers that finish the last two pieces of a video in the same instant."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from django.db import connection

from torture.site import Broken
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
    """One round; raises Broken where the last steps are not sent exactly once."""
    chance, finished = random.Random(seed), list[int]()
    workers = [nodes.register(f"racer{number}@torture") for number in range(2)]
    video = Video.objects.create_with_slug(title="Race", source_name="clip.mkv")
    job = TranscodingJob.objects.create(video=video, plan=PLAN.to_json())
    queues = [LocalQueue(worker, finished.append, job) for worker in workers]
    pieces = [_claimed(job, queue, index) for index, queue in enumerate(queues)]
    barrier = threading.Barrier(2)

    def complete(queue: LocalQueue, piece: Assignment, late: float) -> None:
        try:
            barrier.wait()
            time.sleep(late)
            queue.complete(piece)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        ends = [
            pool.submit(complete, queue, piece, chance.choice([0, chance.uniform(0, 0.002)]))
            for queue, piece in zip(queues, pieces, strict=True)
        ]
        for end in ends:
            end.result()
    _look(job, finished)
    video.delete()


def _claimed(job: TranscodingJob, queue: LocalQueue, index: int) -> Assignment:
    TranscodingChunk.objects.create(job=job, index=index, first_segment=index, last_segment=index)
    piece = queue.claim([ChunkKind.VIDEO])
    if piece is None:
        raise Broken("a piece that waits is not claimed")
    return piece


def _look(job: TranscodingJob, finished: list[int]) -> None:
    if finished != [job.pk]:
        raise Broken(f"the last steps were sent {len(finished)} times")
    if set(job.chunks.values_list("status", flat=True)) != {"completed"} or Attempt.objects.running().exists():
        raise Broken("a completed piece is not closed")
