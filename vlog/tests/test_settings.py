import re

import pytest

from vlog.environment import BASE_DIR

OURS = ("vlog", "videos", "transcoding", "workers", "analytics")
NOT_OURS_TO_SET = {"VLOG_PROCESS"}  # `up` tells each process its name


def settings_read() -> set[str]:
    text = (BASE_DIR / "vlog/settings.py").read_text()
    return {f"VLOG_{name}" for name in re.findall(r'\benv\.\w+\(\s*"([A-Z0-9_]+)"', text)}


def documented() -> set[str]:
    lines = (BASE_DIR / "docs/settings.md").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"\| `(VLOG_\w+)` \|", line))}


def read_by_programs() -> set[str]:
    """Where no settings.py stands between: os.environ in a program that runs without Django."""
    sources = [
        path
        for app in OURS
        for path in (BASE_DIR / app).rglob("*.py")
        if "tests" not in path.relative_to(BASE_DIR).parts
    ]
    text = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r'environ(?:\.get\(|\.pop\(|\[)"(VLOG_[A-Z0-9_]+)"', text))


def test_every_setting_is_documented_and_nothing_else_is():
    assert documented() == (settings_read() | read_by_programs()) - NOT_OURS_TO_SET


@pytest.mark.parametrize("name", sorted(settings_read()))
def test_the_documentation_of_a_setting_tells_its_default_and_its_meaning(name):
    (line,) = re.findall(rf"^\| `{name}` \|.*$", (BASE_DIR / "docs/settings.md").read_text(), re.MULTILINE)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == 3
    assert all(cells)
