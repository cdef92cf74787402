"""What becomes of renditions that cannot be made as planned: other arguments, for the whole rendition.

The segments are removed before the rows change: killed in between, the next failure leads here again.
"""

from django.db import transaction

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.package.contents import remove_segments
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import AudioRendition
from transcoding.models import ChunkKind, TranscodingJob
from transcoding.queue.wakeups import notify_workers
from videos.storage import placement
from videos.storage.paths import package_dir

DAMAGED_SOUND = (
    "Some of the audio is damaged, so it was encoded instead of copied, and is silent where nothing could be decoded. "
    "Listen to it, and replace the file with an undamaged one if it matters."
)


def encode_in_software(job: TranscodingJob, plan: Plan) -> None:
    """Have the whole video encoded in software, because a rung has one encoder; that spends no attempt."""
    video = placement.locked(job.video_id) or job.video
    for rung in plan.video:
        if not rung.copied:
            remove_segments(package_dir(video) / rung.key)
    job.restart_encoding(SOFTWARE, f"{plan.encoder} failed on this video, so all of it was encoded by {SOFTWARE}.")


def encode_sound(job: TranscodingJob, rendition: AudioRendition, warning: str = "", finish: str = "") -> None:
    """Have an audio rendition encoded, instead of copied or with other last filters; that spends no attempt."""
    video = placement.locked(job.video_id) or job.video
    remove_segments(package_dir(video) / rendition.key)
    job.encode_sound(rendition, warning, finish)
    transaction.on_commit(lambda: notify_workers(ChunkKind.AUDIO))
