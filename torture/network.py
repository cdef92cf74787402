"""A network of our own: the site on one side, each remote worker at the end of a cable. Needs root.

All of it is in network namespaces that end with the processes in them; nothing else sees it.
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
    """What is missing here for networks of our own; empty where nothing is."""
    if os.geteuid():
        return "networks of one's own need root"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        return f"networks of one's own need {' and '.join(missing)}"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def isolate() -> None:
    """Move this process, and all that it starts, into a network of its own; before it has a second thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{SITE}/32", "dev", "lo")


@dataclass
class Cable:
    """From the site to a machine of its own with one address: 10.213.NUMBER.2."""

    number: int
    holder: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"cable{self.number}"
        # It ends with us, whatever ends us, and its namespace and the cable with it.
        command = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.defpath})
        if self.holder.stdout is not None:
            self.holder.stdout.read(1)  # the namespace is there
        far = f"netns {self.holder.pid}"
        _run(*f"ip link add {self.name} type veth peer name eth0 {far}".split())
        _run(*f"ip address add 10.213.{self.number}.1/24 dev {self.name}".split())
        self.plug()
        for words in ("link set lo up", f"address add 10.213.{self.number}.2/24 dev eth0", "link set eth0 up"):
            self.run("ip", *words.split())
        self.run("ip", *f"route add default via 10.213.{self.number}.1".split())

    @property
    def inside(self) -> list[str]:
        """What a command begins with that is to run at the far end; it becomes that command."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def run(self, *command: str) -> None:
        _run(*self.inside, *command)

    def pull(self) -> None:
        _run("ip", "link", "set", self.name, "down")

    def plug(self) -> None:
        _run("ip", "link", "set", self.name, "up")

    def lose(self, percent: int) -> None:
        """So many packets of each direction are lost from now on."""
        rules = "".join(
            f"chain {way} {{ type filter hook {way} priority 0; {LOSS.format(percent=percent)}; }}\n"
            for way in ("input", "output")
        )
        self.run("nft", f"table inet loss {{ {rules} }}")

    def lose_nothing(self) -> None:
        self.run("nft", "delete table inet loss")

    def slow_down(self, kbit: int) -> None:
        """What the far end sends goes at so many kbit/s from now on."""
        self.run(*f"tc qdisc add dev eth0 root tbf rate {kbit}kbit burst 4kb latency 2s".split())

    def speed_up(self) -> None:
        self.run("tc", "qdisc", "del", "dev", "eth0", "root")

    def remove(self) -> None:
        _run("ip", "link", "delete", self.name)
        self.holder.kill()
        self.holder.communicate()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
