"""What a process that reads hostile files may still do, as far as the kernel can forbid it. Linux; no Django here.

Its environment has no secrets. It can write to its output and to devices, connect to the port of its source, and
nothing else; it can neither read the memory or the environment of other processes nor send them signals. Landlock does
that (https://docs.kernel.org/userspace-api/landlock.html), and a filter of system calls (seccomp) what Landlock does
not: other sockets than TCP, such as the one on which an embedded PostgreSQL needs no password.

Both restrict a thread and what it starts, so a process is started by a thread of its own. What a kernel does not know
is left out: `protections` says what holds.
"""

import ctypes
import os
import platform
import re
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

# linux/landlock.h: the numbers of the calls are the same on every machine.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION, PATH_BENEATH, NET_PORT = 1, 1, 2
WRITE_FILE = 1 << 1
CONNECT_TCP, NET = 1 << 1, 0b11  # NET: bind and connect
SCOPED = 0b11  # abstract Unix sockets, signals
# Write, remove and make all kinds of files; since ABI 2 link elsewhere, since ABI 3 truncate.
WRITES = {1: 0b1_1111_1111_0010, 2: 0b11_1111_1111_0010, 3: 0b111_1111_1111_0010}
NET_ABI, SCOPE_ABI = 4, 6
DEVICES = "/dev"  # encoders of graphics cards write to them

# linux/prctl.h, linux/seccomp.h, linux/filter.h
NO_NEW_PRIVS, SECCOMP, FILTER = 38, 22, 2
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050001  # EPERM
AT_NUMBER, AT_MACHINE, AT_FIRST, AT_SECOND = 0, 4, 16, 24  # bytes in struct seccomp_data
MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # AUDIT_ARCH and the number of socket()
IO_URING_SETUP, OTHER_ABI = 425, 0x40000000
INET, STREAM, TYPE = 2, 1, 0xF

# linux/capability.h: chown, dac_override, dac_read_search, fowner; without them root could not read others' files.
CAPABILITY_VERSION, FILE_CAPABILITIES = 0x20080522, 0b1111

KEPT = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|XDG_\w+|PYTHON(PATH|HOME|WARNINGS)|VLOG_FFMPEG"
    r"|(CUDA|NVIDIA|LIBVA|VDPAU|MESA|DRI|ONEVPL|MFX|OMP|MKL|KMP|OPENBLAS|TORCH|PYTORCH)_\w+"
)
FOR_THE_NETWORK = re.compile(r"(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY|SSL_CERT_(FILE|DIR)")


@dataclass(frozen=True)
class Rights:
    """What one process may do: write below these folders, connect to these ports; ports=None: use any network."""

    folders: tuple[str, ...] = ()
    ports: tuple[int, ...] | None = ()


def environment(rights: Rights) -> dict[str, str]:
    """Return what a process needs to know of this one's environment: no secret, no setting of the site."""
    kept = re.compile(f"{KEPT.pattern}|{FOR_THE_NETWORK.pattern}") if rights.ports is None else KEPT
    return {name: value for name, value in os.environ.items() if kept.fullmatch(name)}


def confine(rights: Rights) -> list[str]:
    """Confine the calling thread, and all that it starts, for ever; returns what holds, in words for an operator."""
    _libc().prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    _drop_capabilities()
    return [*_landlock(rights), *_seccomp(rights)]


@cache
def protections() -> list[str]:
    """Return what holds on this machine for a process without network, in words for an operator."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(confine, Rights()).result()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    """Call the kernel; the result is negative where it refuses."""
    return int(_libc().syscall(ctypes.c_long(number), *arguments))


def _drop_capabilities() -> None:
    """Leave root those for files: with others it could read the environment of every process."""
    header, held = struct.pack("Ii", CAPABILITY_VERSION, 0), ctypes.create_string_buffer(24)
    if _libc().capget(header, held) == 0:
        low, high = struct.unpack("6I", held)[:3], (0, 0, 0)
        _libc().capset(header, struct.pack("6I", *(each & FILE_CAPABILITIES for each in low), *high))


def _landlock(rights: Rights) -> list[str]:
    abi = _call(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)
    if abi < 1:
        return []
    writes = WRITES[min(abi, max(WRITES))]
    net = NET if abi >= NET_ABI and rights.ports is not None else 0
    attributes = struct.pack("QQQ", writes, net, SCOPED if abi >= SCOPE_ABI else 0)
    size = 8 * (1 + (abi >= NET_ABI) + (abi >= SCOPE_ABI))
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return []
    try:
        _allow_writes(ruleset, {DEVICES: WRITE_FILE, **dict.fromkeys(rights.folders, writes)}.items())
        for port in rights.ports or () if net else ():
            _call(ADD_RULE, ruleset, NET_PORT, struct.pack("QQ", CONNECT_TCP, port), 0)
        if _call(RESTRICT_SELF, ruleset, 0):
            return []
    finally:
        os.close(ruleset)
    return ["files", *(["TCP"] if net else []), *(["signals"] if abi >= SCOPE_ABI else [])]


def _allow_writes(ruleset: int, folders: Iterable[tuple[str, int]]) -> None:
    for folder, access in folders:
        with suppress(OSError):  # a folder that is not there cannot be written to either
            descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            try:
                _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", access, descriptor), 0)
            finally:
                os.close(descriptor)


def _seccomp(rights: Rights) -> list[str]:
    machine = MACHINES.get(platform.machine())
    if machine is None or rights.ports is None:
        return []
    program = b"".join(struct.pack("HBBI", *line) for line in _program(*machine, tcp=bool(rights.ports)))
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    return ["sockets"] if _libc().prctl(SECCOMP, FILTER, header, 0, 0) == 0 else []


def _program(architecture: int, socket: int, *, tcp: bool) -> list[tuple[int, int, int, int]]:
    """Return the filter, lines of (code, lines to skip if true, if false, operand): TCP at most, and no io_uring."""
    return [
        (LOAD, 0, 0, AT_MACHINE),
        (EQUAL, 0, 9, architecture),
        (LOAD, 0, 0, AT_NUMBER),
        (AT_LEAST, 7, 0, OTHER_ABI),
        (EQUAL, 6, 0, IO_URING_SETUP),
        (EQUAL, 0, 6, socket),
        (LOAD, 0, 0, AT_FIRST),
        (EQUAL, 0, 3, INET if tcp else 0xFFFF),
        (LOAD, 0, 0, AT_SECOND),
        (AND, 0, 0, TYPE),
        (EQUAL, 1, 0, STREAM),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
