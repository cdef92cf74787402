"""The names of enumerations in the OpenAPI document, where drf-spectacular would number fields of one name."""

NAMES = {
    "CaptionsKindEnum": "videos.models.TrackKind",
    "CaptionsStateEnum": "videos.models.TrackState",
    "CaptionVersionStateEnum": "videos.models.CaptionVersionState",
    "Kind": "workers.api.serializers.REMOTE_KINDS",
    "VisibilityEnum": "videos.models.VISIBILITIES",  # of an upload, which has no password yet
    "VideoVisibilityEnum": "videos.models.Visibility",
}
