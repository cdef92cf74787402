"""How ffmpeg writes a rendition: fragments of CMAF. A change here is a change of the format of plans. Pure."""

# frag_discont gives the first fragment its true tfdt, cmaf signed composition offsets (so no edit list is needed),
# delay_moov an init segment that knows its codec.
FRAGMENTS = "+cmaf+frag_discont+delay_moov+skip_trailer"
CONTAINER = ("-use_editlist", "0", "-avoid_negative_ts", "disabled", "-map_metadata", "-1", "-map_chapters", "-1")
