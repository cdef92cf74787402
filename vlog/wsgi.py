"""The web application, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

from vlog import embedded, release
from vlog.serving.parts import LAYERS
from vlog.startup import explained

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
with explained():
    embedded.join()
    application = get_wsgi_application()
    for layer in LAYERS:
        application = import_string(layer)(application)
release.name()  # now, because an upgrade replaces the files under a running process
