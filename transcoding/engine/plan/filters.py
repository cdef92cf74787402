"""The filters for the video and the audio of a rendition, as ffmpeg's filter strings. Pure."""

from transcoding.engine.plan.media import ColorInfo

DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"
TAGS = "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
_OUT = "out_color_matrix=bt709:out_range=limited"
TRANSFERS = {"pq": "smpte2084", "hlg": "arib-std-b67"}  # zscale's names for them
PRIMARIES = {"bt2020": "2020", "p3": "smpte432", "dci-p3": "smpte431"}  # and for gamuts that are wider than BT.709's
REFERENCE_WHITE = 203  # cd/m², of white paper; ITU-R BT.2408
PEAK = 1000 / REFERENCE_WHITE  # nearly everything is mastered for 1000 cd/m²; brighter pixels become white
STEREO = "aformat=sample_fmts=fltp:channel_layouts=stereo"
MONO = "aformat=sample_fmts=fltp:channel_layouts=mono"
# Loud channels add up to more than full scale where they become two. The limit leaves AAC a decibel for its own errors.
LIMITER = "alimiter=limit=0.89:attack=5:release=50:level=0:latency=1"

LOUDNESS = -16.0  # LUFS; HLS authoring rule 2.18
MOST_GAIN = 20.0  # dB; what is quieter than that is noise, or meant to be
# -1 dBTP (EBU R 128), less half a decibel for peaks between the samples.
PEAK_LIMITER = "alimiter=limit=0.84:attack=5:release=50:level=0:latency=1"


def is_normalized(finish: str) -> bool:
    return finish.startswith("volume=")


def normalized(loudness: float) -> str:
    """Return the filters that bring audio of this loudness, in LUFS, to LOUDNESS, with peaks below -1 dBTP."""
    return f"volume={min(LOUDNESS - loudness, MOST_GAIN):.1f}dB,{PEAK_LIMITER}"


def deinterlaced(look: ColorInfo) -> str:
    """Return the filters that make frames of interlaced pictures; empty if there are none.

    The size is fixed before: the deinterlacer fails on pictures whose size changes.
    """
    if not look.interlaced:
        return ""
    return f"scale={look.stored[0]}:{look.stored[1]}:interl=-1,{DEINTERLACE}" if look.stored else DEINTERLACE


def scaled(width: int, height: int, look: ColorInfo, upload: str = "") -> str:
    """Return the filters of one video rendition: scaling, conversion to BT.709, upload to the encoder's hardware."""
    return f"scale={width}:{height}:{colors(look)},setsar=1,format=yuv420p,{TAGS}{upload}"


def again(filters: str, look: ColorInfo) -> str:
    """Return the filters of a rendition for frames that those of a larger one have converted to BT.709 already."""
    return filters.replace(colors(look), f"in_color_matrix=bt709:in_range=limited:{_OUT}")


def converted(look: ColorInfo) -> str:
    """Return the filters from another dynamic range or a wider gamut to BT.709; empty if there is nothing to convert.

    They have the placeholders {width} and {height}: pictures are scaled first, because the cost of the other filters
    grows with the number of pixels.
    """
    levels = "full" if look.full_range else "limited"
    if look.transfer in TRANSFERS:
        return (
            f"zscale=w={{width}}:h={{height}}:tin={TRANSFERS[look.transfer]}:min=2020_ncl:pin=2020:rin={levels}"
            f":t=linear:npl={REFERENCE_WHITE},format=gbrpf32le,zscale=p=709,"
            f"tonemap=tonemap=mobius:param=0.3:peak={PEAK:.2f}:desat=0,"
            "zscale=t=709:m=709:r=limited,format=yuv420p"
        )
    if look.primaries in PRIMARIES:
        return (
            f"zscale=w={{width}}:h={{height}}:{_matrix(look)}pin={PRIMARIES[look.primaries]}:tin=709"
            ":p=709:t=709:m=709:r=limited,format=yuv420p"
        )
    return ""


def standard(look: ColorInfo) -> str:
    """Return the filters that make what viewers get of any look, with the placeholders {width} and {height}."""
    return converted(look) or f"scale={{width}}:{{height}}:{colors(look)},setsar=1,format=yuv420p"


def _matrix(look: ColorInfo) -> str:
    """Return the options of `zscale` that state how the values of pixels are stored."""
    if look.matrix == "rgb":
        return ""
    matrix = {"bt709": "709", "bt601": "170m", "bt2020": "2020_ncl"}[look.matrix]
    return f"min={matrix}:rin={'full' if look.full_range else 'limited'}:"


def colors(look: ColorInfo, out: str = _OUT) -> str:
    """Return the options of `scale` that state how pixel values are interpreted: before it by look, after it by out."""
    if converted(look):
        return f"in_color_matrix=bt709:in_range=limited:{out}"
    if look.matrix == "rgb":
        return out
    return f"in_color_matrix={look.matrix}:in_range={'full' if look.full_range else 'limited'}:{out}"
