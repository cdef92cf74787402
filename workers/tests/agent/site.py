"""A site that follows docs/workers-api.md, in a thread, and misbehaves on demand."""

import hashlib
import io
import json
import re
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from transcoding.engine.plan.plan import Plan, chunks

KEY = "k" * 43
ETAG = '"the-original"'
PATIENCE = 120  # seconds for anything to happen at all


@dataclass
class Chunk:
    """A chunk and its state."""

    number: int
    kind: str
    plan: Plan
    first: int
    last: int
    source: Path
    attempt: int = 0
    state: str = "pending"  # running, completed, failed
    error: str = ""
    claim: str = ""
    percents: list = field(default_factory=list)


class StubSite(ThreadingHTTPServer):
    """misdeeds: functions that answer instead of the handler, each once, the first request that matches."""

    daemon_threads = True

    def __init__(self, lease=60):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lease, self.chunks, self.delivered, self.said = lease, {}, {}, []
        self.key, self.disabled, self.held_back, self.version, self.etag = KEY, False, None, "1", ETAG
        self.misdeeds, self.orders, self.downloaded, self.transcript, self.language = [], {}, 0, None, ""
        self.more = {}
        self.lock = threading.RLock()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()

    def add(self, plan, source, *kinds):
        """Add the chunks of a video."""
        for kind in kinds or ("video", "audio"):
            runs = [(chunk.first, chunk.last) for chunk in chunks(plan.timeline)] if kind == "video" else [(0, 0)]
            if kind == "audio":
                runs = [(0, len(plan.audio[0].timeline) - 1)]
            for first, last in runs:
                number = 41 + len(self.chunks)
                self.chunks[number] = Chunk(number, kind, plan, first, last, source)
        return self

    def misbehave(self, pattern, misdeed, times=1):
        """pattern: of requests, such as `POST claim`."""
        self.misdeeds += [(re.compile(pattern), misdeed)] * times

    def calls(self, pattern):
        return [said for said in self.said if re.match(pattern, said)]

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}: {self.said}"
            time.sleep(0.05)

    def handle_error(self, request, client_address):
        """Ignore agents that close the connection."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubSite

    def log_message(self, *arguments):
        pass

    def do_any(self):
        self.call = self.path.removeprefix("/api/worker/v1/").partition("?")[0]
        said = f"{self.command} {self.call}"
        with self.server.lock:
            self.server.said.append(said)
            found = next((item for item in self.server.misdeeds if item[0].match(said)), None)
            if found:
                self.server.misdeeds.remove(found)
        if found:
            found[1](self)
        elif refusal := self.refusal():
            self.read()
            self.answer(refusal, {"detail": f"refused with {refusal}"})
        else:
            self.dispatch()

    do_GET = do_POST = do_PUT = do_any  # noqa: N815 - http.server's names

    def refusal(self):
        if not self.path.startswith("/api/worker/v1/"):
            return 404
        if self.headers["Authorization"] != f"Bearer {self.server.key}":
            return 401
        if self.headers["VLog-Agent"] != self.server.version:
            return 426
        return 403 if self.server.disabled else None

    def dispatch(self):
        found = re.fullmatch(r"chunks/(\d+)/(\w+)(?:/(\w+)/(\w+))?", self.call)
        if found is None:
            return getattr(self, self.call)(json.loads(self.read()))
        number, call, rendition, index = found.groups()
        body = self.read()
        message = json.loads(body) if self.command == "POST" else {"attempt": int(self.path.rpartition("=")[2])}
        with self.server.lock:
            chunk = self.server.chunks.get(int(number))
            if chunk is None or (chunk.attempt, chunk.state) != (message["attempt"], "running"):
                return self.answer(409, {"detail": "the lease is lost"})
            if call == "source":
                return self.source(chunk)
            if call == "segments":
                return self.segment(chunk, rendition, index, body)
            return getattr(self, f"chunk_{call}")(chunk, message)

    def read(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, data=None, headers=None):
        body = b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), "Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def heartbeat(self, message):
        self.server.heartbeat = message
        self.answer(200, {"worker": "attic", "again_in": 0.1})

    def claim(self, message):
        with self.server.lock:
            chunks = self.server.chunks.values()
            again = [chunk for chunk in chunks if chunk.claim == message["claim"] and chunk.state == "running"]
            waiting = [p for p in chunks if p.state == "pending" and p.kind in message["kinds"]]
            chunk = next(iter(again or waiting), None)
            if chunk is not None and not again:
                chunk.attempt, chunk.state, chunk.claim = chunk.attempt + 1, "running", message["claim"]
        held_back = self.server.held_back
        given = None if chunk is None or held_back else self.assignment(chunk)
        self.answer(200, {"assignment": given, "again_in": 0.1, "held_back": held_back})

    def assignment(self, chunk):
        return {
            "chunk": chunk.number, "attempt": chunk.attempt, "kind": chunk.kind, "title": "Harbour at dawn",
            "plan": chunk.plan.to_json(), "first": chunk.first, "last": chunk.last, "tier": 0, "urgent": False,
            "lease": self.server.lease, "language": self.server.language,
            "source": {"size": chunk.source.stat().st_size, "etag": ETAG}, **self.server.more,
        }  # fmt: skip

    def source(self, chunk):
        data = chunk.source.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        if self.headers["If-Range"] != self.server.etag:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        part = data[int(asked[1]) : int(asked[2]) + 1]
        self.server.downloaded += len(part)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {asked[1]}-{asked[2]}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def segment(self, chunk, rendition, index, body):
        digest = b64encode(hashlib.sha256(body).digest()).decode()
        if self.headers["Content-Digest"] != f"sha-256=:{digest}:":
            return self.answer(422, {"detail": "the bytes are not those of the digest"})
        self.server.delivered[rendition, index] = body
        return self.answer(200, {"order": self.server.orders.pop(f"PUT {rendition}/{index}", "go_on")})

    def chunk_report(self, chunk, message):
        if message["percent"] is not None:
            chunk.percents.append(message["percent"])
        self.answer(200, {"order": self.server.orders.pop("report", "go_on")})

    def chunk_warn(self, chunk, message):
        self.server.said.append(message["sentence"])
        self.answer(204)

    def chunk_complete(self, chunk, message):
        chunk.state = "completed"
        self.answer(204)

    def chunk_transcript(self, chunk, message):
        self.server.transcript, chunk.state = message, "completed"
        self.answer(204)

    def chunk_speech(self, chunk, message):
        self.server.speech, chunk.state = message, "completed"
        self.answer(204)

    def chunk_fail(self, chunk, message):
        chunk.state, chunk.error = "failed", message["error"]
        self.answer(204)

    def chunk_give_back(self, chunk, message):
        chunk.state, chunk.error = "pending", message["reason"]
        self.answer(204)


def hang_up(handler):
    """Close the connection without an answer."""
    handler.close_connection = True


def says(status, headers=None, detail="not now"):
    def misdeed(handler):
        handler.read()
        handler.answer(status, {"detail": detail}, headers)

    return misdeed


def truncated(handler):
    """Answer correctly, but without the last bytes."""
    whole = handler.wfile
    handler.wfile = _Cut(whole)
    handler.dispatch()
    handler.wfile = whole
    handler.close_connection = True


def unheard(handler):
    """Handle the request, and close the connection without an answer."""
    whole, handler.wfile = handler.wfile, io.BytesIO()
    handler.dispatch()
    handler.wfile = whole
    handler.close_connection = True


class _Cut:
    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data if data.startswith(b"HTTP/") else data[: len(data) * 2 // 3])

    def flush(self):
        self.file.flush()
