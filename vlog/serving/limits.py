"""What one client may use of the web server, from the settings."""

from dataclasses import dataclass

from django.conf import settings

MEMORY = 12 << 20  # bytes in each process: requests that are not complete, and answers that clients have not taken


@dataclass(frozen=True)
class Limits:
    """head: seconds for the head of a request. silence: seconds for which a client may send or take nothing.

    rate: bytes a second, the slowest body or answer. each: connections of one address to one process.
    """

    head: float
    silence: float
    rate: int
    each: int
    memory: int = MEMORY

    @classmethod
    def of_settings(cls) -> "Limits":
        return cls(
            head=settings.HEAD_SECONDS,
            silence=settings.SILENCE_SECONDS,
            rate=settings.MIN_RATE,
            each=settings.CONNECTIONS_PER_ADDRESS,
        )
