"""Plans of format 1, written by release 28570df: reading them with its encoder arguments, and writing them for it.

Such a plan has the settings of its renditions instead of their encoder arguments. The arguments are therefore frozen
here, so that a video that was begun by that release is finished with the same ones. Nothing here follows the current
defaults.
"""

from collections.abc import Mapping
from typing import Any

PLAN = ("stream", "zero", "time_base", "timeline", "gop", "seeks", "encoder", "preset", "ffmpeg", "look", "warnings")
RUNG = ("width", "height", "bitrate", "copied", "tier")
AUDIO = ("stream", "language", "sample_rate", "bitrate", "copied", "zero", "timeline")

# The encoder arguments and filters of format 1.
_CAPPED = ("-maxrate", "{cap}k", "-bufsize", "{cap}k")
_VIDEO = {
    "h264_nvenc": (
        *("-c:v", "h264_nvenc", "-preset", "p5", "-tune", "hq", "-profile:v", "high"),
        *("-rc", "vbr", "-cq", "23", "-b:v", "0", *_CAPPED, "-bf", "2"),
        *("-forced-idr", "1", "-no-scenecut", "1", "-strict_gop", "1"),
    ),
    "h264_qsv": (
        *("-c:v", "h264_qsv", "-preset", "medium", "-profile:v", "high", "-b:v", "{average}k", *_CAPPED),
        *("-forced_idr", "1", "-adaptive_i", "0", "-adaptive_b", "0", "-bf", "2", "-flags", "+cgop"),
    ),
    "h264_vaapi": (
        *("-c:v", "h264_vaapi", "-profile:v", "high", "-rc_mode", "VBR", "-b:v", "{average}k", *_CAPPED),
        *("-idr_interval", "0", "-bf", "2", "-flags", "+cgop"),
    ),
    "libx264": (
        *("-c:v", "libx264", "-preset", "{preset}", "-profile:v", "high", "-crf", "22", *_CAPPED),
        *("-sc_threshold", "0", "-flags", "+cgop"),
    ),
}
_UPLOAD = {"h264_qsv": ",format=nv12", "h264_vaapi": ",format=nv12,hwupload"}
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_SMALL, _AVERAGE = 1000, 0.8
_TAGS = "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
_DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"
_TRANSFERS = {"pq": "smpte2084", "hlg": "arib-std-b67"}
_TONE_MAP = (
    "zscale=w={{width}}:h={{height}}:tin={transfer}:min=2020_ncl:pin=2020:rin=limited:t=linear:npl=203,"
    "format=gbrpf32le,zscale=p=709,tonemap=tonemap=mobius:param=0.3:peak=4.93:desat=0,"
    "zscale=t=709:m=709:r=limited,format=yuv420p"
)
_AUDIO_FILTERS = "aformat=sample_fmts=fltp:channel_layouts=stereo"
_LOOK = {"interlaced": False, "transfer": "sdr", "matrix": "bt709", "full_range": False}


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan of format 1 with the keys of format 2; its format number stays 1."""
    look = {**_LOOK, **data.get("look", {})}
    transfer = _TRANSFERS.get(look["transfer"])
    rungs = [_video(rung, data["encoder"], data["preset"], look) for rung in data["rungs"]]
    return {
        **{name: data[name] for name in PLAN if name in data},
        "format": 1,
        "renditions": rungs + ([_audio(data["audio"])] if data["audio"] else []),
        "deinterlace": _DEINTERLACE if look["interlaced"] else "",
        "tone_map": _TONE_MAP.format(transfer=transfer) if transfer else "",
    }


def _video(rung: Mapping[str, Any], encoder: str, preset: str, look: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "kind": "video",
        "key": rung["name"],
        "codec": "h264",
        **{name: rung[name] for name in RUNG if name in rung},
    }
    if rung.get("copied"):
        return {**facts, "arguments": ()}
    scaled = f"scale={rung['width']}:{rung['height']}:{_colors(look)},setsar=1,format=yuv420p,{_TAGS}"
    return {
        **facts,
        "arguments": _arguments(encoder, preset, rung["bitrate"]),
        "filters": scaled + _UPLOAD.get(encoder, ""),
    }


def _arguments(encoder: str, preset: str, cap: int) -> tuple[str, ...]:
    slower = _PRESETS[min(_PRESETS.index(preset) + 1, len(_PRESETS) - 1)] if preset in _PRESETS else preset
    values = {"preset": slower if cap <= _SMALL else preset, "cap": cap, "average": round(_AVERAGE * cap)}
    return tuple(part.format(**values) for part in _VIDEO[encoder])


def _colors(look: Mapping[str, Any]) -> str:
    if look["transfer"] in _TRANSFERS or look["matrix"] == "bt709":
        source = "in_color_matrix=bt709:"
    else:
        source = "" if look["matrix"] == "rgb" else f"in_color_matrix={look['matrix']}:"
    levels = "" if look["matrix"] == "rgb" else f"in_range={'full' if look['full_range'] else 'limited'}:"
    return f"{source}{levels}out_color_matrix=bt709:out_range=limited"


def _audio(audio: Mapping[str, Any]) -> dict[str, Any]:
    encoded = not audio["copied"]
    return {
        "kind": "audio",
        "key": "audio",
        "codec": "aac",
        "default": True,
        **{name: audio[name] for name in AUDIO},
        "arguments": ("-c:a", "aac", "-b:a", f"{audio['bitrate']}k") if encoded else (),
        "filters": _AUDIO_FILTERS if encoded else "",
    }


def write(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data of format 2 in format 1, with no other keys: that release crashes on keys that it does not know."""
    video = [each for each in data["renditions"] if each["kind"] == "video"]
    audio = [each for each in data["renditions"] if each["kind"] == "audio"]
    return {
        **{name: data[name] for name in PLAN},
        "look": {name: data["look"][name] for name in _LOOK},
        "rungs": [{"name": each["key"], **{name: each[name] for name in RUNG}} for each in video],
        "audio": {name: audio[0][name] for name in AUDIO} if audio else None,
    }
