"""The names of the VLOG_* variables, and which one a misspelt name was meant to be.

Otherwise a misspelt name would have no effect: with VLOG_DATABSE_URL, VLog would start with a new, empty database.
"""

import os
from collections.abc import Mapping
from itertools import takewhile

PREFIX, FILE = "VLOG_", "_FILE"
# In the order of docs/settings.md.
OF_SITE = """
    DATA_DIR DATABASE_URL REDIS_URL SECRET_KEY BASE_URL ALLOWED_HOSTS TRUSTED_PROXIES SESSION_HOURS REQUIRE_TOTP
    TIME_ZONE LANGUAGE DEFAULT_VISIBILITY EMBED_SITES DEBUG LOG_FORMAT ALERT_EMAILS ALERT_FROM EMAIL_URL ALERT_WEBHOOK
    BACKUP_DAYS WEBHOOK_PRIVATE_ADDRESSES IMPORT_PRIVATE_ADDRESSES IMPORT_STORE IMPORT_FOLDERS YT_DLP
    STORAGE_URL STORAGE_KEY STORAGE_SECRET MEDIA_BASE_URL FFMPEG ENCODER X264_PRESET AUDIO_TRACKS NORMALIZE_AUDIO
    LADDER ENCODE_THREADS ARCHIVE_RETENTION_DAYS KEEP_REPLACED_DAYS AUDIT_DAYS DISK_RESERVE PLAYBACK_LIMIT SEARCH_LIMIT
    API_LIMIT SEEK_LIMIT PODCAST_CATEGORY PODCAST_EXPLICIT WHISPER_MODEL WHISPER_PROMPT TRANSLATE_COMMAND
    TRANSLATE_URL TRANSLATE_KEY METRICS_TOKEN HEAD_SECONDS SILENCE_SECONDS MIN_RATE CONNECTIONS_PER_ADDRESS
    KEEP_PAGES_BYTES LEASE_SECONDS WORKER_KEY SWEEP_SECONDS
"""
# What `up` tells its programs, what the tests use, and what the files in deploy/ use.
NO_SETTINGS = "PROCESS TEST_COLLECTED LISTEN WEB FILES STATIC PROXIES SITE UID"
SETTINGS = tuple(PREFIX + name for name in OF_SITE.split())
OTHERS = frozenset(PREFIX + name for name in NO_SETTINGS.split())
KNOWN = frozenset({*SETTINGS, *(name + FILE for name in SETTINGS), *OTHERS})
# Words that differ from VLog's prefix by one letter, but begin the names of other programs' variables.
OTHER_WORDS = ("LOG_", "BLOG_", "CLOG_", "FLOG_", "PLOG_", "SLOG_", "XLOG_")


def unknown(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a message for each variable whose name begins with VLOG_ and means nothing, or is VLOG_ misspelt."""
    return [_message(name) for name in environment if name not in KNOWN and _is_meant_for_vlog(name)]


def _is_meant_for_vlog(name: str) -> bool:
    if name.upper().startswith(PREFIX):
        return True
    # One wrong letter in the prefix leaves the rest of a setting's name.
    rests = (known for known in KNOWN if name.endswith(known[len(PREFIX) + 1 :]))
    return not name.startswith(OTHER_WORDS) and any(distance(name, known) == 1 for known in rests)


def _message(name: str) -> str:
    meant = nearest(name)
    return f"{name} is not a setting of VLog" + (f"; the nearest is {meant}" if meant else "")


def nearest(name: str) -> str:
    """Return the setting whose name is nearest to this one; empty if none is near."""
    name = name.upper()
    candidates = [setting + FILE if name.endswith(FILE) else setting for setting in SETTINGS]
    for limit in range(max(2, (len(name) - len(PREFIX)) // 3) + 1):
        if best := next((candidate for candidate in candidates if distance(name, candidate, limit) == limit), ""):
            return best
    return ""


def distance(one: str, other: str, limit: int = 1) -> int:
    """Return how many letters to insert, delete, replace or swap with the next one (optimal string alignment).

    Beyond the limit, the result is only some greater number.
    """
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    one, other = one[shared:], other[shared:]
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], wanted):
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
        if min(rows[-1]) > limit and min(rows[-2]) > limit:
            return limit + 1
    return rows[-1][-1]
