"""What is done to the pictures and the sound on their way to a rendition, as texts for ffmpeg. Pure."""

from transcoding.engine.plan.media import ColorInfo

DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"
TAGS = "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
TRANSFERS = {"pq": "smpte2084", "hlg": "arib-std-b67"}  # as zscale calls them
REFERENCE_WHITE = 203  # cd/m², of white paper; ITU-R BT.2408
PEAK = 1000 / REFERENCE_WHITE  # what nearly everything is mastered for; what is brighter becomes white
STEREO = "aformat=sample_fmts=fltp:channel_layouts=stereo"


def scaled(width: int, height: int, look: ColorInfo, upload: str = "") -> str:
    """Return the filters of one video rendition: its size, BT.709, and the way to the encoder's hardware."""
    return f"scale={width}:{height}:{colors(look)},setsar=1,format=yuv420p,{TAGS}{upload}"


def tone_mapped(transfer: str) -> str:
    """Return the filters from high dynamic range to standard range, with {width} and {height} to be filled in.

    Pictures are scaled first, because the rest costs as much as its pixels.
    """
    return (
        f"zscale=w={{width}}:h={{height}}:tin={TRANSFERS[transfer]}:min=2020_ncl:pin=2020:rin=limited"
        f":t=linear:npl={REFERENCE_WHITE},format=gbrpf32le,zscale=p=709,"
        f"tonemap=tonemap=mobius:param=0.3:peak={PEAK:.2f}:desat=0,"
        "zscale=t=709:m=709:r=limited,format=yuv420p"
    )


def colors(look: ColorInfo, out: str = "out_color_matrix=bt709:out_range=limited") -> str:
    """Return the options of `scale` that say what the numbers of a pixel mean; out: what they mean afterwards."""
    if look.transfer in TRANSFERS or look.matrix == "bt709":
        source = "in_color_matrix=bt709:"
    else:
        source = "" if look.matrix == "rgb" else f"in_color_matrix={look.matrix}:"
    levels = "" if look.matrix == "rgb" else f"in_range={'full' if look.full_range else 'limited'}:"
    return f"{source}{levels}{out}"
