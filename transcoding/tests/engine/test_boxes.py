"""Boxes that are built by hand, and those of a real encoder."""

import contextlib
import io
import itertools
import struct
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.codecs import aac, h264
from transcoding.engine.codecs.table import describe, read_codecs
from transcoding.engine.formats import boxes
from transcoding.engine.formats.boxes import BrokenBoxes, Fragment, FragmentReader
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.tests import clips

SMALL = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4")
CMAF = ("-use_editlist", "0", "-f", "mp4", "-movflags", "+cmaf+frag_keyframe+delay_moov+skip_trailer")


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def full(kind, version, flags, *numbers, wide=()):
    """Return a full box; `wide` has the positions of 64-bit numbers."""
    content = b"".join(struct.pack(">Q" if n in wide else ">I", number) for n, number in enumerate(numbers))
    return box(kind, struct.pack(">I", version << 24 | flags), content)


def moof(tfhd, tfdt, trun):
    return box(b"moof", full(b"mfhd", 0, 0, 1), box(b"traf", tfhd, tfdt, trun))


ALL_DEFAULTS = full(b"tfhd", 0, 0x20018, 1, 512, 4000)  # default duration and size
NO_DEFAULTS = full(b"tfhd", 0, 0x20000, 1)
EARLY = full(b"tfdt", 0, 0, 1000)
LATE = full(b"tfdt", 1, 0, 1 << 40, wide={0})


class TestFragments:
    def test_durations_and_sizes_of_each_sample_are_added_up(self):
        trun = full(b"trun", 0, 0x300, 3, 10, 100, 20, 200, 30, 300)
        header = moof(NO_DEFAULTS, EARLY, trun)
        assert boxes.parse_fragment(header, 608) == Fragment(
            start=1000, duration=60, samples=3, first_sample=len(header) + 8 + 100, size=len(header) + 608
        )

    def test_defaults_stand_in_for_what_the_run_does_not_say(self):
        fragment = boxes.parse_fragment(moof(ALL_DEFAULTS, EARLY, full(b"trun", 0, 0, 3)), 12_008)
        assert (fragment.duration, fragment.samples) == (3 * 512, 3)
        assert fragment.first_sample == fragment.size - 12_008 + 8 + 4000

    def test_sizes_alone_with_a_default_duration(self):
        fragment = boxes.parse_fragment(moof(ALL_DEFAULTS, EARLY, full(b"trun", 0, 0x200, 2, 700, 90)), 798)
        assert (fragment.duration, fragment.first_sample) == (1024, fragment.size - 798 + 8 + 700)

    def test_flags_and_signed_offsets_of_samples_are_skipped(self):
        run = full(b"trun", 1, 0xF05, 2, 128, 0x2000000, 10, 100, 7, 0xFFFFFFF0, 20, 200, 7, 16)
        fragment = boxes.parse_fragment(moof(NO_DEFAULTS, EARLY, run), 308)
        assert (fragment.duration, fragment.first_sample) == (30, fragment.size - 308 + 8 + 100)

    @pytest.mark.parametrize(
        ("tfhd", "run", "sync"),
        [
            (NO_DEFAULTS, full(b"trun", 0, 0x704, 1, 0x2000000, 10, 100, 0x10000), True),
            (NO_DEFAULTS, full(b"trun", 0, 0x704, 1, 0x1010000, 10, 100, 0), False),
            (NO_DEFAULTS, full(b"trun", 0, 0x700, 1, 10, 100, 0x1010000), False),
            (full(b"tfhd", 0, 0x20020, 1, 0x1010000), full(b"trun", 0, 0x300, 1, 10, 100), False),
            (full(b"tfhd", 0, 0x20020, 1, 0x1010000), full(b"trun", 0, 0x704, 1, 0, 10, 100, 0), True),
            (NO_DEFAULTS, full(b"trun", 0, 0x300, 1, 10, 100), True),
        ],
    )
    def test_whether_the_first_sample_stands_alone_is_said_in_the_nearest_place(self, tfhd, run, sync):
        assert boxes.parse_fragment(moof(tfhd, EARLY, run), 108).sync is sync

    @pytest.mark.parametrize(
        ("header", "why"),
        [
            (moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x300, 2, 10, 100, 20, 201)), "samples of 301 bytes"),
            (moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x301, 2, 99, 10, 100, 20, 200)), "begin 99 bytes after"),
            (moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x300, 2, 0, 100, 0, 200)), "lasts no time"),
            (moof(full(b"tfhd", 0, 0, 1), EARLY, full(b"trun", 0, 0x300, 1, 10, 300)), "not addressed from their moof"),
            (moof(full(b"tfhd", 0, 0x20000, 2), EARLY, full(b"trun", 0, 0x300, 1, 10, 300)), "not of track 1"),
            (moof(NO_DEFAULTS, EARLY + EARLY, full(b"trun", 0, 0x300, 1, 10, 300)), "2 boxes tfdt"),
            (moof(NO_DEFAULTS, EARLY, 2 * full(b"trun", 0, 0x300, 1, 10, 300)), "2 boxes trun"),
        ],
    )
    def test_sizes_that_do_not_add_up_are_broken(self, header, why):
        with pytest.raises(BrokenBoxes, match=why):
            boxes.parse_fragment(header, 308)

    def test_the_fields_before_the_defaults_are_skipped(self):
        tfhd = full(b"tfhd", 0, 0x2003A, 1, 1, 512, 4000, 0)
        fragment = boxes.parse_fragment(moof(tfhd, EARLY, full(b"trun", 0, 0, 1)), 4008)
        assert (fragment.duration, fragment.first_sample) == (512, fragment.size - 4008 + 8 + 4000)

    def test_a_time_of_64_bits(self):
        assert boxes.parse_fragment(moof(ALL_DEFAULTS, LATE, full(b"trun", 0, 0, 1)), 4008).start == 1 << 40

    @pytest.mark.parametrize(
        "broken",
        [
            moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x301, 0, 0)),
            moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x301, 3, 0, 10, 100)),
            moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x301, 0xFFFFFFFF, 0, 10, 100)),
            box(b"moof", box(b"traf", NO_DEFAULTS, EARLY)),
            box(b"moof", box(b"traf", NO_DEFAULTS, full(b"trun", 0, 0x200, 1, 7))),
            box(b"moof", box(b"traf", box(b"tfhd"), box(b"tfdt"), box(b"trun"))),
            box(b"moof"),
            b"",
            moof(NO_DEFAULTS, EARLY, full(b"trun", 0, 0x200, 1, 7))[:-20],
        ],
        ids=[
            "no samples",
            "too few",
            "far too many",
            "no trun",
            "no tfdt",
            "empty boxes",
            "no traf",
            "no moof",
            "cut off",
        ],
    )
    def test_broken_boxes_raise_an_error(self, broken):
        with pytest.raises(BrokenBoxes):
            boxes.parse_fragment(broken, 8)

    @given(st.binary(max_size=200))
    def test_arbitrary_bytes_raise_no_other_error(self, noise):
        for parse in (lambda: boxes.parse_fragment(box(b"moof", noise), 8), lambda: list(FragmentReader().feed(noise))):
            with contextlib.suppress(BrokenBoxes):
                parse()

    @given(at=st.integers(8, 120), value=st.integers(0, 255))
    def test_a_fragment_with_a_wrong_byte_raises_no_other_error(self, at, value):
        data = bytearray(moof(ALL_DEFAULTS, EARLY, full(b"trun", 0, 0x301, 2, 0, 10, 100, 20, 200)))
        data[at % len(data)] = value
        with contextlib.suppress(BrokenBoxes):
            boxes.parse_fragment(bytes(data), 308)


class TestReader:
    INIT = box(b"ftyp", b"iso6") + box(b"moov", box(b"mvhd"))
    ONE = moof(ALL_DEFAULTS, EARLY, full(b"trun", 0, 0, 1)) + box(b"mdat", b"a" * 4000)
    TWO = moof(ALL_DEFAULTS, LATE, full(b"trun", 0, 0, 2)) + box(b"mdat", b"b" * 8000)

    @given(st.lists(st.integers(0, 13_000), max_size=20))
    def test_a_stream_fed_in_any_steps_gives_the_init_segment_and_whole_fragments(self, cuts):
        stream, reader, found = self.INIT + self.ONE + self.TWO, FragmentReader(), []
        edges = [0, *sorted(cuts), len(stream)]
        for first, end in itertools.pairwise(edges):
            found += reader.feed(stream[first:end])
        reader.close()
        assert [data for _, data in found] == [self.INIT, self.ONE, self.TWO]
        assert [fragment and (fragment.start, fragment.samples) for fragment, _ in found] == [
            None,
            (1000, 1),
            (1 << 40, 2),
        ]
        assert [fragment.size for fragment, _ in found[1:]] == [len(self.ONE), len(self.TWO)]

    def test_other_boxes_between_fragments_belong_to_none(self):
        found = list(FragmentReader().feed(self.INIT + box(b"free", b"x") + self.ONE + box(b"mfra", b"y")))
        assert [data for _, data in found] == [self.INIT, self.ONE]

    def test_an_end_inside_a_box_is_an_error_and_one_between_boxes_is_none(self):
        reader = FragmentReader()
        list(reader.feed(self.ONE))
        reader.close()
        list(reader.feed(self.TWO[:-1]))
        with pytest.raises(BrokenBoxes, match="the stream ends inside a box"):
            reader.close()

    @pytest.mark.parametrize("length", [0, 1, 7, boxes.MAX_BOX + 1])
    def test_an_impossible_length_is_an_error_at_once(self, length):
        with pytest.raises(BrokenBoxes):
            list(FragmentReader().feed(struct.pack(">I4s", length, b"mdat")))

    def test_a_file_is_scanned_by_its_headers(self, tmp_path):
        path = tmp_path / "00000.m4s"
        path.write_bytes(self.ONE + self.TWO)
        fragments = boxes.scan_fragments(path)
        assert fragments == [fragment for fragment, _ in FragmentReader().feed(self.ONE + self.TWO)]

    def test_the_first_sample_of_each_fragment_can_be_read_but_nothing_behind_it(self, tmp_path):
        path = tmp_path / "00000.m4s"
        path.write_bytes(self.ONE + self.TWO)
        read = [(sample.size, sample.read(0, 3), sample.read(3998, 9)) for _, sample in boxes.read_segment(path)]
        assert read == [(4000, b"aaa", b"aa"), (4000, b"bbb", b"bb")]

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_segment_file_holds_nothing_but_fragments(self, tmp_path, place):
        parts = [self.ONE, self.TWO]
        parts.insert(place, box(b"free", b"xyz"))
        (tmp_path / "00000.m4s").write_bytes(b"".join(parts))
        with pytest.raises(BrokenBoxes, match="has b'free' where 'moof' belongs"):
            boxes.scan_fragments(tmp_path / "00000.m4s")

    def test_a_segment_file_with_a_few_bytes_at_its_end_is_broken(self, tmp_path):
        (tmp_path / "00000.m4s").write_bytes(self.ONE + b"\0\0\0")
        with pytest.raises(BrokenBoxes):
            boxes.scan_fragments(tmp_path / "00000.m4s")

    @pytest.mark.parametrize("missing", [1, 4001, 4010])
    def test_a_file_that_was_cut_off_is_an_error(self, tmp_path, missing):
        path = tmp_path / "00000.m4s"
        path.write_bytes(self.ONE[:-missing])
        with pytest.raises(BrokenBoxes):
            boxes.scan_fragments(path)

    def test_an_empty_file_holds_no_fragment(self, tmp_path):
        (tmp_path / "00000.m4s").touch()
        assert boxes.scan_fragments(tmp_path / "00000.m4s") == []


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return clips.make(tmp_path_factory.mktemp("boxes") / "v.mp4", *SMALL, "-g", "50", *clips.H264, *CMAF)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    tone = ("-f", "lavfi", "-i", "sine=440:sample_rate=44100:duration=1")
    return clips.make(tmp_path_factory.mktemp("boxes") / "a.mp4", *tone, *clips.AAC, *CMAF)


class TestInitSegments:
    def init(self, path):
        return next(FragmentReader().feed(path.read_bytes()))[1]

    def test_codec_size_and_timescale_of_a_picture(self, picture):
        init = self.init(picture)
        with av.open(str(picture)) as container:
            stream = container.streams.video[0]
            profile, level = stream.codec_context.extradata[1], stream.codec_context.extradata[3]
            assert boxes.timescale(init) == 1 / stream.time_base
        name, size = read_codecs(init)
        assert name.startswith("avc1.")
        assert (int(name[5:7], 16), int(name[9:11], 16), len(name)) == (profile, level, 11)
        assert size == (320, 180)

    def test_codec_and_timescale_of_sound(self, sound):
        assert (*read_codecs(self.init(sound)), boxes.timescale(self.init(sound))) == ("mp4a.40.2", None, 44_100)

    def test_a_timescale_behind_times_of_64_bits(self):
        mdhd = full(b"mdhd", 1, 0, 0, 0, 90_000, 0, wide={0, 1, 3})
        assert boxes.timescale(box(b"moov", box(b"trak", box(b"mdia", mdhd)))) == 90_000

    def test_fragments_of_a_real_encoder_are_its_gops(self, picture):
        with av.open(io.BytesIO(picture.read_bytes())) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        keys = [n for n, packet in enumerate(packets) if packet.is_keyframe]
        found = [fragment for fragment, _ in FragmentReader().feed(picture.read_bytes()) if fragment]
        scale = boxes.timescale(self.init(picture))
        assert [fragment.samples for fragment in found] == [50, 50]
        assert [Fraction(fragment.start, scale) for fragment in found] == [0, 2]
        assert [Fraction(fragment.duration, scale) for fragment in found] == [2, 2]
        data, at = picture.read_bytes(), len(self.init(picture))
        for fragment, key in zip(found, keys, strict=True):
            assert data[at : at + fragment.first_sample].endswith(bytes(packets[key]))
            at += fragment.size

    def test_another_codec_is_not_what_we_make(self, tmp_path):
        other = clips.make(tmp_path / "v.mp4", *SMALL, "-c:v", "mpeg4", *CMAF)
        with pytest.raises(BrokenBoxes, match="mp4v"):
            read_codecs(self.init(other))

    @given(data=st.data())
    def test_a_wrong_byte_or_a_cut_is_broken_or_another_value_and_no_crash(self, picture, data):
        init = bytearray(self.init(picture))
        init[data.draw(st.integers(0, len(init) - 1))] = data.draw(st.integers(0, 255))
        init = bytes(init[: data.draw(st.integers(0, len(init)))])
        for read in (read_codecs, boxes.timescale, boxes.read_init, describe):
            with contextlib.suppress(BrokenBoxes, BrokenStream):
                read(init)

    @pytest.mark.parametrize("read", [read_codecs, boxes.sample_entry])
    def test_a_track_without_a_description_is_broken(self, read):
        table = box(b"stbl", full(b"stsd", 0, 0, 0))
        with pytest.raises(BrokenBoxes):
            read(box(b"moov", box(b"trak", box(b"mdia", box(b"minf", table)))))

    def test_a_timescale_of_zero_or_none_is_broken(self):
        for mdhd in (full(b"mdhd", 0, 0, 0, 0, 0, 0), full(b"mdhd", 0, 0), box(b"mdhd")):
            with pytest.raises(BrokenBoxes):
                boxes.timescale(box(b"moov", box(b"trak", box(b"mdia", mdhd))))

    def test_what_a_decoder_needs_to_know(self, picture, sound):
        with av.open(str(picture)) as container:
            description = bytes(container.streams.video[0].codec_context.extradata)
        track = boxes.read_init(self.init(picture))
        assert (track.kind, track.timescale, track.size) == ("avc1", 12_800, (320, 180))
        assert h264.config(track.entry) == description
        with av.open(str(sound)) as container:
            description = bytes(container.streams.audio[0].codec_context.extradata)
        track = boxes.read_init(self.init(sound))
        assert (track.kind, track.timescale, aac.config(track.entry)) == ("mp4a", 44_100, description)

    def test_a_long_way_of_writing_a_length_in_esds(self):
        config = b"\x05\x80\x80\x80\x02\x12\x10"
        decoder = b"\x04\x80\x80\x80" + bytes([13 + len(config)]) + bytes(13) + config
        track = b"\x03" + bytes([3 + len(decoder)]) + bytes(3) + decoder
        assert aac._decoder_specific(track) == b"\x12\x10"
        for end in range(len(track)):
            with contextlib.suppress(BrokenBoxes):
                aac._decoder_specific(track[:end])

    @pytest.mark.parametrize(
        ("broken", "why"),
        [
            (lambda init: init + box(b"free"), "is not one ftyp and one moov"),
            (lambda init: b"\0\0" + init, "a box of"),
            (lambda init: init + b"\0\0", "is not one ftyp and one moov"),
            (lambda init: init.replace(b"mvex", b"free"), "no box mvex"),
            (lambda init: init.replace(b"trak", b"free"), "0 tracks instead of one"),
            (lambda init: init.replace(b"tkhd", b"edts"), "an edit list"),
            (lambda init: init.replace(b"avcC", b"free"), "no box avcC"),
        ],
    )
    def test_an_init_segment_is_one_track_and_nothing_else(self, picture, broken, why):
        with pytest.raises(BrokenBoxes, match=why):
            describe(broken(self.init(picture)))

    def test_an_init_segment_without_a_track_is_broken(self):
        with pytest.raises(BrokenBoxes, match="no box moov/trak"):
            boxes.timescale(box(b"ftyp", b"iso6"))
