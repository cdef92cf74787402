"""The periodic task of analytics."""

from analytics import rollups
from vlog.celery import app


@app.task
def roll_up() -> None:
    """End stale sessions, and count the changed ones."""
    rollups.end_stale_sessions()
    rollups.roll_up()
