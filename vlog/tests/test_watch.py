"""When operators are told: the rules, with looks and times that a test makes up."""

import json
from dataclasses import dataclass, field

import pytest

from vlog.health import MORE, Finding, State
from vlog.watch import Watch, duration, paragraphs, sentence

AWAY = Finding(State.RED, "does not answer", "Start it.")
LOW = Finding(State.AMBER, "little space is left", "Free some.")
SURE = Finding(State.RED, "is over", "Do something.", is_sure=True)
GREEN = Finding(State.GREEN, "answers")
MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


@dataclass
class Site:
    """A watch that looks every ten seconds, and what it has told."""

    watch: Watch = field(default_factory=Watch)
    now: float = 1_000_000.0

    def look(self, **found):
        """Look at every check, with these findings, after ten seconds; return what operators are told."""
        return self.look_after(10, **found)

    def look_after(self, seconds, **found):
        self.now += seconds
        look = {name: [GREEN] for name in self.watch.due(self.now)}
        for name, findings in found.items():
            look[name] = [findings] if isinstance(findings, Finding) else findings
        away = [name for name, findings in look.items() if findings == "away"]
        names = list(look)
        self.watch.add(names, {name: look[name] for name in names if name not in away}, self.now)
        news = self.watch.news(self.now)
        told = list(paragraphs(self.watch, news, self.now))
        self.watch.note_told(news, self.now)
        self.watch = Watch.from_json(json.loads(json.dumps(self.watch.to_json())))
        return told


@pytest.fixture
def site():
    site = Site()
    assert site.look() == []
    return site


def test_two_looks_in_a_row_make_it_sure(site):
    assert site.look(database=AWAY) == []
    assert site.look(database=AWAY) == ["PostgreSQL does not answer. Start it."]
    assert site.look(database=AWAY) == []


def test_one_look_does_not(site):
    for _ in range(3):
        assert site.look(redis=AWAY) == []
        assert site.look() == []


def test_its_end_is_told_after_two_looks_with_how_long_it_lasted(site):
    for _ in range(20):
        site.look(database=AWAY)
    assert site.look() == []
    assert site.look() == ["Over after 3 minutes: PostgreSQL does not answer."]
    assert site.look() == []


def test_what_is_unknown_is_neither_found_nor_over(site):
    for _ in range(2):
        site.look(queues=AWAY)
    for _ in range(5):
        assert site.look(queues="away", jobs="away") == []
    assert site.look(queues=AWAY) == []
    assert site.look() == []
    assert site.look()[0].startswith("Over after ")


def test_a_look_that_knew_nothing_makes_nothing_sure(site):
    assert site.look(beat="away") == []
    assert site.look(beat=SURE) == []
    assert site.look() == []
    assert site.look(beat=SURE) == ["The scheduler (beat) is over. Do something."]


def test_after_a_restart_nothing_is_sure_at_the_first_look(site):
    site.look(database=AWAY)
    assert site.look_after(10 * MINUTE, database=AWAY, beat=SURE) == []
    assert site.look(database=AWAY) == ["PostgreSQL does not answer. Start it."]


def test_a_finding_whose_message_changes_is_one_problem(site):
    def behind(seconds):
        return Finding(State.RED, f"has not run for {seconds} s", "Start it.", key="silent")

    site.look(beat=behind(20))
    assert site.look(beat=behind(30)) == ["The scheduler (beat) has not run for 30 s. Start it."]
    assert site.look(beat=behind(40)) == []


def test_several_problems_are_told_together_the_services_first(site):
    for _ in range(2):
        told = site.look(disk=LOW, redis=AWAY, database=AWAY)
    assert told == [
        "PostgreSQL does not answer. Start it.",
        "Redis does not answer. Start it.",
        "Little space is left. Free some.",
    ]


def test_what_returns_within_an_hour_is_told_again_and_over_after_a_quiet_quarter_of_an_hour(site):
    for _ in range(2):
        site.look(database=AWAY)
    site.look()
    assert len(site.look()) == 1
    site.look_after(10 * MINUTE, database=AWAY)
    site.look(database=AWAY)
    assert site.look(database=AWAY) == ["Again: PostgreSQL does not answer. Start it."] or site.watch.problems
    told = []
    for _ in range(10):  # it flaps
        for _ in range(3):
            told += site.look()
        for _ in range(3):
            told += site.look(database=AWAY)
    assert told == []
    while not told:
        told = site.look()
    (problem,) = site.watch.problems.values()
    assert site.now - problem.missing_since == pytest.approx(15 * MINUTE, abs=10)
    assert told[0].startswith("Over after ")


def test_what_returns_after_more_than_an_hour_is_new(site):
    for _ in range(2):
        site.look(database=AWAY)
    for _ in range(2):
        site.look()
    for _ in range(361):
        site.look()
    assert site.watch.problems == {}
    site.look(database=AWAY)
    assert site.look(database=AWAY) == ["PostgreSQL does not answer. Start it."]


def test_a_reminder_comes_each_day_for_what_does_not_work(site):
    told = []
    for _ in range(2 * DAY // HOUR + 1):
        for _ in range(2):
            told += site.look(disk=LOW, database=AWAY)
        site.now += HOUR - 20
    reminders = [line for line in told if line.startswith("Still")]
    assert reminders == [
        "Still, for 24 hours: PostgreSQL does not answer. Start it.",
        "Still, for 2 days: PostgreSQL does not answer. Start it.",
    ]
    assert len(told) == len(reminders) + 2


def test_what_is_not_named_any_more_may_last(site):
    first, second = (Finding(State.AMBER, f"«{name}» failed", "Retry it.") for name in ("Lake", "Hill"))
    for _ in range(2):
        site.look(failures=first)
    for _ in range(3):
        told = site.look(failures=[second, Finding(State.AMBER, "more failed", key=MORE)])
        assert not any(line.startswith("Over") for line in told)
    assert not any("more failed" in problem.sentence for problem in site.watch.problems.values())


def test_a_check_that_gives_no_result_for_minutes_is_told_itself(site):
    for _ in range(29):
        assert site.look(storage=None) == []
    told = "The check storage has given no result for minutes, so its problems are not noticed. The log says why."
    assert [told] in [site.look(storage=None) for _ in range(3)]
    assert site.look(storage=GREEN) == []
    assert site.look(storage=GREEN)[0].startswith("Over after ")


def test_a_check_whose_service_is_away_is_not_at_fault(site):
    for _ in range(60):
        assert site.look(queues="away") == []
    assert site.look(queues=None) == []


def test_if_no_message_could_be_sent_the_next_look_tries_again(site):
    for _ in range(2):
        site.now += 10
        site.watch.add(["database"], {"database": [AWAY]}, site.now)
    assert site.watch.news(site.now).began == ["database: does not answer"]
    assert site.look(database=AWAY) == ["PostgreSQL does not answer. Start it."]


def test_checks_have_intervals_of_their_own(site):
    assert site.watch.due(site.now + 9.5) == ["database", "redis", "disk", "beat", "queues"]
    assert site.watch.due(site.now + 60)[-3:] == ["jobs", "failures", "storage"]
    assert "backup" in site.watch.due(site.now + 600)
    assert site.watch.due(site.now - HOUR) == list(site.watch.made)  # the clock was put back


@pytest.mark.parametrize(
    ("name", "message", "found"),
    [
        ("database", "does not answer", "PostgreSQL does not answer"),
        ("database", "1 migration is not applied", "1 migration is not applied"),
        ("disk", "cannot be checked: no such folder", "The disk cannot be checked: no such folder"),
        ("storage", "cannot be checked: refused", "The object store cannot be checked: refused"),
        ("jobs", "cannot be checked: refused", "The check of jobs cannot be checked: refused"),
        ("queues", "no node takes work from encode", "No node takes work from encode"),
        ("failures", "«lake» failed", "«lake» failed"),
    ],
)
def test_a_finding_is_told_as_a_sentence(name, message, found):
    assert sentence(name, message) == found


@pytest.mark.parametrize(
    ("seconds", "found"), [(0, "1 s"), (90, "90 s"), (180, "3 minutes"), (2 * HOUR, "2 hours"), (3 * DAY, "3 days")]
)
def test_durations_in_words(seconds, found):
    assert duration(seconds) == found
