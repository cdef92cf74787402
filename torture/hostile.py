"""A hostile agent: every request except its claim must be refused and change nothing."""

import gzip
import http.client
import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from torture.fleet import Fleet
from torture.site import Violation
from transcoding.engine.package.contents import segment_name, segments_there
from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.models import Attempt
from videos.models import Video
from videos.storage.paths import package_dir
from workers import keys
from workers.models import Worker

Outcome = tuple[str, int, set[int]]  # of a request: its description, its status, the allowed statuses
TRIES = 20  # of a request to a site that is busy
NO_CHUNK = 10**6  # the id of a chunk that does not exist


class Hostile:
    """A worker with a valid key that attacks the site."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        facts = {"plan_formats": list(KNOWN_FORMATS)}  # without them it would be given no chunk to attack with
        worker = Worker.objects.create(worker_name=f"hostile-{uuid4().hex[:8]}", capabilities=facts)
        self.key, _ = keys.issue(worker)

    def claim(self) -> dict[str, Any] | None:
        message = {"kinds": ["video"], "claim": str(uuid4())}
        answer: dict[str, Any] = json.loads(self._send("POST", "claim", json.dumps(message).encode())[1])
        return answer["assignment"]

    def attack(self, own: dict[str, Any], other: Attempt | None) -> None:
        """Raise Violation if a request has a wrong answer or changes a file."""
        package = package_dir(Video.objects.get(job__chunks=own["chunk"]))
        before = _contents(package)
        folder = min(package.glob("*p"))
        outcomes = list(self._while_held(own, self._requests(own, other, folder)))
        if wrong := [
            f"{what} is answered with {status}" for what, status, allowed in outcomes if status not in allowed
        ]:
            raise Violation(f"requests of a hostile agent: {'; '.join(wrong)}")
        after = _contents(package)
        if changed := [str(path) for path, digest in before.items() if after.get(path) != digest]:
            raise Violation(f"a hostile agent changed {', '.join(changed)}")

    def _requests(self, own: dict[str, Any], other: Attempt | None, folder: Path) -> Iterator[Outcome]:
        yield from self._bad_deliveries(own, folder)
        yield from self._bad_bodies(own, folder.name)
        for chunk, attempt in [(NO_CHUNK, 1), (other.chunk_id, other.number)] if other else [(NO_CHUNK, 1)]:
            yield from self._not_held(chunk or NO_CHUNK, attempt)

    def _while_held(self, own: dict[str, Any], outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes until the lease expires, as it may on a busy machine: the answers differ from then on."""
        for outcome in outcomes:
            if self._post("report", own["chunk"], own["attempt"], percent=None) != http.client.OK:
                return
            yield outcome

    def give_up(self, own: dict[str, Any]) -> None:
        """Report that no worker can make the chunk, which must not fail the video."""
        status = self._post("fail", own["chunk"], own["attempt"], error="no worker can make it", final=True)
        if status not in {http.client.NO_CONTENT, http.client.CONFLICT}:
            raise Violation(f"the failure of a chunk is answered with {status}")
        if Video.objects.filter(job__chunks=own["chunk"], status=Video.Status.FAILED).exists():
            raise Violation("one worker alone has failed a video")

    def _bad_deliveries(self, own: dict[str, Any], folder: Path) -> Iterator[Outcome]:
        chunk, attempt, first, last = (own[name] for name in ("chunk", "attempt", "first", "last"))
        rendition = folder.name
        junk = b"\0\0\0\x18ftypiso6" + bytes(5000)
        yield "another hash", self._put(chunk, attempt, rendition, first, junk, digest=b"other"), {400}
        yield "no segment", self._put(chunk, attempt, rendition, first, junk), {422}
        yield "no init segment", self._put(chunk, attempt, rendition, "init", junk), {422}
        for number in sorted(set(segments_there(folder)) - set(range(first, last + 1)))[:1]:
            data = (folder / segment_name(number)).read_bytes()
            yield "another segment's content", self._put(chunk, attempt, rendition, first, data), {422}
        for index in (99999, -1, "..", "%2e%2e", "00001.m4s", "..%2f..%2fmaster.m3u8", "../../../../settings"):
            yield f"the number {index}", self._put(chunk, attempt, rendition, index, junk), {400, 404}
        for name in ("9999p", "..", "%2e%2e", "audio", "..%2f..", ""):
            yield f"the rendition {name!r}", self._put(chunk, attempt, name, first, junk), {400, 404}

    def _bad_bodies(self, own: dict[str, Any], rendition: str) -> Iterator[Outcome]:
        chunk, attempt = own["chunk"], own["attempt"]
        segment = f"chunks/{chunk}/segments/{rendition}/{own['first']}?attempt={attempt}"
        binary = {"Content-Type": "application/octet-stream"}
        terabyte = self._send("PUT", segment, b"", {**binary, "Content-Length": str(1 << 40)})[0]
        yield "a segment of a terabyte", terabyte, {413}
        yield (
            "a segment of unknown length",
            self._send("PUT", segment, b"", {**binary, "Transfer-Encoding": "chunked"})[0],
            {411},
        )
        bomb = gzip.compress(bytes(50 << 20))
        yield "a compressed bomb", self._send("POST", "claim", bomb[:60_000], {"Content-Encoding": "gzip"})[0], {415}
        yield "a deep message", self._send("POST", "claim", b"[" * 60_000)[0], {400}
        yield "a long message", self._send("POST", "heartbeat", b'{"metadata":"' + b"x" * 100_000 + b'"}')[0], {413}
        yield "a message with NaN", self._post("report", chunk, attempt, percent=float("nan")), {400}
        yield "a large attempt", self._post("report", chunk, 10**30), {400, 409}
        yield "a large chunk", self._post("report", 10**30, attempt), {400, 404, 409}

    def _not_held(self, chunk: int, attempt: int) -> Iterator[Outcome]:
        calls: dict[str, dict[str, Any]] = {
            "report": {"percent": None}, "complete": {}, "fail": {"error": "own", "final": True},
            "give_back": {"reason": ""}, "warn": {"sentence": "own"}, "transcript": {"language": "en", "captions": []},
        }  # fmt: skip
        for call, fields in calls.items():
            yield f"{call} of another worker's chunk", self._post(call, chunk, attempt, **fields), {409}
        yield (
            "the source of another worker's chunk",
            self._send("GET", f"chunks/{chunk}/source?attempt={attempt}")[0],
            {409},
        )
        yield "a segment of another worker's chunk", self._put(chunk, attempt, "480p", 0, b"own"), {409}

    def _post(self, call: str, chunk: int, attempt: int, **fields: Any) -> int:
        return self._send("POST", f"chunks/{chunk}/{call}", json.dumps({"attempt": attempt, **fields}).encode())[0]

    def _put(  # noqa: PLR0913 - the parts of a delivery
        self, chunk: int, attempt: int, rendition: str, index: object, data: bytes, digest: bytes | None = None
    ) -> int:
        encoded = b64encode(sha256(data if digest is None else digest).digest()).decode()
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{encoded}:"}
        return self._send("PUT", f"chunks/{chunk}/segments/{rendition}/{index}?attempt={attempt}", data, headers)[0]

    def _send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of an answer. A site that is busy is asked again, as every agent does."""
        own = {"Authorization": f"Bearer {self.key}", "VLog-Agent": "1", "Content-Type": "application/json"}
        for _ in range(TRIES):
            status, content = self._ask(method, path, body, {**own, **(headers or {})})
            if status != http.client.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return status, content

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(self.fleet.host, self.fleet.port, timeout=60)) as connection:
            connection.request(method, f"/api/worker/v1/{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


def _contents(folder: Path) -> dict[Path, bytes]:
    files = list(folder.rglob("*.m4s")) + list(folder.rglob("init.mp4"))
    return {path: sha256(path.read_bytes()).digest() for path in files}
