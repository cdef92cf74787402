"""What the actions of the list of videos will do and have done, in words."""

from datetime import datetime
from typing import Any

from videos.admin.rows import day_and_time
from videos.models import BulkAction, BulkEdit
from vlog.sentences import counted


def has_done(edit: BulkEdit, number: int) -> str:
    """Return what an edit has done with so many videos, as a sentence."""
    videos, they = counted(number, "video"), "is" if number == 1 else "are"
    given = edit.parameters
    if edit.action == BulkAction.VISIBILITY:
        moments = {name: datetime.fromisoformat(given[name]) for name in ("at", "until") if given.get(name)}
        end = f", and private from {day_and_time(moments['until'])} on" if "until" in moments else ""
        if "at" in moments:
            return f"{videos} will be {given['visibility']} from {day_and_time(moments['at'])} on{end}."
        return f"{videos} {they} {given['visibility']} now{end}."
    if edit.action == BulkAction.CATEGORY:
        return (
            f"{videos} {they} in the category {given['name']} now."
            if given["name"]
            else f"{videos} {they} without a category now."
        )
    names = ", ".join(given.get("tags", ()))
    return {
        BulkAction.ADD_TO_PLAYLIST: f"{videos} {they} in the playlist {given.get('name')} now.",
        BulkAction.REMOVE_FROM_PLAYLIST: f"{videos} {they} not in the playlist {given.get('name')} now.",
        BulkAction.FEATURE: f"{videos} {they} featured on the home page now, as far as they are public.",
        BulkAction.UNFEATURE: f"{videos} {they} not featured now.",
        BulkAction.ADD_TAGS: f"{videos} got the tags {names}.",
        BulkAction.REMOVE_TAGS: f"{videos} lost the tags {names}.",
        BulkAction.TRANSCRIBE: f"{videos} will be transcribed.",
        BulkAction.ENCODE: f"{videos} {they} being re-encoded. Viewers watch the present version meanwhile.",
        BulkAction.ARCHIVE: f"{videos} {'was' if number == 1 else 'were'} moved to the archive.",
    }[BulkAction(edit.action)]


def will_do(action: BulkAction, given: dict[str, Any], number: int) -> str:
    """Return what an edit will do with so many videos, as a question."""
    videos = counted(number, "video")
    if action == BulkAction.VISIBILITY:
        when = f" from {day_and_time(datetime.fromisoformat(given['at']))} on" if given.get("at") else ""
        return f"Make {videos} {given['visibility']}{when}?"
    if action == BulkAction.CATEGORY:
        return (
            f"Move {videos} to the category {given['name']}?" if given["name"] else f"Remove the category of {videos}?"
        )
    names = ", ".join(given.get("tags", ()))
    return {
        BulkAction.ADD_TO_PLAYLIST: f"Add {videos} to the playlist {given.get('name')}?",
        BulkAction.REMOVE_FROM_PLAYLIST: f"Remove {videos} from the playlist {given.get('name')}?",
        BulkAction.FEATURE: f"Feature {videos} on the home page?",
        BulkAction.UNFEATURE: f"Stop featuring {videos}?",
        BulkAction.ADD_TAGS: f"Add the tags {names} to {videos}?",
        BulkAction.REMOVE_TAGS: f"Remove the tags {names} from {videos}?",
        BulkAction.TRANSCRIBE: f"Transcribe {videos}?",
        BulkAction.ENCODE: f"Re-encode {videos}?",
        BulkAction.ARCHIVE: f"Move {videos} to the archive?",
    }[action]
