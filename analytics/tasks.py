"""What beat has done every minute."""

from analytics import rollups
from vlog.celery import app


@app.task
def roll_up() -> None:
    """End what has gone silent, and count what has changed."""
    rollups.sweep()
    rollups.roll_up()
