"""Pages of the admin cost the same number of queries in each test, whatever the cache has from the one before."""

import pytest
from django.core.cache import cache

from vlog import sidebar


@pytest.fixture(autouse=True)
def _no_counts_in_the_sidebar(request: pytest.FixtureRequest) -> None:
    """Let the sidebar find its counts in the cache."""
    if "client" in request.fixturenames or "admin_client" in request.fixturenames:
        cache.set(sidebar.COUNTS, {})
