"""The parts of the web server that apps bring, by name, because `vlog` imports none of them."""

# Layers ahead of Django, the outermost last: each is called with the application behind it.
LAYERS = ("vlog.serving.kept_pages.Pages", "analytics.intake.Intake")
# Functions that each process calls after its last request.
ENDINGS = ("analytics.pending.finish",)
# Returns the seconds until pages change without a notice.
NEXT_MOMENT = "videos.publication.seconds_to_next_change"
