"""Which workers run another release than this site."""

from django.utils.translation import gettext as _

from vlog import release
from workers import zipapp
from workers.models import Worker

FROM_SOURCES = "sources"  # what an agent reports that runs from a checkout instead of agent.pyz
EARLIER = "an earlier release"  # which did not report its name
DIGITS = 8


def of_agent() -> str:
    """Return the release of the agent that this site serves."""
    return zipapp.digest()[:DIGITS]


def other_release(worker: Worker) -> str:
    """Return the release of a worker if it is not that of this site; empty if it is, or if the worker does not run."""
    if worker.capabilities is None or worker.status == Worker.Status.OFFLINE:
        return ""
    reported = str(worker.capabilities.get("release") or EARLIER)
    is_remote = worker.worker_type == Worker.Type.REMOTE
    own = (of_agent(), FROM_SOURCES) if is_remote else (release.name(),)
    return "" if reported in own else reported


def advice(worker: Worker) -> str:
    """Return what to do about a worker of another release."""
    if worker.worker_type == Worker.Type.REMOTE:
        return _("Download agent.pyz again on its machine, and restart the agent.")
    return _("Install this release on its machine, and restart the node.")
