"""The parts of the web server that apps bring, by name, because `vlog` imports none of them."""

# Layers ahead of Django, the outermost last: each is called with the application behind it.
LAYERS = ("analytics.intake.Intake",)
# Functions that each process calls after its last request.
ENDINGS = ("analytics.pending.finish",)
