"""Search and lists in Chromium: on telephones, in the dark, and without JavaScript."""

import pytest
from django.contrib.auth.models import Group, User

from videos import archive
from videos.models import AudioTrack, Category, Chapter, Playlist, Video, Webhook
from videos.tests import live
from videos.tests.factories import (
    CategoryFactory,
    PlaylistFactory,
    TagFactory,
    TranscodingJobFactory,
    VideoFactory,
    WorkerFactory,
    add_captions,
)

pytestmark = [pytest.mark.django_db, pytest.mark.long]

PAGES = ["/", "/browse/", "/search/", "/search/?q=walk", "/search/?q=nothing", "/category/walks/", "/nothing/"]
PAGES += ["/playlists/", "/playlist/hikes/", "/watch/v3/?list=hikes", "/privacy/"]
NARROW, WIDE = {"width": 320, "height": 700}, {"width": 1280, "height": 800}
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def video(lasting_rows):
    """The last of some videos whose texts want to be wide."""
    category = CategoryFactory(name="Walks", slug="walks", description="x" * 200)
    for number in range(30):
        video = VideoFactory(
            title=f"A walk {'w' * 200}", slug=f"v{number}", description="y" * 300, category=category, public=True
        )
        video.tags.add(TagFactory(name=f"{number:02}{'t' * 48}"))
    add_captions(video, (12, 14, "We walk on"))
    PlaylistFactory(slug="hikes", title="z" * 200, description="y" * 300, videos=Video.objects.order_by("pk"))
    User.objects.create_superuser("editor", password=PASSWORD)
    return video


@pytest.fixture
def visit(address, browser):
    contexts = []

    def open_page(path, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.witness = live.Witness(page)
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def is_too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways_or_asks_other_hosts(visit, address, path):
    page = visit(path)
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        assert not is_too_wide(page)
    assert page.witness.strangers(address) == []


def test_nor_with_the_links_of_editors(visit, address):
    page = visit("/", viewport=NARROW)
    live.log_in(page, address, "editor", PASSWORD)
    page.goto(address)
    assert page.locator("text=Upload").is_visible()
    assert not is_too_wide(page)


@pytest.mark.parametrize("path", PAGES)
def test_dark_is_dark_and_light_is_light(visit, path):
    page = visit(path)
    for scheme, page_is_dark in (("dark", True), ("light", False)):
        page.emulate_media(color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, colour[4:-1].split(","))) < 3 * 64) is page_is_dark


ADMIN = (
    *("", "videos/video/", "videos/video/add/", "videos/video/{video}/change/", "videos/video/{video}/history/"),
    *("videos/video/{video}/delete/", "videos/category/", "videos/category/add/", "videos/tag/"),
    *("videos/storageentry/", "videos/archivedvideo/", "videos/archivedvideo/{archived}/change/"),
    *("videos/transcription/", "videos/webhook/", "videos/webhook/add/", "videos/webhookdelivery/"),
    *("transcoding/transcodingjob/", "transcoding/transcodingjob/{job}/change/", "workers/worker/"),
    *("workers/worker/{worker}/change/", "workers/worker/add/", "vlog/auditentry/", "vlog/apitoken/"),
    *("vlog/apitoken/add/", "auth/user/", "auth/user/{user}/change/", "auth/user/add/", "auth/user/{user}/password/"),
    *("auth/group/", "auth/group/{group}/change/", "security/", "security/second_factor/", "password_change/"),
    *("videos/playlist/", "videos/playlist/add/", "videos/playlist/{playlist}/change/", "videos/category/order/"),
    *("analytics/overview/", "videos/", "login/"),
)


@pytest.fixture(scope="module")
def of_admin(video):
    """The keys of rows that pages of the admin show."""
    AudioTrack.objects.create(video=video, rendition="audio", name="n" * 100)
    Chapter.objects.create(video=video, start=5, title="c" * 200)
    gone = VideoFactory(title=f"Gone {'g' * 200}", public=True)
    TranscodingJobFactory(video=gone)
    archive.archive(gone.pk, "editor")
    worker = WorkerFactory(worker_name="w" * 90)
    Webhook.objects.create(address=f"https://example.org/{'h' * 200}", secret="whsec_eA==", events=["video.ready"])
    job = TranscodingJobFactory(video__title=f"Waits {'w' * 200}", current_step="probe")
    error = f"It broke: {'e' * 300}"
    TranscodingJobFactory(video__title="f" * 255, video__status="failed", video__error_message=error)
    user, group = User.objects.get(), Group.objects.first()
    pks = {
        "playlist": Playlist.objects.get(),
        "video": video,
        "archived": gone,
        "worker": worker,
        "job": job,
        "user": user,
        "group": group,
    }
    return {name: row.pk for name, row in pks.items()}


@pytest.mark.slow("it opens every page of the admin")
def test_no_page_of_the_admin_scrolls_sideways_on_a_phone_or_on_a_desk(visit, address, of_admin):
    page = visit("/")
    live.log_in(page, address, "editor", PASSWORD)
    page.set_default_navigation_timeout(live.PATIENCE * 1000)
    wide = []
    for path in ADMIN:
        page.goto(f"{address}/admin/{path.format(**of_admin)}", wait_until="domcontentloaded")
        for size in (NARROW, {"width": 800, "height": 700}, {"width": 1366, "height": 800}):
            page.set_viewport_size(size)
            if is_too_wide(page):
                wide.append((path, size["width"]))
    assert wide == []
    assert page.witness.strangers(address) == []


def test_the_admin_is_dark_in_the_dark_and_as_its_switch_says(visit, address, of_admin):
    page = visit("/", color_scheme="dark")
    live.log_in(page, address, "editor", PASSWORD)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(15, 15, 20)"
    page.click(".menu.account summary")
    page.click(".theme-toggle")
    assert page.evaluate(ground) == "rgb(247, 247, 250)"
    assert page.locator(".theme-toggle").inner_text() == "Theme: light"


def test_the_start_page_is_small(visit, address, of_admin):
    page = visit("/")
    live.log_in(page, address, "editor", PASSWORD)
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate(
        "performance.getEntries().filter((e) => e.encodedBodySize !== undefined)"
        ".map((e) => [e.name, e.encodedBodySize])"
    )
    thumbnails = [size for name, size in loaded if "/thumbnail/" in name]
    assert all(size <= 8 << 10 for size in thumbnails)
    loaded = [[name, size] for name, size in loaded if "/thumbnail/" not in name]
    assert len(loaded) <= 12, loaded
    assert sum(size for _, size in loaded) <= 150_000, loaded


def test_the_menu_of_a_phone_opens_and_closes_by_key(visit, address, of_admin):
    page = visit("/", viewport=NARROW)
    live.log_in(page, address, "editor", PASSWORD)
    sidebar = page.locator("#nav-sidebar")
    assert not sidebar.is_visible()
    page.click(".tabbar >> text=Menu")
    sidebar.get_by_text("Categories").wait_for()
    assert page.locator(".menu-button").get_attribute("aria-expanded") == "true"
    assert not is_too_wide(page)
    page.keyboard.press("Escape")
    sidebar.wait_for(state="hidden")
    page.click(".tabbar >> text=Videos")
    page.wait_for_url(f"{address}/admin/videos/video/")


def test_a_slash_leads_to_the_search_of_videos(visit, address, of_admin):
    page = visit("/", viewport=WIDE)
    live.log_in(page, address, "editor", PASSWORD)
    page.keyboard.press("/")
    page.keyboard.type("walk/1")
    assert page.locator("#find").input_value() == "walk/1"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/admin/videos/video/?q=walk%2F1")


def test_the_search_leads_to_the_moment_without_javascript(visit, address):
    page = visit("/browse/", java_script_enabled=False)
    page.get_by_role("search").get_by_role("searchbox").fill('"walk on"')
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/search/?q=%22walk+on%22")
    assert page.get_by_role("searchbox").input_value() == '"walk on"'
    page.locator(".moment a").click()
    page.wait_for_url(f"{address}/watch/v29/?t=12&captions=1")
    assert page.locator("noscript video").get_attribute("src").endswith("/master.m3u8#t=12")


def test_the_pages_of_a_search_are_reached_without_javascript(visit, address):
    page = visit("/search/?q=walk", java_script_enabled=False)
    page.get_by_role("link", name="Next").click()
    page.wait_for_url(f"{address}/search/?q=walk&page=2")
    assert page.locator(".result").count() == 6


def test_a_visitor_opts_out_without_javascript(visit, address):
    page = visit("/privacy/", java_script_enabled=False)
    page.get_by_role("button", name="Opt out and erase").click()
    page.wait_for_url(f"{address}/privacy/?done=out")
    assert page.get_by_role("status").inner_text().startswith("You have opted out.")
    assert [(cookie["name"], cookie["value"]) for cookie in page.context.cookies()] == [("vlog_viewer", "no")]
    page.get_by_role("button", name="Opt in again").click()
    page.wait_for_url(f"{address}/privacy/?done=in")
    assert page.context.cookies() == []


def test_the_field_of_tags_suggests_what_is_not_there_yet(visit, address):
    page = visit("/")
    live.log_in(page, address, "editor", PASSWORD)
    page.goto(f"{address}/admin/videos/video/add/")
    page.locator("#id_tag_names").press_sequentially("Lake, 07")
    option = page.locator("datalist option")
    option.wait_for(state="attached")
    assert option.get_attribute("value") == f"07{'t' * 48}"
    assert [
        complaint for complaint in page.witness.complaints if "poster" not in complaint and "404" not in complaint
    ] == []


def test_leaving_a_changed_form_of_the_admin_warns(visit, address):
    page = visit("/")
    questions = []
    page.on("dialog", lambda dialog: (questions.append(dialog.type), dialog.dismiss()))
    live.log_in(page, address, "editor", PASSWORD)
    category = Category.objects.get()
    form = f"{address}/admin/videos/category/{category.pk}/change/"
    page.goto(form)
    page.click("#id_description")
    page.click("#branding a")
    page.wait_for_url(f"{address}/admin/")  # nothing was changed
    page.goto(form)
    page.locator("#id_slug").press_sequentially("!")
    page.click("#branding a")
    page.wait_for_timeout(500)
    assert (page.url, questions) == (form, ["beforeunload"])
    page.click("[name=_continue]")  # sends it, and shows it again: the slug is invalid
    page.locator(".errornote").wait_for()
    page.click("#branding a")
    page.wait_for_timeout(500)
    assert (page.url, questions) == (form, ["beforeunload"] * 2)
    page.fill("#id_slug", "walks")
    page.click("[name=_save]")
    page.wait_for_url(f"{address}/admin/videos/category/")
    assert questions == ["beforeunload"] * 2


def test_the_list_of_videos_fits_a_phone_and_obeys_keys(visit, address):
    page = visit("/", viewport=NARROW)
    live.log_in(page, address, "editor", PASSWORD)
    page.goto(f"{address}/admin/videos/video/?q=walk")
    assert not is_too_wide(page)
    page.locator(".filter-sheet summary").click()
    page.locator("#f-category").select_option(label="Walks")
    page.get_by_role("button", name="Show videos").click()
    page.wait_for_url(lambda address: "category=" in address and "tag=" not in address)
    assert page.locator("tbody tr").count() == 30
    assert not is_too_wide(page)
    page.set_viewport_size(WIDE)
    for key in ("j", "j", "x", "k"):
        page.keyboard.press(key)
    assert page.locator(".action-select").nth(1).is_checked()
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 1
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.get_by_label("Use single letters as keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 1


def test_ticked_videos_get_a_category_and_go_back(visit, address):
    page = visit("/", viewport=WIDE)
    live.log_in(page, address, "editor", PASSWORD)
    page.goto(f"{address}/admin/videos/video/")
    assert not page.locator("div.actions").is_visible()
    without = page.locator("tbody .meta", has_text="No category").count()
    for number in (0, 2):
        page.locator("tbody tr", has_text="Walks").nth(number).locator(".action-select").check()
    assert page.locator(".action-counter").inner_text().startswith("2 of ")
    bar = page.get_by_role("group", name="With the selected videos")
    bar.get_by_text("Category").first.click()
    bar.locator("#a-category").select_option(label="None")
    bar.get_by_role("button", name="Set category").click()
    page.get_by_text("2 videos are without a category now.").wait_for()
    assert page.locator("tbody .meta", has_text="No category").count() == without + 2
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone: 2 videos are as before.").wait_for()
    assert page.locator("tbody .meta", has_text="No category").count() == without
    assert not is_too_wide(page)
