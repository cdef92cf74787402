"""The web application, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

from vlog import embedded, release
from vlog.startup import explained

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
with explained():
    embedded.join()
    application = get_wsgi_application()
release.name()  # now, because an upgrade replaces the files under a running process
