"""How ffmpeg opens a source: patiently, and nothing that the source may refer to. Pure."""

from transcoding.engine.plan.media import FORMATS, MAX_PIXELS

# A source may break every rule: what cannot be decoded is passed over, however much it is, and no picture may fill the
# memory, whatever size the middle of the stream says it has.
_PATIENT = ("-max_error_rate", "1", "-max_pixels", str(MAX_PIXELS))

LOOPBACK = "http://127.0.0.1:"  # how an address begins at which a worker serves itself a source
_HERE = {"protocol_whitelist": "file"}
# Little is read ahead of what is decoded, because all of it comes from far.
_FROM_AFAR = {"protocol_whitelist": "http,tcp", "recv_buffer_size": str(64 << 10)}


def is_file(source: str) -> bool:
    """Whether a source is a path, whatever it looks like, and not an address of a worker's own."""
    return not source.startswith(LOOPBACK)


def opened_as(source: str) -> tuple[dict[str, str], str]:
    """libav's options for opening a source and nothing that it may refer to, and the source as libav names it."""
    return (_HERE, f"file:{source}") if is_file(source) else (_FROM_AFAR, source)


def input_arguments(source: str) -> list[str]:
    """Open a source and nothing that it may refer to."""
    options, name = opened_as(source)
    opened = [word for option, value in options.items() for word in (f"-{option}", value)]
    return [*_PATIENT, *opened, "-format_whitelist", ",".join(FORMATS), "-i", name]


def thread_arguments(threads: int) -> list[str]:
    """Return the limit of threads for what follows; 0 lets ffmpeg choose."""
    return ["-threads", str(threads), "-filter_complex_threads", str(threads)] if threads else []
