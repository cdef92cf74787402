"""Texts in another language: by a command of the operator's, or by a server with LibreTranslate's API.

Both are off by default. The command reads {"source": "en", "target": "de", "texts": [...]} as JSON from its standard
input, and writes {"texts": [...]} to its standard output. Its environment has no secrets of VLog's.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.conf import settings

from vlog import outbound
from vlog.speech import Translation

AT_ONCE, LETTERS_AT_ONCE = 50, 5000  # texts and characters of one request to a server
REQUEST_SECONDS, COMMAND_SECONDS = 120, 1800
MAX_ANSWER = 64 << 20  # bytes
MAX_ERROR = 300  # characters that are shown of an error
KEPT = re.compile(r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR")
OFF = (
    "This site translates nothing. Set VLOG_TRANSLATE_COMMAND to a program, or VLOG_TRANSLATE_URL to a server with "
    "LibreTranslate's API, and restart VLog."
)


class TranslationError(Exception):
    """The texts could not be translated; the message says why, and what to do."""


def translate(texts: Sequence[str], source: str, target: str) -> list[str]:
    """Return texts in another language (codes of BCP 47), each in its place. Raises TranslationError."""
    translation: Translation = settings.TRANSLATION
    if translation.command:
        return _by_command(translation, texts, source, target)
    if translation.url:
        return [text for batch in _batches(texts) for text in _by_server(translation, batch, source, target)]
    raise TranslationError(OFF)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == AT_ONCE or sum(map(len, batch)) + len(text) > LETTERS_AT_ONCE):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _by_server(translation: Translation, texts: Sequence[str], source: str, target: str) -> list[str]:
    message = {"q": list(texts), "source": source, "target": target, "format": "text"}
    message |= {"api_key": translation.key} if translation.key else {}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    body = json.dumps(message).encode()
    try:
        status, content = outbound.exchange(
            f"{translation.url}/translate", body, headers, seconds=REQUEST_SECONDS, most=MAX_ANSWER
        )
    except outbound.OutboundError as error:
        raise TranslationError(f"The server in VLOG_TRANSLATE_URL cannot be used. {error}") from error
    answer = _parsed(content)
    if status != HTTPStatus.OK:
        reason = answer.get("error")
        said = f": {reason[:MAX_ERROR]}" if isinstance(reason, str) else ""
        raise TranslationError(f"The server in VLOG_TRANSLATE_URL answered with {status}{said}.")
    return _checked(answer.get("translatedText"), texts, "The server in VLOG_TRANSLATE_URL")


def _by_command(translation: Translation, texts: Sequence[str], source: str, target: str) -> list[str]:
    message = json.dumps({"source": source, "target": target, "texts": list(texts)}).encode()
    environment = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    try:
        with subprocess.Popen(translation.command, env=environment, start_new_session=True, **pipes) as process:
            try:
                content, log = process.communicate(message, timeout=COMMAND_SECONDS)
            finally:
                with suppress(ProcessLookupError):  # also what it has started and left behind
                    os.killpg(process.pid, signal.SIGKILL)
    except subprocess.TimeoutExpired as error:
        raise TranslationError(
            f"VLOG_TRANSLATE_COMMAND took longer than {COMMAND_SECONDS:.0f} s, and was ended."
        ) from error
    except OSError as error:
        raise TranslationError(f"VLOG_TRANSLATE_COMMAND cannot be started: {error.strerror}.") from error
    if process.returncode:
        last = (log.decode(errors="replace").strip().splitlines() or ["it says nothing"])[-1][:MAX_ERROR]
        raise TranslationError(f"VLOG_TRANSLATE_COMMAND ended with {process.returncode}: {last}")
    return _checked(_parsed(content).get("texts"), texts, "VLOG_TRANSLATE_COMMAND")


def _parsed(content: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        answer = json.loads(content)
        if isinstance(answer, dict):
            return answer
    return {}


def _checked(found: Any, texts: Sequence[str], who: str) -> list[str]:
    if not isinstance(found, list) or len(found) != len(texts) or not all(isinstance(text, str) for text in found):
        raise TranslationError(f"{who} did not answer with {len(texts)} texts, as docs/captions.md describes.")
    return found
