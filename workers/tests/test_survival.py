"""Whatever befalls remote workers and the way to them, nothing is lost: a round of each scenario of `make torture`."""

import pytest

from torture import network
from vlog.tests.torture import torture

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(network.why_not()), reason=network.why_not()),
]

# All in one video, so that the site and its agents start once.
FAULTS = (
    "cut-short", "cut-long", "loss", "slow", "web-dies", "site-restarts", "agent-killed", "agent-frozen", "key-shared",
    "key-revoked", "bad-proxy", "hostile", "together", "cut-for-ever",
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
