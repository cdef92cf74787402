"""Playlists: their exact text, and how another parser reads them."""

from dataclasses import replace
from fractions import Fraction

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoding.engine.formats.boxes import Fragment
from transcoding.engine.package.contents import StoredRendition, StoredSegment, segment_name
from transcoding.engine.package.playlists import (
    SPOKEN_DIALOG,
    CaptionTrack,
    Variant,
    captions_playlist,
    iframe_playlist,
    master_playlist,
    measured_variant,
    media_playlist,
    peak_bitrate,
    planned_playlist,
    provisional_variants,
    with_captions,
)
from transcoding.engine.renditions import AudioRendition
from transcoding.engine.timeline import Timeline
from transcoding.tests.engine.test_plan import audio, encoded, plan_of

RATE = Fraction(30000, 1001)


def rendition(name, *segments, timescale=30000, codec="avc1.64001f", size=(1280, 720)):
    """Each segment is a list of (ticks, bytes of the first sample, bytes) of its fragments."""
    stored, start = [], 0
    for index, fragments in enumerate(segments):
        parts = []
        for ticks, first, length in fragments:
            parts.append(Fragment(start, ticks, 60, first, length))
            start += ticks
        stored.append(StoredSegment(segment_name(index), sum(part.size for part in parts), tuple(parts)))
    return StoredRendition(name, codec, size, timescale, tuple(stored))


def test_a_media_playlist():
    assert media_playlist([Fraction(2), Fraction(6006, 1000), Fraction(1, 3)]) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:2.000000,\n"
        "00000.m4s\n"
        "#EXTINF:6.006000,\n"
        "00001.m4s\n"
        "#EXTINF:0.333333,\n"
        "00002.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


def test_a_planned_playlist_is_the_same_from_the_timeline():
    timeline = Timeline(1 / RATE, (0, 60, 120), 150)
    lengths = [Fraction(2002, 1000), Fraction(2002, 1000), Fraction(1001, 1000)]
    assert planned_playlist(timeline) == media_playlist(lengths)


def test_an_iframe_playlist_addresses_every_idr_picture_with_its_moof():
    video = rendition("720p", [(60060, 900, 5000), (60060, 700, 4000)], [(30030, 800, 2000)])
    assert iframe_playlist(video) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-I-FRAMES-ONLY\n"
        '#EXT-X-MAP:URI="init.mp4"\n'
        "#EXTINF:2.002000,\n"
        "#EXT-X-BYTERANGE:900@0\n"
        "00000.m4s\n"
        "#EXTINF:2.002000,\n"
        "#EXT-X-BYTERANGE:700@5000\n"
        "00000.m4s\n"
        "#EXTINF:1.001000,\n"
        "#EXT-X-BYTERANGE:800@0\n"
        "00001.m4s\n"
        "#EXT-X-ENDLIST\n"
    )


GERMAN = (AudioRendition("audio", "aac", language="de"),)
ENGLISH = (AudioRendition("audio", "aac", language="en"),)
VARIANTS = [
    Variant("1080p", 1920, 1080, RATE, 5_500_000, 4_800_000, "avc1.640028,mp4a.40.2", 800_000),
    Variant("720p", 1280, 720, RATE, 2_900_000, 2_300_000, "avc1.64001f,mp4a.40.2", 400_000),
    Variant("360p", 640, 360, RATE, 700_000, 600_000, "avc1.64001e,mp4a.40.2", 100_000),
]


def test_a_master_playlist_begins_with_the_variant_near_two_megabits_and_goes_on_from_the_highest():
    assert master_playlist(VARIANTS, GERMAN) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,'
        'CHANNELS="2",URI="audio/index.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=2900000,AVERAGE-BANDWIDTH=2300000,CODECS="avc1.64001f,mp4a.40.2",'
        'RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio"\n'
        "720p/index.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=5500000,AVERAGE-BANDWIDTH=4800000,CODECS="avc1.640028,mp4a.40.2",'
        'RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO="audio"\n'
        "1080p/index.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=700000,AVERAGE-BANDWIDTH=600000,CODECS="avc1.64001e,mp4a.40.2",'
        'RESOLUTION=640x360,FRAME-RATE=29.970,AUDIO="audio"\n'
        "360p/index.m3u8\n"
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.640028",RESOLUTION=1920x1080,'
        'URI="1080p/iframes.m3u8"\n'
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=400000,CODECS="avc1.64001f",RESOLUTION=1280x720,'
        'URI="720p/iframes.m3u8"\n'
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.64001e",RESOLUTION=640x360,'
        'URI="360p/iframes.m3u8"\n'
    )


def test_a_master_playlist_without_sound_and_before_anything_is_measured():
    plan = plan_of(encoded(width=640, height=360))
    assert master_playlist(provisional_variants(plan)) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=600000,AVERAGE-BANDWIDTH=600000,RESOLUTION=640x360,FRAME-RATE=30.000\n"
        "360p/index.m3u8\n"
    )


def test_before_anything_is_measured_bandwidths_are_the_caps_with_the_sounds_share():
    variants = provisional_variants(plan_of(encoded(), audio()))
    assert [(v.key, v.peak, v.average, v.codecs, v.iframe_peak) for v in variants] == [
        ("720p", 2_628_000, 2_628_000, None, None),
        ("480p", 1_128_000, 1_128_000, None, None),
        ("360p", 728_000, 728_000, None, None),
    ]


class TestSeveralAudioRenditions:
    audio = (
        AudioRendition("audio", "aac", language="fr"),
        AudioRendition("audio-2", "aac", tier=1, language="en", default=True),
        AudioRendition(
            *("audio-3", "aac", 2), language="fr", name="Audiodescription", role="public.accessibility.describes-video"
        ),
    )

    def test_they_are_one_group_with_one_default_and_a_name_each(self):
        found = m3u8.loads(master_playlist(VARIANTS, self.audio)).media
        assert [(media.uri, media.language, media.name, media.default) for media in found] == [
            ("audio/index.m3u8", "fr", "Audio", "NO"),
            ("audio-2/index.m3u8", "en", "Audio 2", "YES"),
            ("audio-3/index.m3u8", "fr", "Audiodescription", "NO"),
        ]
        assert {(media.group_id, media.autoselect) for media in found} == {("audio", "YES")}
        assert [media.characteristics for media in found] == [None, None, "public.accessibility.describes-video"]

    def test_the_first_is_the_default_where_none_is_marked_and_only_one_where_two_are(self):
        for marked in (False, True):
            audio = [replace(rendition, default=marked) for rendition in self.audio]
            found = m3u8.loads(master_playlist(VARIANTS, audio)).media
            assert [media.default for media in found] == ["YES", "NO", "NO"]

    def test_every_variant_has_the_codecs_of_all_and_the_bandwidth_of_the_largest(self):
        video, small = TestMeasured.video, TestMeasured.sound
        large = rendition("audio-2", [(288_000, 10, 900_000)], timescale=48000, codec="ac-3", size=None)
        variant = measured_variant(plan_of(encoded(), audio()), video, [small, large])
        assert (variant.codecs, variant.average) == ("avc1.64001f,mp4a.40.2,ac-3", 2_000_000 + 1_200_000)


class TestMeasured:
    video = rendition("720p", [(60000, 1000, 500_000)], [(60000, 2000, 250_000), (60000, 3000, 750_000)])
    sound = rendition(
        "audio", [(96000, 10, 30_000)], [(192000, 10, 60_000)], timescale=48000, codec="mp4a.40.2", size=None
    )

    def test_a_variant_says_what_its_segments_are(self):
        plan = plan_of(encoded(rate="30000/1001"), audio())
        # 1.5 MB in 6 s; no run of segments is 3 s long but the second alone (1 MB in 4 s) and both.
        assert measured_variant(plan, self.video, []) == Variant(
            "720p", 1280, 720, RATE, 2_000_000, 2_000_000, "avc1.64001f", 12_000
        )

    def test_the_sound_has_its_share_in_both_bandwidths_and_in_the_codecs(self):
        plan = plan_of(encoded(), audio())
        variant = measured_variant(plan, self.video, [self.sound])
        assert (variant.peak, variant.average, variant.codecs) == (2_120_000, 2_120_000, "avc1.64001f,mp4a.40.2")

    def test_a_peak_is_no_average(self):
        peaked = rendition("720p", *([(180_000, 9, 600_000)] for _ in range(3)), [(180_000, 9, 1_200_000)])
        variant = measured_variant(plan_of(encoded()), peaked, [])
        assert (variant.peak, variant.average) == (1_600_000, 1_000_000)

    def test_sound_is_no_variant(self):
        with pytest.raises(ValueError, match="audio is not a video rendition"):
            measured_variant(plan_of(), self.sound, [])


def brute_peak(sizes, seconds):
    runs = [(sum(sizes[a:b]), sum(seconds[a:b])) for a in range(len(sizes)) for b in range(a + 1, len(sizes) + 1)]
    rates = [Fraction(8 * size) / length for size, length in runs if 3 <= length <= 9]
    return max(rates, default=Fraction(8 * sum(sizes)) / sum(seconds))


@given(
    st.lists(
        st.tuples(st.integers(1, 10**8), st.fractions(Fraction(1, 50), Fraction(13, 2), max_denominator=1001)),
        min_size=1,
        max_size=12,
    )
)
def test_the_peak_is_that_of_the_worst_run_of_half_to_one_and_a_half_targets(segments):
    sizes, seconds = zip(*segments, strict=True)
    exact = brute_peak(sizes, seconds)
    assert exact <= peak_bitrate(sizes, seconds) < exact + 1


def test_a_short_peak_counts_over_half_a_target_at_least():
    second = [Fraction(1)] * 4
    assert peak_bitrate([100, 700, 100, 100], second) == 8 * 900 // 3
    assert peak_bitrate([700], second[:1]) == 8 * 700


class TestAnotherReader:
    """The m3u8 package, an independent parser, reads the same from them."""

    def test_of_a_media_playlist(self):
        lengths = [Fraction(60060, 30000)] * 3 + [Fraction(180180, 30000)] * 2
        found = m3u8.loads(media_playlist(lengths))
        assert [segment.uri for segment in found.segments] == [segment_name(index) for index in range(5)]
        assert [segment.duration for segment in found.segments] == [2.002, 2.002, 2.002, 6.006, 6.006]
        assert (found.target_duration, found.version, found.playlist_type) == (6, 7, "vod")
        assert (found.is_endlist, found.is_independent_segments, found.is_i_frames_only) == (True, True, False)
        assert [section.uri for section in found.segment_map] == ["init.mp4"]
        assert all(round(segment.duration) <= found.target_duration for segment in found.segments)

    def test_of_a_master_playlist(self):
        found = m3u8.loads(master_playlist(VARIANTS, GERMAN))
        assert found.is_variant
        assert found.is_independent_segments
        best = {playlist.uri: playlist.stream_info for playlist in found.playlists}
        assert list(best) == ["720p/index.m3u8", "1080p/index.m3u8", "360p/index.m3u8"]
        info = best["1080p/index.m3u8"]
        assert (info.bandwidth, info.average_bandwidth, info.resolution) == (5_500_000, 4_800_000, (1920, 1080))
        assert (info.codecs, info.frame_rate, info.audio) == ("avc1.640028,mp4a.40.2", 29.97, "audio")
        (sound,) = found.media
        assert (sound.type, sound.group_id, sound.language, sound.uri) == ("AUDIO", "audio", "de", "audio/index.m3u8")
        assert (sound.default, sound.autoselect, sound.channels) == ("YES", "YES", "2")
        assert [(p.uri, p.iframe_stream_info.bandwidth) for p in found.iframe_playlists] == [
            ("1080p/iframes.m3u8", 800_000),
            ("720p/iframes.m3u8", 400_000),
            ("360p/iframes.m3u8", 100_000),
        ]

    def test_of_an_iframe_playlist(self):
        video = rendition("720p", [(60060, 900, 5000), (60060, 700, 4000)], [(30030, 800, 2000)])
        found = m3u8.loads(iframe_playlist(video))
        assert found.is_i_frames_only
        assert [(segment.uri, segment.byterange) for segment in found.segments] == [
            ("00000.m4s", "900@0"),
            ("00000.m4s", "700@5000"),
            ("00001.m4s", "800@0"),
        ]


class TestCaptions:
    ENGLISH, GERMAN = CaptionTrack("captions/en", "en", "English"), CaptionTrack("captions-2", "de", "Deutsch")

    def master(self):
        plan = plan_of(encoded(), audio())
        return master_playlist(provisional_variants(plan), ENGLISH)

    def test_they_are_named_by_every_variant_and_off_until_asked_for(self):
        text = with_captions(self.master(), [self.GERMAN])
        assert (
            '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,'
            'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",URI="captions-2/index.m3u8"\n'
        ) in text
        assert text.index("TYPE=SUBTITLES") < text.index("#EXT-X-STREAM-INF")
        read = m3u8.loads(text)
        assert [media.type for media in read.media] == ["AUDIO", "SUBTITLES"]
        assert {playlist.stream_info.subtitles for playlist in read.playlists} == {"subs"}
        assert all(len(playlist.media) == 2 for playlist in read.playlists)

    def test_others_replace_them_and_none_leaves_what_was_there_before(self):
        master = self.master()
        english = with_captions(master, [self.ENGLISH])
        assert with_captions(english, [self.ENGLISH]) == english
        assert with_captions(english, [self.GERMAN]) == with_captions(master, [self.GERMAN])
        assert with_captions(english, []) == master == with_captions(master, [])

    def test_each_has_a_name_of_its_own_and_its_role(self):
        tracks = [
            replace(self.GERMAN, name='a "b"\nc', folder="captions-1", role="", default=True),
            self.GERMAN,
            replace(self.GERMAN, folder="captions-3", forced=True),
            replace(self.GERMAN, folder="captions-4", name=""),
        ]
        found = [media for media in m3u8.loads(with_captions(self.master(), tracks)).media if media.type == "SUBTITLES"]
        assert [(media.name, media.default, media.forced, media.characteristics, media.uri) for media in found] == [
            ("a 'b' c", "YES", "NO", None, "captions-1/index.m3u8"),
            ("Deutsch", "NO", "NO", SPOKEN_DIALOG, "captions-2/index.m3u8"),
            ("Deutsch 2", "NO", "YES", SPOKEN_DIALOG, "captions-3/index.m3u8"),
            ("Captions", "NO", "NO", SPOKEN_DIALOG, "captions-4/index.m3u8"),
        ]

    def test_their_playlist_has_the_pictures_segments(self):
        timeline = Timeline(1 / RATE, (0, 60, 120), 150)
        read = m3u8.loads(captions_playlist(timeline))
        assert [segment.uri for segment in read.segments] == ["00000.vtt", "00001.vtt", "00002.vtt"]
        assert [segment.duration for segment in read.segments] == [2.002, 2.002, 1.001]
        assert (read.target_duration, read.playlist_type, read.is_endlist) == (6, "vod", True)
        assert read.segment_map == []
