"""When a problem is reported, and when its end: rules about looks and times, without any input or output.

    seen in one look ──▶ sure: seen in two in a row ──▶ reported ──▶ not seen in two in a row ──▶ its end reported

A check that gave no result says neither that a problem began nor that it is over. A problem that comes back within an
hour of its end is reported once more, and its end only after a quiet quarter of an hour.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings

from vlog.health import MORE, Finding, State
from vlog.looks import Look

SURE = 2  # looks in a row
RETURNS_SECONDS = 3600
QUIET_SECONDS = 900
REMINDER_SECONDS = 24 * 3600
SILENCE_SECONDS = 300
GAP_SECONDS = 30  # beyond the interval of a check, after which a look no longer follows the one before
EARLY_SECONDS = 1  # by which a look may come before its time: no look is left out because of it
# The subjects of messages that begin with a verb.
SUBJECTS = {
    "database": "PostgreSQL",
    "redis": "Redis",
    "disk": "The disk",
    "beat": "The scheduler (beat)",
    "storage": "The object store",
}
VERBS = {"does", "has", "sent", "cannot", "is", "gives"}


@dataclass
class Problem:
    """What looks have found under one key. Times are seconds since 1970; `seen` and `missed` count looks in a row."""

    check: str
    sentence: str
    advice: str
    is_urgent: bool
    began: float
    seen: int = 0
    missed: int = 0
    missing_since: float = 0.0
    told: float = 0.0
    ended: float = 0.0
    returned: bool = False

    def is_open(self) -> bool:
        """Return whether operators know of it, and not of its end."""
        return self.told > self.ended


@dataclass
class News:
    """The keys of problems to tell of: that they began, that they last, that they are over."""

    began: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.began or self.lasting or self.over)


@dataclass
class Watch:
    """The problems by their keys, when each check was last made, and when each that can give a result last gave one."""

    problems: dict[str, Problem] = field(default_factory=dict)
    made: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Watch":
        problems = {key: Problem(**columns) for key, columns in state["problems"].items()}
        known = {key: problem for key, problem in problems.items() if problem.check in settings.ALERTED}
        return cls(problems=known, made=state["made"], answered=state["answered"])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def due(self, now: float) -> list[str]:
        """Return the checks whose time has come."""
        return [
            name
            for name, check in settings.ALERTED.items()
            if not 0 <= now - self.made.get(name, 0.0) < check["every"] - EARLY_SECONDS
        ]

    def add(self, names: list[str], look: Look, now: float) -> None:
        """Add the result of a look at these checks."""
        for name in names:
            follows = now - self.made.get(name, 0.0) < GAP_SECONDS + settings.ALERTED[name]["every"]
            self.made[name] = now
            if name not in look:  # a service that it needs does not answer
                self.answered.pop(name, None)
            elif (findings := look[name]) is None:
                self._note_silence(name, now)
            else:
                self._add(name, findings, now, follows=follows)
                self.answered[name] = now
        self._forget(now)

    def _add(self, name: str, findings: list[Finding], now: float, *, follows: bool) -> None:
        """Add findings. follows: whether the check was made a short time ago, too."""
        found = {_key(name, finding.key or finding.message): finding for finding in findings if finding.state}
        is_cut = found.pop(_key(name, MORE), None) is not None  # what is not named may last
        for key, finding in found.items():
            problem = self.problems.setdefault(key, _problem(name, finding, now))
            if not problem.is_open() and (problem.missed or not follows):
                problem.began, problem.seen = now, 0
            problem.sentence, problem.advice = sentence(name, finding.message), finding.advice
            is_sure = finding.is_sure and follows and name in self.answered
            problem.seen, problem.missed = max(problem.seen + 1, SURE * is_sure), 0
        if is_cut:
            return
        for key, problem in self.problems.items():
            if problem.check == name and key not in found:
                problem.missing_since = problem.missing_since if problem.missed else now
                problem.seen, problem.missed = 0, problem.missed + 1

    def _note_silence(self, name: str, now: float) -> None:
        """Find a check itself at fault that fails or hangs for minutes, although the services that it needs answer."""
        if now - self.answered.setdefault(name, now) >= SILENCE_SECONDS:
            message = f"the check {name} has given no result for minutes, so its problems are not noticed"
            finding = Finding(State.RED, message, "The log says why.", key="no result")
            problem = self.problems.setdefault(_key(name, finding.key), _problem(name, finding, now))
            problem.seen, problem.missed = SURE, 0

    def _forget(self, now: float) -> None:
        """Drop what operators need not know: what two looks did not confirm, and what has been over for an hour."""
        self.problems = {
            key: problem
            for key, problem in self.problems.items()
            if problem.seen or problem.is_open() or (problem.ended and now - problem.ended < RETURNS_SECONDS)
        }

    def news(self, now: float) -> News:
        """Return what has to be reported now."""
        news, order = News(), list(settings.ALERTED)
        for key, problem in sorted(self.problems.items(), key=lambda item: order.index(item[1].check)):
            if not problem.is_open():
                news.began += [key] if problem.seen >= SURE else []
            elif problem.missed >= SURE:
                is_quiet = not problem.returned or now - problem.missing_since >= QUIET_SECONDS
                news.over += [key] if is_quiet else []
            elif problem.is_urgent and now - problem.told >= REMINDER_SECONDS:
                news.lasting.append(key)
        return news

    def note_told(self, news: News, now: float) -> None:
        """Record that the news were reported."""
        for key in (*news.began, *news.lasting):
            problem = self.problems[key]
            problem.returned = problem.returned or problem.ended > 0
            problem.told = now
        for key in news.over:
            self.problems[key].ended = now


def _key(name: str, key: str) -> str:
    return f"{name}: {key}"


def _problem(name: str, finding: Finding, now: float) -> Problem:
    urgent = finding.state == State.RED
    return Problem(name, sentence(name, finding.message), finding.advice, is_urgent=urgent, began=now)


def sentence(name: str, message: str) -> str:
    """Return a finding of a check as a sentence without its full stop."""
    if message.partition(" ")[0] in VERBS:
        return f"{SUBJECTS.get(name, f'The check of {name}')} {message}"
    return message[:1].upper() + message[1:]


def paragraphs(watch: Watch, news: News, now: float) -> Iterator[str]:
    """Yield a paragraph for each piece of news: what is the matter, and what to do about it."""
    for key in news.began:
        problem = watch.problems[key]
        again = "Again: " if problem.ended else ""
        yield f"{again}{problem.sentence}. {problem.advice}".rstrip()
    for key in news.lasting:
        problem = watch.problems[key]
        yield f"Still, for {duration(now - problem.began)}: {problem.sentence}. {problem.advice}".rstrip()
    for key in news.over:
        problem = watch.problems[key]
        yield f"Over after {duration(problem.missing_since - problem.began)}: {problem.sentence}."


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has two, such as `90 minutes`."""
    for unit, size in (("days", 24 * 3600), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
