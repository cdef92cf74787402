"""What the actions of the list of videos will do and have done, in words."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from videos.admin.rows import day_and_time
from videos.models import BulkAction, BulkEdit, word_of
from vlog.sentences import one_or_many, plural


def has_done(edit: BulkEdit, number: int) -> str:
    """Return what an edit has done with so many videos, as a sentence."""
    given = edit.parameters
    if edit.action == BulkAction.VISIBILITY:
        return _has_visibility(given, number)
    names: dict[str, Any] = {"name": given.get("name"), "tags": ", ".join(given.get("tags", ()))}
    return plural(*_done(BulkAction(edit.action), names["name"]), number, **names)


def _has_visibility(given: dict[str, Any], number: int) -> str:
    moments = {name: datetime.fromisoformat(given[name]) for name in ("at", "until") if given.get(name)}
    values: dict[str, Any] = {"visibility": word_of(given["visibility"])}
    if "at" in moments:
        values["moment"] = day_and_time(moments["at"])
        sentence = plural(
            "%(number)s video will be %(visibility)s from %(moment)s on.",
            "%(number)s videos will be %(visibility)s from %(moment)s on.",
            number,
            **values,
        )
    else:
        sentence = plural(
            "%(number)s video is %(visibility)s now.", "%(number)s videos are %(visibility)s now.", number, **values
        )
    if "until" not in moments:
        return sentence
    return sentence + " " + _("Private from %(moment)s on.") % {"moment": day_and_time(moments["until"])}


def _done(action: BulkAction, name: Any) -> tuple[str, str]:
    """Return the sentence for one video and the one for many, in English; `plural` translates them."""
    if action == BulkAction.CATEGORY and not name:
        return DONE_WITHOUT_CATEGORY
    return DONE[action]


def will_do(action: BulkAction, given: dict[str, Any], number: int) -> str:
    """Return what an edit will do with so many videos, as a question."""
    names: dict[str, Any] = {"name": given.get("name"), "tags": ", ".join(given.get("tags", ()))}
    if action == BulkAction.VISIBILITY:
        names["visibility"] = word_of(given["visibility"])
        if given.get("at"):
            names["moment"] = day_and_time(datetime.fromisoformat(given["at"]))
            return plural(*WILL_BE_LATER, number, **names)
    if action == BulkAction.CATEGORY and not given["name"]:
        return plural(*WITHOUT_CATEGORY, number)
    return plural(*WILL_DO[action], number, **names)


# The sentence for one video and the one for many.
DONE = {
    BulkAction.CATEGORY: one_or_many(
        "%(number)s video is in the category %(name)s now.",
        "%(number)s videos are in the category %(name)s now.",
    ),
    BulkAction.ADD_TO_PLAYLIST: one_or_many(
        "%(number)s video is in the playlist %(name)s now.",
        "%(number)s videos are in the playlist %(name)s now.",
    ),
    BulkAction.REMOVE_FROM_PLAYLIST: one_or_many(
        "%(number)s video is not in the playlist %(name)s now.",
        "%(number)s videos are not in the playlist %(name)s now.",
    ),
    BulkAction.FEATURE: one_or_many(
        "%(number)s video is featured on the home page now, as far as it is public.",
        "%(number)s videos are featured on the home page now, as far as they are public.",
    ),
    BulkAction.UNFEATURE: one_or_many(
        "%(number)s video is not featured now.", "%(number)s videos are not featured now."
    ),
    BulkAction.ADD_TAGS: one_or_many(
        "%(number)s video got the tags %(tags)s.", "%(number)s videos got the tags %(tags)s."
    ),
    BulkAction.REMOVE_TAGS: one_or_many(
        "%(number)s video lost the tags %(tags)s.", "%(number)s videos lost the tags %(tags)s."
    ),
    BulkAction.TRANSCRIBE: one_or_many(
        "%(number)s video will be transcribed.", "%(number)s videos will be transcribed."
    ),
    BulkAction.ENCODE: one_or_many(
        "%(number)s video is being re-encoded. Viewers watch the present version meanwhile.",
        "%(number)s videos are being re-encoded. Viewers watch the present version meanwhile.",
    ),
    BulkAction.ARCHIVE: one_or_many(
        "%(number)s video was moved to the archive.",
        "%(number)s videos were moved to the archive.",
    ),
}
DONE_WITHOUT_CATEGORY = one_or_many(
    "%(number)s video is without a category now.", "%(number)s videos are without a category now."
)
WILL_BE_LATER = one_or_many(
    "Make %(number)s video %(visibility)s from %(moment)s on?",
    "Make %(number)s videos %(visibility)s from %(moment)s on?",
)
WITHOUT_CATEGORY = one_or_many("Remove the category of %(number)s video?", "Remove the category of %(number)s videos?")
WILL_DO = {
    BulkAction.VISIBILITY: one_or_many(
        "Make %(number)s video %(visibility)s?", "Make %(number)s videos %(visibility)s?"
    ),
    BulkAction.CATEGORY: one_or_many(
        "Move %(number)s video to the category %(name)s?",
        "Move %(number)s videos to the category %(name)s?",
    ),
    BulkAction.ADD_TO_PLAYLIST: one_or_many(
        "Add %(number)s video to the playlist %(name)s?",
        "Add %(number)s videos to the playlist %(name)s?",
    ),
    BulkAction.REMOVE_FROM_PLAYLIST: one_or_many(
        "Remove %(number)s video from the playlist %(name)s?",
        "Remove %(number)s videos from the playlist %(name)s?",
    ),
    BulkAction.FEATURE: one_or_many(
        "Feature %(number)s video on the home page?", "Feature %(number)s videos on the home page?"
    ),
    BulkAction.UNFEATURE: one_or_many("Stop featuring %(number)s video?", "Stop featuring %(number)s videos?"),
    BulkAction.ADD_TAGS: one_or_many(
        "Add the tags %(tags)s to %(number)s video?", "Add the tags %(tags)s to %(number)s videos?"
    ),
    BulkAction.REMOVE_TAGS: one_or_many(
        "Remove the tags %(tags)s from %(number)s video?",
        "Remove the tags %(tags)s from %(number)s videos?",
    ),
    BulkAction.TRANSCRIBE: one_or_many("Transcribe %(number)s video?", "Transcribe %(number)s videos?"),
    BulkAction.ENCODE: one_or_many("Re-encode %(number)s video?", "Re-encode %(number)s videos?"),
    BulkAction.ARCHIVE: one_or_many("Move %(number)s video to the archive?", "Move %(number)s videos to the archive?"),
}
