"""Codes of an authenticator app (TOTP), and recovery codes for the day on which the app is lost.

An account has no second factor or exactly one, a confirmed TOTPDevice, and with it a StaticDevice for recovery codes.
"""

import base64
import hashlib
import re
import secrets
import time
from binascii import unhexlify

import django_otp
import segno
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex

from vlog.account_changes import record_failed_login
from vlog.accounts import events, limits
from vlog.accounts.events import Action

TOLERANCE = 2  # steps of 30 seconds by which the clocks may differ
RECOVERY_CODES = 10
TOTP_CODE = re.compile(r"\d{6}", re.ASCII)


class WrongCode(ValueError):
    """The message is for the person."""

    def __init__(self) -> None:
        super().__init__(_("This code is wrong or was used before. Enter the code that the app shows now."))


class AlreadySetUp(ValueError):
    """The account got a second factor meanwhile, from another page."""


def devices() -> QuerySet[TOTPDevice]:
    return TOTPDevice.objects.filter(confirmed=True).order_by("pk")


def device_of(user: User) -> TOTPDevice | None:
    return devices().filter(user=user).first()


def new_key() -> str:
    """Return a random key as hexadecimal digits."""
    return random_hex(20)


def address_of(user: User, key: str) -> str:
    """Return the otpauth:// address of a key."""
    return str(TOTPDevice(user=user, key=key).config_url)


def readable(key: str) -> str:
    """Return a key as apps accept it by hand: Base32 in groups."""
    text = base64.b32encode(unhexlify(key)).decode()
    return " ".join(re.findall(".{1,4}", text))


def qr_code(address: str) -> SafeString:
    """Return an SVG. It is black on white in the dark theme, too: cameras need that."""
    svg = segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", title=_("QR code"))
    return mark_safe(svg)  # noqa: S308 - made of squares


def set_up(user: User, key: str, code: str) -> tuple[TOTPDevice, list[str]]:
    """Give an account a second factor, and return it with its recovery codes. Raises WrongCode, AlreadySetUp."""
    totp = TOTP(unhexlify(key))
    totp.time = time.time()
    if not TOTP_CODE.fullmatch(_plain(code)) or not totp.verify(int(_plain(code)), TOLERANCE):
        raise WrongCode
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if device_of(user):
            raise AlreadySetUp
        device = TOTPDevice.objects.create(
            user=user, name="Authenticator app", key=key, tolerance=TOLERANCE, drift=totp.drift, last_t=totp.t()
        )
        return device, replace_recovery_codes(user)


@transaction.atomic
def replace_recovery_codes(user: User) -> list[str]:
    """Return new codes; the database keeps their hashes. The old codes end."""
    User.objects.select_for_update().get(pk=user.pk)
    codes = ["-".join(re.findall("....", _random_code())) for _number in range(RECOVERY_CODES)]
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="Recovery codes")
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_hash(_plain(code))) for code in codes)
    return codes


def recovery_codes_left(user: User) -> int:
    return StaticToken.objects.filter(device__user=user).count()


@transaction.atomic
def remove(user: User) -> bool:
    """Return whether there was a second factor."""
    StaticDevice.objects.filter(user=user).delete()
    return TOTPDevice.objects.filter(user=user).delete()[0] > 0


def check(request: HttpRequest, user: User, code: str) -> TOTPDevice:
    """Return the second factor if the code is right. A recovery code is spent. Raises WrongCode, limits.Refused."""
    plain = _plain(code)
    app, is_recovery = device_of(user), not TOTP_CODE.fullmatch(plain)
    device = StaticDevice.objects.filter(user=user).first() if is_recovery else app
    guess = _count(request, user, device)
    token = _hash(plain) if is_recovery else plain
    if app is None or device is None or not django_otp.verify_token(user, device.persistent_id, token):
        events.record(Action.LOGIN_FAILED, request=request, subject=user)
        record_failed_login(request, user)
        raise WrongCode
    limits.withdraw(guess)
    if is_recovery:
        events.record(Action.RECOVERY_CODE_USED, actor=user, request=request, subject=user)
    return app


def _count(request: HttpRequest, user: User, device: TOTPDevice | StaticDevice | None) -> limits.Guess:
    """Count a guess. A device has a limit of its own in the database, which holds without Redis."""
    try:
        allowed, facts = device.verify_is_allowed() if device else (True, None)
        if not allowed and facts:
            wait = (facts["locked_until"] - timezone.now()).total_seconds()
            raise limits.refusal(request, int(wait) + 1)
        return limits.count(request, user.get_username())
    except limits.Refused:
        events.record(Action.LOGIN_REFUSED, request=request, subject=user)
        raise


def _random_code() -> str:
    """Return 60 random bits as 12 letters and digits."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()[:12]


def _plain(code: str) -> str:
    return re.sub(r"[\s-]", "", code).lower()


def _hash(plain: str) -> str:
    """Return 80 bits of the SHA-256, as many as the column has room for. The codes are random, so no salt is needed."""
    return base64.b32encode(hashlib.sha256(plain.encode()).digest()).decode().lower()[:16]
