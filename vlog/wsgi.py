"""The web application, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

from vlog import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
embedded.join()
application = get_wsgi_application()
