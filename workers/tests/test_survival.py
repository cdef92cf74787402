"""Faults of remote workers and of their network lose nothing: a round of each scenario of `make torture`."""

import pytest

from torture import network
from vlog.tests.torture import torture

pytestmark = [
    pytest.mark.slow("a round of the torture of remote workers, in networks of their own"),
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(network.why_not()), reason=network.why_not()),
]

# All in one video, so that the site and its agents start once.
FAULTS = (
    "short-outage", "long-outage", "packet-loss", "slow-link", "web-killed", "site-restarts", "agent-killed",
    "agent-frozen", "key-shared", "key-revoked", "bad-proxy", "hostile", "mixed-fleet", "permanent-outage",
)  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    name = "+".join(FAULTS)
    return torture(tmp_path_factory.mktemp("torture"), [name])[name]


def test_the_video_becomes_ready_and_nothing_is_left_over(result):
    assert result["broken"] == []
    assert (result["ready"], result["failed"]) == (1, 0)


def test_the_faults_struck_while_agents_were_at_work(result):
    assert result["hits"] > len(FAULTS) // 2
