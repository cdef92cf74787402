"""A private network: the site on one side, each remote worker behind a link. Needs root.

It consists of network namespaces, which end with the processes in them and are invisible to all others.
"""

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass, field

CLONE_NEWNET = 0x40000000  # unshare(2)
SITE = "10.213.0.1"
PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "unshare": "util-linux", "nsenter": "util-linux"}
LOSS = "numgen random mod 100 < {percent} drop"


def why_not() -> str:
    """Return what this machine lacks for private networks; empty if nothing."""
    if os.geteuid():
        return "private networks need root"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        return f"private networks need {' and '.join(missing)}"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def isolate() -> None:
    """Move this process and its children into a new network namespace. Call it before a second thread starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{SITE}/32", "dev", "lo")


@dataclass
class Link:
    """A link from the site to a namespace with the address 10.213.NUMBER.2."""

    number: int
    holder: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"link{self.number}"
        # `cat` ends with this process, however that ends, and the namespace and the link end with `cat`.
        command = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.defpath})
        if self.holder.stdout is not None:
            self.holder.stdout.read(1)  # the namespace exists now
        far = f"netns {self.holder.pid}"
        _run(*f"ip link add {self.name} type veth peer name eth0 {far}".split())
        _run(*f"ip address add 10.213.{self.number}.1/24 dev {self.name}".split())
        self.connect()
        for words in ("link set lo up", f"address add 10.213.{self.number}.2/24 dev eth0", "link set eth0 up"):
            self.run("ip", *words.split())
        self.run("ip", *f"route add default via 10.213.{self.number}.1".split())

    @property
    def inside(self) -> list[str]:
        """Return the prefix of a command that runs at the far end; the process is replaced by that command."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def run(self, *command: str) -> None:
        _run(*self.inside, *command)

    def disconnect(self) -> None:
        _run("ip", "link", "set", self.name, "down")

    def connect(self) -> None:
        _run("ip", "link", "set", self.name, "up")

    def set_loss(self, percent: int) -> None:
        """Drop this percentage of the packets in each direction."""
        rules = "".join(
            f"chain {way} {{ type filter hook {way} priority 0; {LOSS.format(percent=percent)}; }}\n"
            for way in ("input", "output")
        )
        self.run("nft", f"table inet loss {{ {rules} }}")

    def remove_loss(self) -> None:
        self.run("nft", "delete table inet loss")

    def set_rate(self, kbit: int) -> None:
        """Limit what the far end sends to this rate in kbit/s."""
        self.run(*f"tc qdisc add dev eth0 root tbf rate {kbit}kbit burst 4kb latency 2s".split())

    def remove_rate(self) -> None:
        self.run("tc", "qdisc", "del", "dev", "eth0", "root")

    def remove(self) -> None:
        _run("ip", "link", "delete", self.name)
        self.holder.kill()
        self.holder.communicate()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
