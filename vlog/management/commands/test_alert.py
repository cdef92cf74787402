"""`manage.py test_alert`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from vlog import alerts


class Command(BaseCommand):
    help = "Send an alert that means nothing to everybody who would hear of trouble. Exit code 1: not every way works."

    def handle(self, **options: Any) -> None:
        if not alerts.ways():
            raise CommandError("Nobody would hear: set VLOG_ALERT_EMAILS or VLOG_ALERT_WEBHOOK.", returncode=2)
        failed = alerts.tell("[VLog] This is a test", "Somebody ran manage.py test_alert: alerts arrive here.")
        if failed:
            raise CommandError(f"It could not be sent {' or '.join(failed)}; the log above says why.")
        self.stdout.write(f"Sent {' and '.join(alerts.ways())}.")
