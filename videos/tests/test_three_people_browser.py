"""Three people of three roles beside each other in Chromium, with a hundred random actions each.

Nothing fails, no link is dead, and no change is lost: who replaces a text has seen it.
"""

import random
from collections import defaultdict
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group, User

from videos.models import CategoryLimit, Video
from videos.tests import live
from videos.tests.factories import CategoryFactory, PlaylistFactory, TranscodingJobFactory, VideoFactory, add_captions
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.slow("three hundred actions in a browser")]

ACTIONS = 100  # of each person
SEED = 17
PASSWORD = "correct horse"
PEOPLE = ("administrator", "editor", "limited")
LINKS = "[...document.querySelectorAll('a[href]')].map((link) => link.href.split('#')[0])"
NO_PAGES = ("/api/", "/media/", "/static/", "/admin/logout/", "/admin/jsi18n/")
FIELDS = ("title", "description")


@pytest.fixture(scope="module")
def video(lasting_rows):
    """The last of six videos. The limited editor has those of a category, which are half of them."""
    walks = CategoryFactory(name="Walks", slug="walks")
    categories = [walks, CategoryFactory(name="Talks", slug="talks")]
    for number in range(6):
        video = VideoFactory(title=f"Video {number}", category=categories[number % 2], public=True)
        TranscodingJobFactory(video=video)
        add_captions(video, (1, 3, "We walk on"))
    PlaylistFactory(title="Hikes", videos=Video.objects.order_by("pk"))
    User.objects.create_superuser("administrator", password=PASSWORD)
    for name in ("editor", "limited"):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name="Editors"))
    CategoryLimit.objects.replace(user, [walks])
    return video


class Person:
    """A person with a browser of their own; `saved` holds what they saved, with what they had seen in its place."""

    def __init__(self, name, page, address, chance):
        self.name, self.page, self.address, self.chance = name, page, address, chance
        self.saved, self.seen, self.number = [], None, 0
        self.failures, self.met = [], 0  # met: how often another person had changed the same video meanwhile
        page.on("response", self._note)
        page.on("dialog", lambda dialog: dialog.accept())  # a changed form is left

    def _note(self, response):
        if response.status >= 500:
            self.failures.append(f"{response.status} {response.url}")

    def act(self):
        actions = [self.save] * 3 if self.seen else [self.open_form] * 2
        self.chance.choice([*actions, self.follow_a_link, self.follow_a_link, self.search, self.add_a_tag])()

    def go(self, address):
        self.seen = None
        return self.page.goto(address)

    def follow_a_link(self):
        here = self.page.url
        links = sorted(set(filter(self._is_page, self.page.evaluate(LINKS))))
        if not links:
            self.go(f"{self.address}/admin/")
            return
        link = self.chance.choice(links)
        if self.go(link).status >= 400:
            self.page.goto(here)  # another person may have taken it away
            assert link not in self.page.evaluate(LINKS), f"{self.name}: dead link {link} on {here}"

    def _is_page(self, link):
        path = urlsplit(link).path
        own = link.startswith(f"{self.address}/") and not path.startswith(NO_PAGES)
        return own and "." not in path and not path.endswith(("/file/", "/download/"))

    def search(self):
        self.go(f"{self.address}/admin/videos/video/?q={self.chance.choice(['video', 'walk', 'nothing', 'by'])}")

    def open_form(self):
        self.go(f"{self.address}/admin/videos/video/")
        rows = self.page.locator("#result_list tbody a.title")
        if rows.count():
            rows.nth(self.chance.randrange(rows.count())).click()
            self.page.locator("#id_title").wait_for()
            self.seen = {field: self.page.locator(f"#id_{field}").input_value() for field in FIELDS}

    def save(self):
        """Change a field of the open form and save it; where another was faster, choose one of both texts."""
        self.number += 1
        field, text = self.chance.choice(FIELDS), f"{self.number} by {self.name}"
        before = self.seen[field]
        self.page.locator(f"#id_{field}").fill(text)
        self.page.keyboard.press("Control+s")
        answer = self.page.locator(".messagelist .success, .conflict")
        answer.first.wait_for()
        pk = int(self.page.url.split("/video/")[1].split("/")[0])
        met = self.page.locator(".conflict").or_(self.page.get_by_text("Changed by others meanwhile"))
        self.met += met.count() > 0
        if self.page.locator(".conflict").count():
            before = self._settle(field, before)
        if self.page.locator(f"#id_{field}").input_value() == text:
            self.saved.append((pk, field, before, text))
        self.seen = None

    def _settle(self, field, before):
        """Keep what others have changed, and choose one of both in the field; return what stands in its place now."""
        for conflict in self.page.locator(".conflict").all():
            mine, theirs = conflict.locator("input[type=radio]").all()
            if mine.get_attribute("name") == f"choice-{field}":
                before = conflict.locator("label .value").nth(1).inner_text()
                self.chance.choice([mine, theirs]).check()
            else:
                theirs.check()
        self.page.keyboard.press("Control+s")
        self.page.locator(".messagelist .success, .errornote").first.wait_for()
        return "" if before == "(empty)" else before

    def add_a_tag(self):
        self.go(f"{self.address}/admin/videos/video/")
        ticks = self.page.locator("#result_list tbody input.action-select")
        if not ticks.count():
            return
        tick = ticks.nth(self.chance.randrange(ticks.count()))
        pk = int(tick.get_attribute("value"))
        tick.check()
        self.number += 1
        name = f"tag {self.number} by {self.name}"
        self.page.locator("summary", has_text="Tags").click()
        self.page.fill("#a-tags", name)
        self.page.get_by_role("button", name="Add tags").click()
        self.page.get_by_text(f"1 video got the tags {name}.").wait_for()
        self.saved.append((pk, "tags", None, name))


@pytest.fixture
def people(address, browser):
    contexts = [browser.new_context() for _ in PEOPLE]
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    people = [Person(name, context.new_page(), address, chance) for name, context in zip(PEOPLE, contexts, strict=True)]
    for person in people:
        live.log_in(person.page, address, person.name, PASSWORD)
    yield people
    for context in contexts:
        context.close()


def test_nothing_fails_and_no_edit_is_lost(people, video):
    turns = [person for person in people for _ in range(ACTIONS)]
    people[0].chance.shuffle(turns)
    for person in turns:
        person.act()
    assert [failure for person in people for failure in person.failures] == []
    saved = [edit for person in people for edit in person.saved]
    assert {field for _, field, _, _ in saved} == {*FIELDS, "tags"}
    assert sum(person.met for person in people) > 0
    check(saved)


def check(saved):
    """Every saved text replaced one that its author had seen, and every tag is still there."""
    replaced = defaultdict(list)
    for entry in AuditEntry.objects.filter(action="changed", subject_type__endswith="video").order_by("id"):
        for field in {*FIELDS} & {*(entry.after or {})}:
            replaced[int(entry.subject_id), field].append((entry.before[field], entry.after[field]))
    for pk, field, seen, text in saved:
        if field == "tags":
            assert Video.objects.get(pk=pk).tags.filter(name=text).exists(), f"{text} of {pk} is lost"
        else:
            assert (seen, text) in replaced[pk, field]
    for (pk, field), changes in replaced.items():
        assert getattr(Video.objects.get(pk=pk), field) == changes[-1][1]
