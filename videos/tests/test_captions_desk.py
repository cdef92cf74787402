"""The caption desk in Chromium: editing, saving, conflicts, no connection, and two editors."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import expect

from transcoding.tests.conftest import wait_for
from videos import caption_drafts
from videos.caption_drafts import Splice
from videos.models import CaptionVersion, Cue
from videos.tests import live
from videos.tests.factories import VideoFactory, add_captions
from videos.tests.live import log_in
from videos.tests.test_looks import PASSWORD, is_too_wide, visit  # noqa: F401 - a fixture
from vlog.tests.test_accessibility import shapes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

TEXTS = ("So an eigen value is a number.", "It only makes it longer.", "Lambda may be zero.", "The vector may not.")
TIMEOUT = 15_000


@pytest.fixture(scope="module")
def video(django_db_setup):
    """None: the site starts without rows, and each test commits its own."""


@pytest.fixture
def track():
    lake = VideoFactory(public=True, title="Linear algebra", slug="algebra", duration=60, playable=False)
    found = add_captions(lake, *((4 * n, 4 * n + 3, text) for n, text in enumerate(TEXTS)))
    found.cues.filter(text=TEXTS[2]).update(confidence=[0.4, 0.9, 0.9, 0.9])
    return found


@pytest.fixture
def desk(visit, address, track):  # noqa: F811
    """Return a function that opens the desk in a browser of its own."""
    User.objects.create_superuser("ann", password=PASSWORD, first_name="Ann", last_name="Keller")
    pages = []

    def open_desk(**options):
        page = visit("/", **options)
        pages.append(page)
        page.set_default_timeout(TIMEOUT)
        log_in(page, address, "ann", PASSWORD)
        page.goto(f"{address}/admin/videos/video/{track.video_id}/captions/")
        live.until(page, "document.getElementById('caption-desk').desk !== undefined")
        page.witness.complaints.clear()  # of the other pages, whose videos have no posters
        return page

    yield open_desk
    for page in pages:
        page.context.set_offline(True)  # a closed desk says so, and the tables are emptied next
        page.context.close()
    wait_for(lambda: others_at_work() == 0, "the end of the last requests")


def others_at_work():
    """Return how many other connections run a statement or a transaction in this database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND state <> 'idle'"
        )
        return cursor.fetchone()[0]


def draft_of(track):
    draft = CaptionVersion.objects.working(track)
    return None if draft is None else [row[2] for row in draft.cues]


def saved(page):
    live.until(page, "document.getElementById('caption-desk').desk.saver.state === 'saved'")
    live.until(page, "!document.getElementById('caption-desk').desk.saver.isDirty")


def type_into(page, number, text):
    page.locator(f"[aria-label='Text of caption {number}']").fill(text)


def texts(page):
    return page.evaluate("document.getElementById('caption-desk').desk.text.cues.map((cue) => cue.text)")


def times(page):
    return page.evaluate("document.getElementById('caption-desk').desk.text.cues.map(({start, end}) => [start, end])")


def field(page, number):
    return page.locator(f"[aria-label='Text of caption {number}']")


def test_everything_can_be_edited_by_keyboard(desk, track):
    page = desk(viewport={"width": 1366, "height": 1000})
    field(page, 1).focus()
    page.keyboard.press("Home")
    for _ in "So an":
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Enter")
    assert texts(page)[:3] == ["So an", "eigen value is a number.", TEXTS[1]]
    assert times(page)[0][1] == times(page)[1][0]
    page.keyboard.press("Backspace")  # the cursor is at the start of the second one
    assert texts(page) == list(TEXTS)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert (texts(page), times(page)[0]) == (list(TEXTS), [0, 3])
    page.keyboard.press("Control+Shift+z")
    assert texts(page)[0] == "So an"
    page.keyboard.press("Control+z")
    field(page, 2).focus()
    page.keyboard.press("Alt+.")
    page.keyboard.press("Alt+Shift+Comma")
    assert times(page)[1] == [4, 7.1]
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Text of caption 3"
    page.keyboard.press("Enter")  # confirms the unsure word
    assert page.locator("[data-chip=check] span").inner_text() == "0"
    page.keyboard.press("Control+h")
    page.keyboard.type("eigen value")
    page.keyboard.press("Tab")
    page.keyboard.type("eigenvalue")
    assert page.locator("#find-bar .meta").inner_text() == "1 match in 1 caption"
    page.click("[data-find=all]")
    assert texts(page)[0] == "So an eigenvalue is a number."
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+s")
    page.locator("#shift-bar select").select_option("all")
    page.locator("#shift-bar input").fill("1,5")
    page.keyboard.press("Enter")
    assert times(page)[0] == [1.5, 4.5]
    saved(page)
    draft = CaptionVersion.objects.working(track)
    assert [row[:3] for row in draft.cues][:2] == [[1.5, 4.5, "So an eigenvalue is a number."], [5.5, 8.6, TEXTS[1]]]
    assert page.witness.complaints == []


def test_a_letter_is_saved_as_one_cue_and_published_text_stays_until_it_is_published(desk, track):
    page = desk()
    bodies = []
    page.on("request", lambda request: request.method == "PATCH" and bodies.append(request.post_data_json))
    field(page, 4).press("End")
    field(page, 4).type("!")
    saved(page)
    assert [splice[:2] for body in bodies for splice in body["splices"]] == [[3, 1]]
    assert list(track.cues.values_list("text", flat=True)) == list(TEXTS)
    page.get_by_role("button", name="Publish English").click()
    live.until(page, "document.querySelector('.saved').textContent === 'Published'")
    assert list(track.cues.order_by("start").values_list("text", "edited")) == [
        *((text, False) for text in TEXTS[:3]),
        ("The vector may not.!", True),
    ]
    assert CaptionVersion.objects.working(track) is None
    assert [version.length for version in track.versions.all()] == [4]  # the former text


def write(track, place, text):
    """Change a cue of the draft as another editor does."""
    revision = caption_drafts.revision_of(track)
    row = [*caption_drafts.text_of(track).rows[place]]
    row[2] = text
    caption_drafts.change(track, [Splice(place, 1, [row])], revision)
    track.refresh_from_db()


def test_changes_of_two_people_are_put_together_and_the_same_caption_is_a_conflict(desk, track):
    page = desk()
    write(track, 3, "The vector must not.")
    field(page, 1).fill("An eigenvalue.")
    saved(page)
    assert draft_of(track) == texts(page) == ["An eigenvalue.", *TEXTS[1:3], "The vector must not."]
    write(track, 1, "Theirs.")
    field(page, 2).fill("Mine.")
    page.wait_for_selector("#desk-conflict", state="visible")
    assert draft_of(track)[1] == "Theirs."
    page.get_by_role("button", name="Keep my text").click()
    saved(page)
    assert draft_of(track)[1] == "Mine."
    assert track.versions.filter(state="replaced").get().cues[1][2] == "Theirs."  # nothing is lost
    write(track, 1, "Theirs again.")
    field(page, 2).fill("Mine again.")
    page.wait_for_selector("#desk-conflict", state="visible")
    page.get_by_role("button", name="Take the other text").click()
    saved(page)
    assert texts(page)[1] == draft_of(track)[1] == "Theirs again."
    assert track.versions.filter(state="draft", is_working=False).get().cues[1][2] == "Mine again."


@pytest.mark.slow("waits for saves that fail")
def test_without_a_connection_the_text_stays_in_the_browser(desk, track, address):
    page = desk()
    page.route("**/draft/", lambda route: route.abort() if route.request.method == "PATCH" else route.continue_())
    field(page, 1).fill("Written on a train.")
    live.until(page, "document.getElementById('caption-desk').desk.saver.state === 'offline'")
    assert "kept in this browser" in page.locator(".saved").inner_text()
    page.on("dialog", lambda dialog: dialog.accept())
    write(track, 3, "By another person.")
    page.reload()
    page.unroute("**/draft/")
    live.until(page, "document.getElementById('caption-desk').desk !== undefined")
    saved(page)
    live.until(page, "document.getElementById('caption-desk').desk.text.cues[0].text === 'Written on a train.'")
    saved(page)
    assert draft_of(track) == ["Written on a train.", *TEXTS[1:3], "By another person."]
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('vlog-captions')).length") == 0


@pytest.mark.slow("two browsers")
def test_two_editors_are_told_of_each_other(desk, track, visit, address):  # noqa: F811
    desk()
    User.objects.create_superuser("bob", password=PASSWORD)
    second = visit("/")
    log_in(second, address, "bob", PASSWORD)
    second.goto(f"{address}/admin/videos/video/{track.video_id}/captions/")
    second.wait_for_selector("#desk-others", state="visible")
    assert "Ann Keller is correcting these captions" in second.locator("#desk-others").inner_text()
    assert field(second, 1).get_attribute("readonly") is not None
    second.click("#edit-too")
    live.until(second, "!document.querySelector('.cue textarea').readOnly")
    field(second, 1).fill("Both.")
    saved(second)
    assert draft_of(track)[0] == "Both."


@pytest.mark.slow("opens a browser")
def test_a_new_text_is_compared_and_taken_over_cue_by_cue(desk, track):
    track.cues.filter(text=TEXTS[1]).update(edited=True)
    other = [Cue(start=4 * n, end=4 * n + 3, text=f"{text} New.") for n, text in enumerate(TEXTS)]
    CaptionVersion.objects.draft(track, other, origin="whisper")
    page = desk()
    page.get_by_label("More", exact=True).click()
    page.get_by_role("button", name="Versions").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_selector("#comparison", state="visible")
    assert "1 of your corrections kept" in page.locator("#comparison .meta").inner_text()
    page.locator("#comparison tbody tr").nth(3).get_by_role("radio").first.check()
    page.get_by_role("button", name="Take over").click()
    assert texts(page) == [f"{TEXTS[0]} New.", TEXTS[1], f"{TEXTS[2]} New.", TEXTS[3]]
    page.click("[data-do=undo]")
    assert texts(page) == list(TEXTS)


SMALL = """[...document.querySelectorAll("#caption-desk :is(button, input, select, a, textarea)")]
    .filter((control) => control.checkVisibility() && !control.disabled)
    .map((control) => [control.getAttribute("aria-label") ?? control.textContent, control.getBoundingClientRect()])
    .filter(([, { width, height }]) => width && Math.min(width, height) < 24).map(([name]) => name.trim())"""


def drag(page, start, end):
    """Move a finger from one place of the waveform to another."""
    box = page.locator("canvas.wave").bounding_box()
    places = [(box["x"] + x, box["y"] + 88) for x in (start, (start + end) / 2, end)]
    devtools = page.context.new_cdp_session(page)
    for number, (x, y) in enumerate(places):
        kind = "touchMove" if number else "touchStart"
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.slow("two shapes of a tablet")
@pytest.mark.parametrize(("width", "height"), [(1024, 768), (768, 1024)])
def test_a_finger_does_everything(desk, track, width, height):
    page = desk(viewport={"width": width, "height": height}, has_touch=True)
    assert not is_too_wide(page)
    assert page.evaluate(SMALL) == []
    tools = page.get_by_role("toolbar", name="Captions")
    field(page, 1).tap()
    page.evaluate("document.activeElement.setSelectionRange(5, 5)")  # where the finger would put it
    tools.get_by_role("button", name="Split at the cursor").tap()
    assert texts(page)[:2] == ["So an", "eigen value is a number."]
    field(page, 1).tap()
    tools.get_by_role("button", name="Merge with the next").tap()
    assert texts(page) == list(TEXTS)
    tools.get_by_role("button", name="Remove").tap()
    assert texts(page) == list(TEXTS[1:])
    tools.get_by_role("button", name="Undo").tap()
    page.get_by_role("button", name="Next to check").tap()
    page.get_by_role("button", name="Confirm").tap()
    assert page.locator(".cue-foot .meta").inner_text() == "There is nothing left to check."
    tools.get_by_role("button", name="Corrected 2").tap()  # one was split and merged, one confirmed
    expect(page.locator(".cue")).to_have_count(2)
    tools.get_by_role("button", name="All 4").tap()
    tools.get_by_role("button", name="Shift").tap()
    page.locator("#shift-bar input").fill("0.5")
    page.locator("#shift-bar [data-shift]").tap()
    moved = times(page)
    assert moved[-1] == [12.5, 15.5]
    page.locator("canvas.wave").scroll_into_view_if_needed()
    scale = page.evaluate(f"{WAVE}.scale")
    drag(page, moved[1][1] * scale, (moved[1][1] - 1) * scale)
    assert times(page)[1] == [moved[1][0], pytest.approx(moved[1][1] - 1, abs=0.1)]
    drag(page, (moved[1][0] + 1) * scale, (moved[1][0] + 1.4) * scale)  # the whole block
    assert times(page)[1][0] == pytest.approx(moved[1][0] + 0.4, abs=0.1)
    page.get_by_role("button", name="Publish English").tap()
    live.until(page, "document.querySelector('.saved').textContent === 'Published'")
    assert page.witness.complaints == []


WAVE = "document.getElementById('caption-desk').desk.wave"


@pytest.mark.slow("opens a browser")
def test_a_screen_reader_is_told_what_is_wrong_and_nothing_twice(desk, track):
    page = desk()
    page.evaluate(
        """() => {
            window.said = [];
            const region = document.getElementById("desk-status");
            new MutationObserver(() => region.textContent && said.push(region.textContent))
                .observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    unsure = page.get_by_role("textbox", name="Text of caption 3")
    assert unsure.evaluate("(area) => document.getElementById(area.getAttribute('aria-describedby')).textContent") == (
        "Unsure"
    )
    assert field(page, 1).get_attribute("aria-describedby") is None
    page.get_by_role("button", name="Next to check").click()
    expect(unsure).to_be_focused()
    assert page.evaluate("said.pop()") == "Caption 3: Words of low certainty: 40 %"
    page.keyboard.type("abc")
    saved(page)
    assert page.evaluate("said") == []  # a letter and a save are no news
    tell = """(cue) => {
        const { presence } = document.getElementById("caption-desk").desk;
        presence.others = [{ name: "Bob", cue, edits: true }];
        presence.dispatchEvent(new Event("others"));
    }"""
    for cue in (1, 2, 3):
        page.evaluate(tell, cue)
    assert page.evaluate("said") == ["Bob is correcting these captions (at caption 1)."]
    assert page.locator("#desk-others .where").inner_text().strip() == "(at caption 3)"
    snapshot = page.locator(".cues").aria_snapshot()
    assert snapshot.startswith('- list "Captions":')
    for name in ("Start of caption 3", "Text of caption 3"):
        assert f'textbox "{name}"' in snapshot


@pytest.mark.slow("ten thousand rows")
def test_ten_thousand_cues_are_a_few_rows(desk, track):
    track.video.duration = 40_000
    track.video.save()
    Cue.objects.bulk_create(
        Cue(track=track, start=60 + 3 * n, end=62 + 3 * n, text=f"Caption number {n}") for n in range(9_996)
    )
    page = desk(viewport={"width": 390, "height": 800})
    assert page.locator("[data-chip=all] span").inner_text() == "10000"
    assert page.locator(".cue").count() < 120
    page.evaluate("document.getElementById('caption-desk').desk.go(7_000)")
    assert page.evaluate("document.activeElement.value") == "Caption number 6996"
    assert page.locator(".cue").count() < 120
    assert not is_too_wide(page)
    page.keyboard.type("!")
    saved(page)
    assert draft_of(track)[7_000] == "Caption number 6996!"


@pytest.mark.slow("judges six pages")
def test_axe_finds_no_barrier(desk, track, address):
    page = desk()
    page.click("[data-do=find]")
    page.click("[data-do=shift]")
    findings = {how: found for how, found in shapes(page) if found}
    page.get_by_label("More", exact=True).click()
    page.get_by_role("button", name="Language and name").click()
    findings |= {f"dialog {how}": found for how, found in shapes(page) if found}
    page.goto(f"{address}/admin/videos/captiontrack/?open=all")
    findings |= {f"list {how}": found for how, found in shapes(page) if found}
    assert findings == {}


SPLIT = """async () => {
    await import('/static/desk.js');  // the words
    const {Text, fromRow, merged, diff} = await import('/static/captions-cues.js');
    const edits = await import('/static/captions-edits.js');
    const {marksOf, UNSURE, LONG, FAST, OVERLAP, GAP, EMPTY} = await import('/static/captions-checks.js');
    const cues = [[0, 2, 'One two'], [2.05, 4, 'three'], [3, 11, ''], [12, 13, 'x'.repeat(30)]].map(fromRow);
    const names = (text) => text.map((cue) => cue.text);
    const text = new Text(cues);
    text.become(edits.replaceAll(text.cues, 'THREE', '3'));
    text.change(edits.withTimes(text.cues, 0, 6, 7));
    const moved = names(text.cues);
    text.undo(); text.undo();
    const mine = edits.replaceAll(cues, 'One', '1');
    const theirs = cues.toSpliced(3, 1);
    return {
        marks: cues.map((_, index) => marksOf(cues, index)),
        wanted: [0, GAP, OVERLAP | LONG | EMPTY, FAST],
        unsure: marksOf([fromRow([0, 2, 'a b', false, [0.9, 0.3]])], 0) === UNSURE,
        moved, back: names(text.cues), redone: text.canRedo,
        both: names(merged(cues, mine, theirs)), conflict: merged(cues, mine, edits.replaceAll(cues, 'two', '2')),
        clocks: [0, 59.99, 61.25, 3723.4].map((at) => edits.clock(at, 2)),
        seconds: ['12:04.2', '1:02:03,25', '7.5', 'x', '1:2:3:4'].map(edits.secondsOf),
        shifted: edits.shift(cues, 0, 4, -5).map((cue) => cue.start),
        certain: edits.withText([fromRow([0, 1, 'a b c', false, [0.1, 0.2, 0.3]])], 0, 'a x c')[0].added[0].confidence,
        runs: diff(cues, mine).length,
    };
}"""


def test_the_pure_parts(visit, address):  # noqa: F811
    page = visit("/")
    found = page.evaluate(SPLIT)
    assert found["marks"] == found["wanted"]
    assert found["unsure"]
    assert found["moved"] == ["3", "", "One two", "x" * 30]
    assert (found["back"], found["redone"]) == (["One two", "three", "", "x" * 30], True)
    assert (found["both"], found["conflict"]) == (["1 two", "three", ""], None)
    assert found["clocks"] == ["0:00.00", "0:59.99", "1:01.25", "1:02:03.40"]
    assert found["seconds"] == [724.2, 3723.25, 7.5, None, None]
    assert found["shifted"] == [0, 2.05, 3, 12]  # not before the start of the video
    assert found["certain"] == [0.1, 1, 0.3]
    assert found["runs"] == 1
