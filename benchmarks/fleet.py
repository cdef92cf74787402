"""What a fleet of remote workers costs the site: their heartbeats, an idle thousand of them, and their claims."""

import heapq
import http.client
import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from uuid import uuid4

import psycopg

from benchmarks.installation import BASE, Gave, Installation
from benchmarks.processes import Seconds, difference, total
from benchmarks.web import Load, load
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.media import MediaInfo, VideoTrack
from transcoding.engine.plan.plan import make_plan
from vlog import embedded

AGENTS = 1000
CLAIMERS = 50  # that ask at the same moment
ASKING = 8  # threads that simulate the idle ones
PIECES = 100  # of a video
RATE = 25
HEADERS = {"VLog-Agent": "1", "Content-Type": "application/json"}
CALLS = """
local keys, number = { %s }, 0
local function digits(count)
  local text = ""
  for _ = 1, count do text = text .. string.format("%%x", math.random(0, 15)) end
  return text
end
math.randomseed(os.time())
request = function()
  number = number + 1
  local headers = { ["VLog-Agent"] = "1", ["Content-Type"] = "application/json",
                    ["Authorization"] = "Bearer " .. keys[number %% #keys + 1] }
  local body = string.gsub('%s', "UUID", digits(8) .. "-0000-4000-8000-" .. digits(12))
  return wrk.format("POST", "/api/worker/v1/%s", headers, body)
end
"""
CAPABILITIES = {"encoders": ["libx264"], "cores": 4, "plan_formats": [1, 2]}
HEARTBEAT = {"capabilities": CAPABILITIES, "metadata": {"host": "bench"}}
JOBS = """
WITH made AS (
    INSERT INTO videos (title, slug, description, status, source_name, duration)
        SELECT 'Fleet ' || n, 'fleet-' || n, '', 'processing', 'clip.mp4', %(seconds)s
        FROM generate_series(1, %(jobs)s) n
        RETURNING id
), jobs AS (
    INSERT INTO transcoding_jobs (video_id, plan, current_step, last_checkpoint)
        SELECT id, %(plan)s::jsonb, 'transcode', now() FROM made RETURNING id, video_id
), pieces AS (
    INSERT INTO transcoding_chunks (job_id, kind, index, first_segment, last_segment)
        SELECT id, 'video', n, n, n FROM jobs, generate_series(0, %(pieces)s - 1) n
)
SELECT video_id FROM jobs
"""
WORKER = """
INSERT INTO workers (worker_id, worker_name, capabilities, registered_at) VALUES (%s, %s, %s, now()) RETURNING id
"""
KEY = "INSERT INTO worker_api_keys (worker_id, key_hash, key_prefix, created_at) VALUES (%s, %s, %s, now())"
GIVEN = "SELECT count(*), count(*) - count(DISTINCT chunk_id) FROM transcoding_attempts"


@dataclass
class Fleet:
    """What was measured, all but `idle` a second.

    Heartbeats; cores that an idle fleet takes, and how often it asked; claims over HTTP, and by the queue alone; how
    many chunks were claimed in all, and how many of them twice.
    """

    heartbeats: Load = field(default_factory=Load)
    idle: float = 0.0
    idle_questions: int = 0
    questions: Load = field(default_factory=Load)
    claims: float = 0.0
    given: int = 0
    twice: int = 0


def measure_fleet(installation: Installation, idle: Seconds, *, quick: bool) -> Fleet:
    url = embedded.database_url(installation.data)
    keys = make_workers(url, 50 if quick else AGENTS)
    fleet, seconds = Fleet(), 3 if quick else 15
    fleet.heartbeats = load(installation, calls(keys, "heartbeat", HEARTBEAT), seconds)
    fleet.idle, fleet.idle_questions = idle_share(installation, keys, idle, seconds=10 if quick else 60)
    make_pieces(installation, url, jobs=50 if quick else 1000)
    question = {"kinds": ["video"], "claim": "UUID"}
    fleet.questions = load(installation, calls(keys[:CLAIMERS], "claim", question), seconds, CLAIMERS)
    fleet.claims = claims(installation, seconds)
    with psycopg.connect(url) as connection:
        fleet.given, fleet.twice = connection.execute(GIVEN).fetchone() or (0, 0)
    if not fleet.given:
        raise Gave("(i) no piece was given to anybody")
    return fleet


def claims(installation: Installation, seconds: int) -> float:
    """Pieces a second that the queue gives to workers that do nothing but claim."""
    env = installation.env | {"DJANGO_SETTINGS_MODULE": "vlog.settings"}
    command = [sys.executable, "-m", "benchmarks.claimers", str(CLAIMERS), str(seconds)]
    return int(subprocess.run(command, cwd=BASE, env=env, check=True, capture_output=True).stdout) / seconds


def calls(keys: list[str], call: str, message: object) -> str:
    """A script for wrk: this call in the name of each worker in turn."""
    return CALLS % (", ".join(f'"{key}"' for key in keys), json.dumps(message), call)


def make_workers(database_url: str, number: int) -> list[str]:
    """Remote workers; gives a key of each."""
    keys = [secrets.token_urlsafe(32) for _ in range(number)]
    with psycopg.connect(database_url) as connection:
        for count, key in enumerate(keys):
            facts = json.dumps(HEARTBEAT["capabilities"])
            (worker,) = connection.execute(WORKER, [str(uuid4()), f"far-{count}", facts]).fetchone() or (0,)
            connection.execute(KEY, [worker, sha256(key.encode()).hexdigest(), key[:8]])
    return keys


def make_pieces(installation: Installation, database_url: str, jobs: int) -> None:
    """Videos that are to be encoded, as many pieces of each; of their originals there is but the name."""
    frames, rate = PIECES * 6 * RATE, Fraction(RATE)
    track = VideoTrack(
        index=0,
        codec="vp9",
        profile="0",
        pixel_format="yuv420p",
        width=640,
        height=360,
        is_simple=True,
        rate=rate,
        constant=True,
        frames=frames,
        start=0,
        time_base=1 / (rate * 512),
        keyframes=(0,),
        keyframe_times=(Fraction(0),),
        idr=True,
        bitrate=10**6,
        peak=10**6,
    )
    media = MediaInfo("matroska,webm", Fraction(0), True, track, None)
    plan = make_plan(media, encoder="libx264", preset="veryfast", ffmpeg=processes.version())
    numbers = {"jobs": jobs, "pieces": PIECES, "seconds": frames / RATE, "plan": json.dumps(plan.to_json())}
    with psycopg.connect(database_url) as connection:
        videos = [video for (video,) in connection.execute(JOBS, numbers)]
    for video in videos:
        original = installation.data / "sources" / str(video) / "original.mp4"
        original.parent.mkdir(parents=True)
        original.touch()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def idle_share(installation: Installation, keys: list[str], idle: Seconds, seconds: float) -> tuple[float, int]:
    """Cores that the idle fleet takes of the site beyond what it needs anyway, and how many questions were asked."""
    with ThreadPoolExecutor(ASKING) as pool:
        fleet = Idle(installation.port, keys, pool.submit)
        fleet.ask_for(seconds)  # until each has heard how large the fleet is, and all are spread
        before, started, asked_before = installation.family.seconds(), time.monotonic(), fleet.answered
        fleet.ask_for(seconds)
        used = total(difference(installation.family.seconds(), before)) / (time.monotonic() - started)
    return used - total(idle), fleet.answered - asked_before


class Idle:
    """Workers that have nothing to do, each with a connection for each question, as after a minute of silence."""

    def __init__(self, port: int, keys: list[str], submit: Callable[..., object]) -> None:
        self.port, self.submit, self.answered = port, submit, 0
        drawn = random.Random(4)  # noqa: S311 - the same at each run
        now = time.monotonic()
        self.waiting = [(now + drawn.uniform(0, 60), key) for key in keys]
        heapq.heapify(self.waiting)

    def ask_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            moment, key = self.waiting[0] if self.waiting else (end, "")
            if moment > now:
                time.sleep(min(moment, end) - now)
            elif key:
                heapq.heappop(self.waiting)
                self.submit(self._ask, key)

    def _ask(self, key: str) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            question = json.dumps({"kinds": ["video", "audio"], "claim": str(uuid4())})
            connection.request("POST", "/api/worker/v1/claim", question, {**HEADERS, "Authorization": f"Bearer {key}"})
            answer = json.loads(connection.getresponse().read())
        heapq.heappush(self.waiting, (time.monotonic() + answer["again_in"], key))
        self.answered += 1
