"""An agent of somebody hostile: everything it sends but its claim is to be refused, and to change nothing."""

import gzip
import http.client
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from torture.fleet import Fleet
from torture.site import Broken
from transcoding.engine.package.contents import segment_name, segments_there
from transcoding.models import Attempt
from videos.models import Video
from videos.storage.paths import package_dir
from workers import keys
from workers.models import Worker

Answered = tuple[str, int, set[int]]  # what was tried, its answer, the answers that are right
OTHER = 10**6  # a chunk that never was


class Hostile:
    """A worker with a key, and no good intentions."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        worker = Worker.objects.create(worker_name=f"hostile-{uuid4().hex[:8]}")
        self.key, _ = keys.issue(worker)

    def claim(self) -> dict[str, Any] | None:
        told = {"kinds": ["video"], "claim": str(uuid4())}
        given: dict[str, Any] = json.loads(self._ask("POST", "claim", json.dumps(told).encode())[1])
        return given["assignment"]

    def attack(self, mine: dict[str, Any], theirs: Attempt | None) -> None:
        """Raises Broken where something is answered otherwise than it should be, or changes a file."""
        package = package_dir(Video.objects.get(job__chunks=mine["chunk"]))
        before = _contents(package)
        folder = min(package.glob("*p"))
        tried = list(self._while_held(mine, self._tries(mine, theirs, folder)))
        if wrong := [f"{what} is answered {status}" for what, status, right in tried if status not in right]:
            raise Broken(f"of a hostile agent, {'; '.join(wrong)}")
        after = _contents(package)
        if changed := [str(path) for path, digest in before.items() if after.get(path) != digest]:
            raise Broken(f"a hostile agent changed {', '.join(changed)}")

    def _tries(self, mine: dict[str, Any], theirs: Attempt | None, folder: Path) -> Iterator[Answered]:
        yield from self._bad_deliveries(mine, folder)
        yield from self._bad_bodies(mine, folder.name)
        for chunk, attempt in [(OTHER, 1), (theirs.chunk_id, theirs.number)] if theirs else [(OTHER, 1)]:
            yield from self._not_mine(chunk or OTHER, attempt)

    def _while_held(self, mine: dict[str, Any], tries: Iterator[Answered]) -> Iterator[Answered]:
        """Up to where its lease runs out, as on a busy machine: from then on the answers are others, and rightly."""
        for answered in tries:
            if self._say("report", mine["chunk"], mine["attempt"], percent=None) != http.client.OK:
                return
            yield answered

    def give_back(self, mine: dict[str, Any]) -> None:
        status = self._say("give_back", mine["chunk"], mine["attempt"], reason="enough")
        if status not in {http.client.NO_CONTENT, http.client.CONFLICT}:
            raise Broken(f"a piece that is given back is answered {status}")

    def _bad_deliveries(self, mine: dict[str, Any], folder: Path) -> Iterator[Answered]:
        chunk, attempt, first, last = (mine[name] for name in ("chunk", "attempt", "first", "last"))
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

    def _bad_bodies(self, mine: dict[str, Any], rendition: str) -> Iterator[Answered]:
        chunk, attempt = mine["chunk"], mine["attempt"]
        segment = f"chunks/{chunk}/segments/{rendition}/{mine['first']}?attempt={attempt}"
        binary = {"Content-Type": "application/octet-stream"}
        endless = self._ask("PUT", segment, b"", {**binary, "Content-Length": str(1 << 40)})[0]
        yield "an endless segment", endless, {413}
        yield (
            "a segment of unknown length",
            self._ask("PUT", segment, b"", {**binary, "Transfer-Encoding": "chunked"})[0],
            {411},
        )
        bomb = gzip.compress(bytes(50 << 20))
        yield "a packed bomb", self._ask("POST", "claim", bomb[:60_000], {"Content-Encoding": "gzip"})[0], {415}
        yield "a deep message", self._ask("POST", "claim", b"[" * 60_000)[0], {400}
        yield "a long message", self._ask("POST", "heartbeat", b'{"metadata":"' + b"x" * 100_000 + b'"}')[0], {413}
        yield "a message of NaN", self._say("report", chunk, attempt, percent=float("nan")), {400}
        yield "a large attempt", self._say("report", chunk, 10**30), {400, 409}
        yield "a large chunk", self._say("report", 10**30, attempt), {400, 404, 409}

    def _not_mine(self, chunk: int, attempt: int) -> Iterator[Answered]:
        calls: dict[str, dict[str, Any]] = {
            "report": {"percent": None}, "complete": {}, "fail": {"error": "mine", "final": True},
            "give_back": {"reason": ""}, "warn": {"sentence": "mine"}, "transcript": {"language": "en", "captions": []},
        }  # fmt: skip
        for call, told in calls.items():
            yield f"{call} of another's chunk", self._say(call, chunk, attempt, **told), {409}
        yield "another's source", self._ask("GET", f"chunks/{chunk}/source?attempt={attempt}")[0], {409}
        yield "a segment of another's chunk", self._put(chunk, attempt, "480p", 0, b"mine"), {409}

    def _say(self, call: str, chunk: int, attempt: int, **told: Any) -> int:
        return self._ask("POST", f"chunks/{chunk}/{call}", json.dumps({"attempt": attempt, **told}).encode())[0]

    def _put(  # noqa: PLR0913 - what a delivery is
        self, chunk: int, attempt: int, rendition: str, index: object, data: bytes, digest: bytes | None = None
    ) -> int:
        named = b64encode(sha256(data if digest is None else digest).digest()).decode()
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{named}:"}
        return self._ask("PUT", f"chunks/{chunk}/segments/{rendition}/{index}?attempt={attempt}", data, headers)[0]

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        own = {"Authorization": f"Bearer {self.key}", "VLog-Agent": "1", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.fleet.host, self.fleet.port, timeout=60)) as connection:
            connection.request(method, f"/api/worker/v1/{path}", body, {**own, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()


def _contents(folder: Path) -> dict[Path, bytes]:
    files = list(folder.rglob("*.m4s")) + list(folder.rglob("init.mp4"))
    return {path: sha256(path.read_bytes()).digest() for path in files}
