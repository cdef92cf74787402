"""`manage.py welcome`: prepare a new installation, with an account and a sample video."""

import argparse
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, call_command
from django.db import transaction

from transcoding.engine.ffmpeg import processes
from videos import uploads
from videos.models import Video, Visibility

PARTS = ("account", "sample")
SAMPLE_TITLE = "The Game of Life"
SAMPLE_SECONDS = 24
SAMPLE_TIMEOUT = 300.0  # for slow machines; two cores take some seconds

# Generated at a small size and enlarged at the end: a rotating gradient below Conway's Game of Life.
VIDEO = (
    f"gradients=s=320x180:r=30:d={SAMPLE_SECONDS}:n=5:speed=0.012:type=spiral:seed=1"
    ":c0=0x1b1f5e:c1=0x7a3b9c:c2=0xe2725b:c3=0xf6c667:c4=0x2a9d8f,format=gbrp[colours];"
    "life=s=64x36:r=10:mold=12:ratio=0.12:seed=7:life_color=white:death_color=0xffe0b0:mold_color=black,"
    "scale=320:180:flags=neighbor,gblur=sigma=1.5,fps=30,format=gbrp[cells];"
    "[colours][cells]blend=all_mode=screen:all_opacity=0.35,scale=1280:720:flags=bicubic,format=yuv420p[v]"
)


def _notes(base: int, step: int, clock: str, fade: int) -> str:
    """Return the expression of a plucked string that plays a note of a scale every half second."""
    pitch = rf"{base}*pow(2\,mod(floor({clock}*2)*{step}\,12)/12)"
    return rf"0.25*exp(-{fade}*mod({clock}\,0.5))*sin(2*PI*t*{pitch})"


def _drone(base: int) -> str:
    """Return the expression of a quiet bass note that changes every four seconds."""
    return rf"0.08*sin(2*PI*t*{base}*pow(2\,mod(floor(t/4)*5\,12)/12))"


AUDIO = (
    f"aevalsrc='{_notes(220, 7, 't', 3)}+{_drone(110)}|{_notes(440, 5, '(t+0.25)', 2)}+{_drone(165)}'"
    f":s=48000:d={SAMPLE_SECONDS},afade=t=out:st={SAMPLE_SECONDS - 2}:d=2[a]"
)


class Command(BaseCommand):
    help = "Prepare a new installation: create an administrator's account and, on the first start, a sample video."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", choices=PARTS, action="append", help="create only this; default: both")

    def handle(self, *, only: list[str] | None, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        if "account" in (only or PARTS):
            self.make_account()
        if "sample" in (only or PARTS):
            self.make_sample()

    @transaction.atomic
    def make_account(self) -> None:
        users = get_user_model().objects
        if users.exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", password=password)
        # Before the commit: after a crash in between, the next start creates the account and shows its password.
        self.stdout.write(_box("user      admin", f"password  {password}", f"address   {settings.BASE_URL}/admin/"))
        self.stdout.flush()

    def make_sample(self) -> None:
        done = settings.DATA_DIR / "sample-made"
        if not done.exists() and not Video.objects.exists():
            for leftover in settings.UPLOADS_DIR.glob("sample-*"):  # of a start that was killed
                shutil.rmtree(leftover)
            with tempfile.TemporaryDirectory(dir=settings.UPLOADS_DIR, prefix="sample-") as folder:
                clip = generate_sample(Path(folder) / "sample.mp4")
                uploads.accept(clip, name=clip.name, title=SAMPLE_TITLE, visibility=Visibility.PUBLIC)
        # A sample that was deleted is not created again.
        done.touch()


def generate_sample(path: Path) -> Path:
    """Generate a clip whose keyframes and audio VLog can copy instead of encoding them."""
    graph = ["-filter_complex", f"{VIDEO};{AUDIO}", "-map", "[v]", "-map", "[a]"]
    video = ["-c:v", "libx264", "-preset", "superfast", "-crf", "24", "-g", "60", "-sc_threshold", "0"]
    audio = ["-c:a", "aac", "-b:a", "128k", "-t", str(SAMPLE_SECONDS)]  # the Game of Life would run without end
    processes.run(
        [*graph, *video, *audio, "-movflags", "+faststart", str(path)], timeout=SAMPLE_TIMEOUT, folder=path.parent
    )
    return path


def _box(*lines: str) -> str:
    text = ["Your administrator's account. The password is shown only once:", "", *lines]
    width = max(map(len, text))
    rule = "+" + "-" * (width + 4) + "+"
    return "\n".join([rule, *(f"|  {line:<{width}}  |" for line in text), rule])
