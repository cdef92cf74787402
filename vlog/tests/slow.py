"""Which tests `make test` leaves to `make test-all` and CI: those that are marked `slow("reason")`."""

import pytest

LIMIT = 10  # seconds; a test that takes longer needs the marker, with its reason

_over: list[tuple[float, str]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that all test processes end together."""
    for item in items:
        marker = item.get_closest_marker("slow")
        if marker is not None and not marker.args:
            raise pytest.UsageError(f'{item.nodeid} is marked slow without a reason: write slow("why it takes long")')
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in ("slow", "long")))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.duration > LIMIT and "slow" not in report.keywords:
        _over.append((report.duration, report.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name unmarked tests above the limit. They do not fail: the machine may have been busy."""
    if _over:
        terminalreporter.section(f'tests above {LIMIT} s that are not marked slow("reason")')
        for seconds, test in sorted(_over, reverse=True):
            terminalreporter.write_line(f"{seconds:6.1f} s  {test}")
