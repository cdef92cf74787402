"""What cameras, phones, editors and recorders write, taken through the engine frame by frame."""

import pytest

from transcoding.tests import clips
from transcoding.tests.clips import AAC, H264
from transcoding.tests.test_encode import Package
from transcoding.verify import verify

FRAMES = 100  # four seconds at 25: three pieces


def taken(source, folder):
    """Through the whole engine; whatever is published keeps the rules."""
    package = Package(source, folder / "package").encode().write_playlists()
    assert verify(package.folder, package.plan) == []
    return package


CODECS = {
    "H.264 in MP4": ("a.mp4", *H264, *AAC),
    "H.264 in MOV": ("a.mov", *H264, "-c:a", "pcm_s16le"),
    "H.264 in MKV": ("a.mkv", *H264, "-c:a", "flac"),
    "H.264 in MPEG-TS": ("a.ts", *H264, "-c:a", "mp2"),
    "H.264 in FLV": ("a.flv", *H264, *AAC),
    "H.264 in AVI": ("a.avi", *H264, "-bf", "0", "-c:a", "pcm_s16le"),
    "H.264 in fragments": ("a.mp4", *H264, *AAC, "-g", "25", "-movflags", "+frag_keyframe+delay_moov"),
    "H.264 4:2:2": ("a.mp4", *H264, "-pix_fmt", "yuv422p", *AAC),
    "H.264 4:4:4": ("a.mp4", *H264, "-pix_fmt", "yuv444p", *AAC),
    "H.264 10 bit": ("a.mp4", *H264, "-pix_fmt", "yuv420p10le", *AAC),
    "H.264 RGB": ("a.mkv", "-c:v", "libx264rgb", "-preset", "ultrafast", "-pix_fmt", "rgb24", *AAC),
    "HEVC": ("a.mp4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", *AAC),
    "HEVC 10 bit": (
        *("a.mov", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
        *("-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", *AAC),
    ),
    "HEVC in MPEG-TS": ("a.ts", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", *AAC),
    "VP8": ("a.webm", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libvorbis"),
    "VP9": ("a.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-c:a", "libopus"),
    "AV1": ("a.webm", "-c:v", "libsvtav1", "-preset", "12", "-crf", "15", "-c:a", "libopus"),
    "AV1 in MP4": ("a.mp4", "-c:v", "libsvtav1", "-preset", "12", "-crf", "15", *AAC),
    "MPEG-2": ("a.mpg", "-c:v", "mpeg2video", "-b:v", "4M", "-bf", "2", "-c:a", "mp2"),
    "MPEG-2 in MPEG-TS": ("a.ts", "-c:v", "mpeg2video", "-b:v", "4M", "-c:a", "ac3"),
    "MPEG-4": ("a.avi", "-c:v", "mpeg4", "-b:v", "4M", "-c:a", "pcm_s16le"),
    "MJPEG": ("a.avi", "-c:v", "mjpeg", "-q:v", "3", "-c:a", "pcm_s16le"),
    "ProRes": ("a.mov", "-c:v", "prores_ks", "-profile:v", "3", "-c:a", "pcm_s24le"),
    "DNxHR": ("a.mov", "-c:v", "dnxhd", "-profile:v", "dnxhr_sq", "-pix_fmt", "yuv422p", "-c:a", "pcm_s16le"),
    "FFV1": ("a.mkv", "-c:v", "ffv1", "-c:a", "flac"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CODECS)
def test_every_frame_of_every_codec_comes_out_once_and_in_order(tmp_path, kind):
    name, *arguments = CODECS[kind]
    package = taken(clips.numbered(tmp_path / name, FRAMES, "25", *arguments), tmp_path)
    assert package.numbers("360p") == list(range(FRAMES))


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "50", "60000/1001", "60"])
def test_every_rate_up_to_60_is_kept(tmp_path, rate):
    package = taken(clips.numbered(tmp_path / "a.mp4", FRAMES, rate, *H264, *AAC), tmp_path)
    assert package.numbers("360p") == list(range(FRAMES))


@pytest.mark.parametrize("rate", ["120", "120000/1001"])
def test_of_a_rate_above_60_every_second_frame_is_kept(tmp_path, rate):
    package = taken(clips.numbered(tmp_path / "a.mp4", 2 * FRAMES, rate, *H264, *AAC), tmp_path)
    assert package.numbers("360p") == list(range(0, 2 * FRAMES, 2))
