"""How files arrive and become videos: by a form, by tus 1.0, from a folder."""

from videos.uploads.completion import UploadError, accept, clean, replace, tags_named, title_of
from videos.uploads.purge import finish_arrived, leftovers, look_after, purge_expired, sweep_leftovers

__all__ = [
    "UploadError",
    "accept",
    "clean",
    "finish_arrived",
    "leftovers",
    "look_after",
    "purge_expired",
    "replace",
    "sweep_leftovers",
    "tags_named",
    "title_of",
]
