"""Celery messages that wake workers up. A lost message does no harm: the sweep sends another."""

import logging
from typing import Any

from celery import Signature, chain
from kombu.exceptions import OperationalError

from transcoding.models import ChunkKind
from vlog.celery import app

log = logging.getLogger(__name__)

TASKS = {
    ChunkKind.VIDEO: "encode",
    ChunkKind.AUDIO: "encode_audio",
    ChunkKind.STORYBOARD: "generate_storyboard",
    ChunkKind.CAPTIONS: "extract_captions",
    ChunkKind.TRANSCRIPTION: "transcribe",
    ChunkKind.SPEECH: "transcribe",
}


def notify_workers(kind: str) -> None:
    """Wake one worker up, because a chunk of this kind may be waiting."""
    # By name: the tasks themselves stand above the queue.
    send(app.signature(f"transcoding.tasks.{TASKS[ChunkKind(kind)]}", immutable=True))


def finish(job_id: int) -> None:
    """Send the last two steps of a job, because all of it is encoded."""
    steps = ("master_playlist", "finalize")
    send(chain(*(app.signature(f"transcoding.tasks.{step}", (job_id,), immutable=True) for step in steps)))


def queue_length(queue: str) -> int:
    """Return the number of messages that wait in a Celery queue."""
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        length: int = channel.queue_declare(queue).message_count
        return length


def send(signature: Signature) -> None:
    """Send a message, or log that Redis does not answer."""
    try:
        signature.apply_async()
    except OperationalError as error:
        log.warning("Redis does not answer, the sweep will send %s later: %s", signature, error)
