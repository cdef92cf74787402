"""`manage.py test_alert`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from vlog import alerts


class Command(BaseCommand):
    help = "Send a test alert through every channel. Exit code 0: all were sent, 1: some failed, 2: no channel is set."

    def handle(self, **options: Any) -> None:
        if not alerts.channels():
            raise CommandError("Alerts are off: set VLOG_ALERT_EMAILS or VLOG_ALERT_WEBHOOK.", returncode=2)
        failed = alerts.send("[VLog] Test alert", "This message was sent by manage.py test_alert. Alerts arrive here.")
        if failed:
            raise CommandError(f"The alert could not be sent {' or '.join(failed)}. The log above says why.")
        self.stdout.write(f"The alert was sent {' and '.join(alerts.channels())}.")
