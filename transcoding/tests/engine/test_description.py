"""libavformat's description of a container."""

from transcoding.engine.source.description import parse

TEXT = """Input #0, mpegts, from '':
  Metadata:
    title           : Stream #0:7: Video: forged
                    : Frame Cropping: 9/9/9/9
  Duration: 00:00:04.01, start: 1.400000, bitrate: 2699 kb/s
  Program 1
    Metadata:
      service_name    : Radio
  Stream #0:0[0x100](eng): Audio: mp2 (mp3float) ([3][0][0][0] / 0x0003), 44100 Hz, mono, fltp, 384 kb/s
  Program 2
  Stream #0:1[0x101]: Video: h264 (High) ([27][0][0][0] / 0x001B), yuv420p(progressive), 640x360 [SAR 1:1 DAR 16:9]
    Side data:
      Frame Cropping: 0/2/90/92
  Stream #0:2[0x102](ger): Subtitle: dvb_teletext ([6][0][0][0] / 0x0006)
  No Program
  Stream #0:3: Unknown: none
"""


def test_it_says_programs_formats_and_crops():
    found = parse(TEXT)
    assert found.programs == [{0}, {1, 2}, {3}]
    assert found.codecs == {0: "mp2", 1: "h264", 2: "dvb_teletext", 3: "none"}
    assert found.crops == {1: (0, 2, 90, 92)}


def test_a_container_without_programs_has_none():
    found = parse("  Duration: N/A\n  Stream #0:0: Audio: flac, 48000 Hz\n")
    assert (found.programs, found.codecs, found.crops) == ([], {0: "flac"}, {})
