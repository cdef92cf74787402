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
from videos.models import Video

PARTS = ("account", "sample")
SAMPLE_TITLE = "The Game of Life"
SAMPLE_SECONDS = 24
SAMPLE_TIMEOUT = 300.0  # for slow machines; two cores take some seconds

# Small pictures, enlarged at the end: a gradient that turns, and above it cells that live and die.
PICTURES = (
    f"gradients=s=320x180:r=30:d={SAMPLE_SECONDS}:n=5:speed=0.012:type=spiral:seed=1"
    ":c0=0x1b1f5e:c1=0x7a3b9c:c2=0xe2725b:c3=0xf6c667:c4=0x2a9d8f,format=gbrp[colours];"
    "life=s=64x36:r=10:mold=12:ratio=0.12:seed=7:life_color=white:death_color=0xffe0b0:mold_color=black,"
    "scale=320:180:flags=neighbor,gblur=sigma=1.5,fps=30,format=gbrp[cells];"
    "[colours][cells]blend=all_mode=screen:all_opacity=0.35,scale=1280:720:flags=bicubic,format=yuv420p[v]"
)


def _note(base: int, step: int, pace: str, fade: int) -> str:
    """A plucked string that walks through the scale, one note every half second."""
    pitch = rf"{base}*pow(2\,mod(floor({pace}*2)*{step}\,12)/12)"
    return rf"0.25*exp(-{fade}*mod({pace}\,0.5))*sin(2*PI*t*{pitch})"


def _drone(base: int) -> str:
    return rf"0.08*sin(2*PI*t*{base}*pow(2\,mod(floor(t/4)*5\,12)/12))"


SOUND = (
    f"aevalsrc='{_note(220, 7, 't', 3)}+{_drone(110)}|{_note(440, 5, '(t+0.25)', 2)}+{_drone(165)}'"
    f":s=48000:d={SAMPLE_SECONDS},afade=t=out:st={SAMPLE_SECONDS - 2}:d=2[a]"
)


class Command(BaseCommand):
    help = "Prepares a new installation: an administrator's account, once, and a sample video on the first start."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", choices=PARTS, action="append", help="one of both; the default is both")

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
        # Before the commit: killed in between, the next start makes and shows another one.
        self.stdout.write(_box("user      admin", f"password  {password}", f"address   {settings.BASE_URL}/admin/"))
        self.stdout.flush()

    def make_sample(self) -> None:
        done = settings.DATA_DIR / "sample-made"
        if not done.exists() and not Video.objects.exists():
            for left in settings.UPLOADS_DIR.glob("sample-*"):  # of a start that was killed
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(dir=settings.UPLOADS_DIR, prefix="sample-") as folder:
                clip = draw_sample(Path(folder) / "sample.mp4")
                uploads.accept(clip, name=clip.name, title=SAMPLE_TITLE)
        # Whoever deletes the sample does not want it back.
        done.touch()


def draw_sample(path: Path) -> Path:
    """A clip whose keyframes and sound let VLog copy instead of encode what it can."""
    graph = ["-filter_complex", f"{PICTURES};{SOUND}", "-map", "[v]", "-map", "[a]"]
    video = ["-c:v", "libx264", "-preset", "superfast", "-crf", "24", "-g", "60", "-sc_threshold", "0"]
    audio = ["-c:a", "aac", "-b:a", "128k", "-t", str(SAMPLE_SECONDS)]  # the cells would live for ever
    processes.run([*graph, *video, *audio, "-movflags", "+faststart", str(path)], timeout=SAMPLE_TIMEOUT)
    return path


def _box(*lines: str) -> str:
    text = ["Your administrator's account; the password is shown this once:", "", *lines]
    width = max(map(len, text))
    rule = "+" + "-" * (width + 4) + "+"
    return "\n".join([rule, *(f"|  {line:<{width}}  |" for line in text), rule])
