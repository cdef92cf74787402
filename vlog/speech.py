"""The settings for Whisper, and for the translation of captions."""

import os
import shlex
import shutil
from dataclasses import dataclass

import environs

from vlog.environment import SettingError, parse_whisper_model

MAX_PROMPT = 400  # characters; Whisper takes about 200 syllables


@dataclass(frozen=True)
class Translation:
    """Who translates captions: a command of the operator's, or a server with LibreTranslate's API; or no one.

    key: the server's, if it needs one.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    key: str = ""

    @property
    def is_enabled(self) -> bool:
        return bool(self.command or self.url)


def parse(env: environs.Env) -> tuple[str, str, Translation]:
    """Return the model, names and terms for it, and who translates. Raises SettingError."""
    model = parse_whisper_model(env.str("WHISPER_MODEL", "base"))
    command, url, key = env.str("TRANSLATE_COMMAND", ""), env.str("TRANSLATE_URL", ""), env.str("TRANSLATE_KEY", "")
    translation = parse_translation(command, url, key)
    return model, parse_prompt(env.str("WHISPER_PROMPT", "")), translation


def parse_prompt(text: str) -> str:
    """Return names and terms for Whisper, in one line. Raises SettingError."""
    if len(text) > MAX_PROMPT:
        raise SettingError(f"VLOG_WHISPER_PROMPT has {len(text)} characters, and at most {MAX_PROMPT} are of use")
    return " ".join(text.split())


def parse_translation(command: str, url: str, key: str) -> Translation:
    """Return who translates. Raises SettingError."""
    if command and url:
        raise SettingError("VLOG_TRANSLATE_COMMAND and VLOG_TRANSLATE_URL are set: choose one of them")
    if url and not url.startswith(("http://", "https://")):
        raise SettingError(f"VLOG_TRANSLATE_URL must begin with http:// or https://; it is {url!r}")
    if key and not url:
        raise SettingError("VLOG_TRANSLATE_KEY is the key of the server in VLOG_TRANSLATE_URL: set both, or unset it")
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise SettingError(f"VLOG_TRANSLATE_COMMAND is no command: {error}") from error
    if words and not os.access(shutil.which(words[0]) or "", os.X_OK):
        raise SettingError(f"VLOG_TRANSLATE_COMMAND names a program that cannot be started: {words[0]}")
    return Translation(words, url.rstrip("/"), key)
