"""What the search finds, in which order, and what it shows of it."""

import random
import threading

import pytest
from django.db import DataError, connection, connections, transaction
from django.utils import timezone

from videos.models import SearchDocument, Tag, Video, VideoTag
from videos.pages.search import MAX_CHARACTERS, MAX_RESULTS, excerpt, find, highlighted
from videos.tests.factories import CategoryFactory, TagFactory, VideoFactory, add_captions
from videos.tests.test_pages import HIDDEN

pytestmark = pytest.mark.django_db


def video(slug, *, tags=(), said=(), **fields):
    """A public video; `said` are the texts of its captions, five seconds each."""
    row = VideoFactory(**{"slug": slug, "title": slug, "public": True, **fields})
    row.tags.set([Tag.objects.get_or_create(name=name)[0] for name in tags])
    if said:
        add_captions(row, *((5 * n, 5 * n + 5, text) for n, text in enumerate(said)))
    return row


def slugs(text):
    return [hit.card.slug for hit in find(text, limit=100).hits]


def sql(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


class TestFinding:
    def test_a_word_is_found_wherever_it_stands_and_the_title_comes_first(self):
        video("said", said=["We saw a glacier today"])
        video("described", description="A glacier from above")
        video("tagged", tags=["Glacier"])
        video("titled", title="The glacier")
        video("other", title="A lake", description="Water", tags=["Lake"], said=["Nothing"])
        assert slugs("glacier") == ["titled", "tagged", "described", "said"]

    def test_words_may_stand_in_different_places(self):
        video("both", title="A walk", tags=["Woods"])
        video("one", title="A walk")
        assert slugs("walk woods") == ["both"]

    @pytest.mark.parametrize("fields", HIDDEN)
    def test_only_what_is_public_is_found(self, fields):
        video("hidden", title="Glacier", tags=["Glacier"], said=["A glacier"], **fields)
        assert slugs("glacier") == []

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("walking", {"walk", "walks"}),  # one stem
            ("WALK", {"walk", "walks"}),
            ("walk lake", {"walks"}),
            ("lake or hill", {"walks", "hill"}),
            ("walk -lake", {"walk"}),
            ("walk -walks", set()),
            ('"big lake"', {"walks"}),
            ('"lake big"', set()),
            ("hil", {"hill"}),  # the beginning of a word
            ("hil lake", set()),  # only the last may be one
            ('"hil"', set()),
            ("hi", set()),  # too short for a beginning
            ("walk -hil", {"walk", "walks"}),
            ("cafe", {"cafe"}),
            ("CAFÉ", {"cafe"}),
            ("cafe\u0301", {"cafe"}),
            ("smorrebrod", {"cafe"}),
            ("straße", {"cafe"}),
            ("東京", {"cafe"}),
            ("the who", {"who"}),  # nothing but words that English does not index
            ("script", {"signs"}),
            ("cheese", {"signs"}),
            ("host", {"signs"}),
            ("www.host.org", {"signs"}),
            ("beach", {"signs"}),
            ("nothing", set()),
        ],
    )
    def test_the_query_is_that_of_web_searches(self, query, expected):
        video("walk", title="A walk")
        video("walks", title="Walks", description="By the big lake")
        video("hill", title="Hill")
        video("cafe", title="Café", description="Smørrebrød, Straße, 東京")
        video("who", title="The Who")
        video("signs", title="<script>cheese</script>", description="sea/beach/sand, my_www.host.org <b x='1'>")
        assert set(slugs(query)) == expected

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "  ",
            "-",
            "-walk",
            '"',
            '"walk',
            "or",
            "or or",
            "&|!()<->:*'\\",
            "a:b:c",
            "*",
            "%",
            "%s",
            "'; DROP",
            "\ud7ff",
            "x" * 10_000,
            "walk " * 2_000,
            "or " * 5_000,
            '"' * 9_999,
            "-a " * 3_000,
            "🎬",
            "-walk or -lake",
            "the",
            "<b>",
        ],
    )
    def test_no_query_fails(self, query):
        video("walk", title="A walk", said=["Walk on"])
        assert find(query, limit=10).total <= 1

    def test_what_is_too_long_is_cut(self):
        video("walk", title="A walk")
        assert slugs(("walk " * MAX_CHARACTERS) + "lake") == ["walk"]

    def test_what_is_said_is_found_with_its_first_moment(self):
        video("talk", said=["Nothing yet", "Now the Glacier melts", "the glacier again"])
        (hit,) = find("glacier", limit=10).hits
        assert (hit.moment.seconds, hit.moment.text) == (5, "Now the <mark>Glacier</mark> melts")

    def test_a_title_that_is_found_tells_the_moment_too(self):
        video("glacier", title="Glacier", said=["Ice", "A glacier"])
        (hit,) = find("glacier", limit=10).hits
        assert (hit.title, hit.moment.seconds) == ("<mark>Glacier</mark>", 5)

    def test_an_unwanted_word_of_the_title_hides_what_is_said(self):
        video("lake", title="Lake", said=["A glacier"])
        video("hill", title="Hill", said=["A glacier"])
        assert slugs("glacier -lake") == ["hill"]

    def test_it_comes_in_pages_without_gaps(self):
        for number in range(7):
            video(f"walk-{number}")
        pages = [find("walk", limit=3, offset=offset) for offset in (0, 3, 6, 9)]
        assert [len(page.hits) for page in pages] == [3, 3, 1, 0]
        assert [page.total for page in pages] == [7, 7, 7, 0]
        assert len({hit.card.pk for page in pages for hit in page.hits}) == 7

    @pytest.mark.parametrize("more", [0, 1])
    def test_more_than_are_ranked_are_not_counted(self, more):
        Video.objects.bulk_create(
            Video(title="Walk", slug=f"walk-{n}", status="ready", published_at=timezone.now())
            for n in range(MAX_RESULTS + more)
        )
        found = find("walk", limit=10)
        assert (found.total, found.more) == (MAX_RESULTS, bool(more))
        assert find("walk", limit=10, offset=MAX_RESULTS).hits == []

    @pytest.mark.parametrize("rows", [1, 3])
    def test_it_needs_three_queries(self, rows, django_assert_num_queries):
        for number in range(rows):
            video(f"walk-{number}", category=CategoryFactory(), tags=["a"], said=["walk"])
        with django_assert_num_queries(3):
            assert [hit.card.category for hit in find("walk", limit=10).hits]


class TestTheIndex:
    """However the rows are written."""

    def test_follows_title_and_description(self):
        row = video("one", title="Lake")
        sql("UPDATE videos SET title = 'Glacier' WHERE id = %s", row.pk)
        assert (slugs("lake"), slugs("glacier")) == ([], ["one"])
        Video.objects.filter(pk=row.pk).update(description="Deep woods")
        assert slugs("woods") == ["one"]

    def test_follows_the_tags_given_and_taken(self):
        row, tag = video("one"), TagFactory(name="Woods")
        row.tags.add(tag)
        assert slugs("woods") == ["one"]
        sql("UPDATE video_tags SET tag_id = %s WHERE video_id = %s", TagFactory(name="Lake").pk, row.pk)
        assert (slugs("woods"), slugs("lake")) == ([], ["one"])
        row.tags.clear()
        assert slugs("lake") == []

    def test_follows_a_tag_that_is_renamed_or_deleted(self):
        for slug in ("one", "two"):
            video(slug, tags=["Woods"])
        sql("UPDATE tags SET name = 'Forest'")
        assert (slugs("woods"), set(slugs("forest"))) == ([], {"one", "two"})
        Tag.objects.get().delete()
        assert slugs("forest") == []

    def test_follows_the_captions(self):
        row = video("one", said=["A glacier"])
        sql("UPDATE cues SET text = 'A lake'")
        assert (slugs("glacier"), slugs("lake")) == ([], ["one"])
        sql("DELETE FROM caption_tracks WHERE video_id = %s", row.pk)
        assert slugs("lake") == []

    def test_covers_every_published_track(self):
        row = video("one", said=["A glacier"])
        track = add_captions(row, (7, 9, "Un lac bleu"), language="fr")
        add_captions(row, (0, 1, "Ein Entwurf"), language="de", state="draft")
        (hit,) = find("bleu", limit=9).hits
        assert (hit.moment.seconds, hit.moment.track) == (7, track)
        assert (slugs("glacier"), slugs("entwurf")) == (["one"], [])

    def test_is_gone_with_its_video(self):
        row = video("one", tags=["Woods"])
        sql("DELETE FROM videos WHERE id = %s", row.pk)
        assert not SearchDocument.objects.exists()

    def test_is_not_written_when_nothing_of_it_changes(self):
        row = video("one")
        place = "SELECT ctid::TEXT FROM search_documents WHERE video_id = %s"
        with connection.cursor() as cursor:
            before = cursor.execute(place, [row.pk]).fetchone()
            Video.objects.filter(pk=row.pk).update(view_count=7, title=row.title)
            assert cursor.execute(place, [row.pk]).fetchone() == before

    @pytest.mark.parametrize("alphabet", ["abcdefghij", "".join(map(chr, range(0x10400, 0x10450))), "\ufdfa"])
    def test_no_text_is_too_long_for_it(self, alphabet):
        drawn = random.Random(1)  # noqa: S311 - the same at each run
        words = ("".join(drawn.choices(alphabet, k=drawn.randint(1, 9))) for _ in range(400_000))
        text = " ".join(words)
        row = video("long", description=text, said=[text, "x" * 3_000_000])
        assert SearchDocument.objects.filter(video=row).exists()

    def test_a_text_with_a_nul_is_the_databases_to_refuse(self):
        with pytest.raises((ValueError, DataError)), transaction.atomic():
            add_captions(video("one"), (0, 1, "a\0b"))


@pytest.mark.django_db(transaction=True)
class TestTwoWriters:
    def concurrently(self, first, second):
        """Run `second` in another connection while `first` is done but not committed."""
        errors = []

        def work():
            try:
                second()
            except Exception as error:  # noqa: BLE001 - the test raises it in its own thread
                errors.append(error)
            finally:
                connections.close_all()

        other = threading.Thread(target=work)
        with transaction.atomic():
            first()
            other.start()
            other.join(0.3)  # it waits for this transaction, or is through
        other.join(30)
        assert not other.is_alive()
        assert errors == []

    def test_a_new_title_and_a_new_tag_are_both_found(self):
        row, tag = video("one"), TagFactory(name="Woods")
        self.concurrently(
            lambda: Video.objects.filter(pk=row.pk).update(title="Glacier"),
            lambda: VideoTag.objects.create(video=row, tag=tag),
        )
        assert slugs("glacier woods") == ["one"]

    def test_a_tag_that_is_given_while_it_gets_another_name_is_found_by_that(self):
        row, tag = video("one"), TagFactory(name="Woods")
        give = lambda: VideoTag.objects.create(video=row, tag=tag)  # noqa: E731
        rename = lambda: Tag.objects.filter(pk=tag.pk).update(name="Forest")  # noqa: E731
        self.concurrently(give, rename)
        assert slugs("forest") == ["one"]
        VideoTag.objects.all().delete()
        Tag.objects.update(name="Woods")
        self.concurrently(rename, give)
        assert slugs("forest") == ["one"]


class TestHighlighting:
    @pytest.mark.parametrize(
        ("text", "lexemes", "expected"),
        [
            ("A walk", {"walk"}, "A <mark>walk</mark>"),
            ("Walking, walks!", {"walk"}, "<mark>Walking</mark>, <mark>walks</mark>!"),
            ("a sidewalk", {"walk"}, "a sidewalk"),
            ("Happy", {"happi"}, "<mark>Happy</mark>"),
            ("Café", {"cafe"}, "<mark>Café</mark>"),
            ("<script>walk</script>", {"walk"}, "&lt;script&gt;<mark>walk</mark>&lt;/script&gt;"),
            ("<script>", {"script"}, "&lt;<mark>script</mark>&gt;"),
            ("&amp; <mark>", {"mark", "amp"}, "&amp;<mark>amp</mark>; &lt;<mark>mark</mark>&gt;"),
            ("\"'", {"walk"}, "&quot;&#x27;"),
            ("", {"walk"}, ""),
        ],
    )
    def test_marks_words_and_escapes_everything(self, text, lexemes, expected):
        assert highlighted(text, frozenset(lexemes)) == expected

    @pytest.mark.parametrize("lexemes", [{"walk"}, {"happi", "a"}, {"berri"}, {"o'neil"}, {"a+b"}, {"zz", "i"}])
    def test_ascii_is_marked_as_all_other_texts(self, lexemes):
        text = (
            "Walk walks walking sidewalk walk2 walk_walk Happy happily BERRY berries berry's zzabcdef y O'Neil a+b i-y "
        )
        lexemes = frozenset(lexemes)
        assert highlighted(f"{text}•", lexemes) == f"{highlighted(text, lexemes)}•"

    def test_an_excerpt_shows_the_word(self):
        text = f"{'before ' * 200}glacier {'after ' * 200}"
        part = excerpt(text, frozenset({"glacier"}))
        assert "glacier" in part
        assert part.startswith("… before")
        assert part.endswith(" …")
        assert len(part) < 300
        assert excerpt("short\n text", frozenset({"nothing"})) == "short text"


class TestLanguages:
    """Captions are found by the stems of their language."""

    @pytest.mark.parametrize(
        ("language", "said", "query"),
        [
            ("fr", "Il marchait vers les montagnes", "marcher montagne"),
            ("de", "Die Gletscher schmelzen", "Gletschern"),
            ("pt-BR", "As crianças corriam", "corre criança"),
            ("nb", "Fjellene var snødekte", "fjell"),
            ("ja", "glaciers", "glaciers"),
            ("und", "walking", "walks"),
        ],
    )
    def test_each_by_its_own_stems(self, language, said, query):
        row = video("hike")
        add_captions(row, (3, 4, said), language=language)
        video("other", said=["Something else"])
        (hit,) = find(query, limit=5).hits
        assert (hit.card.slug, hit.moment.seconds) == ("hike", 3)
        assert "<mark>" in hit.moment.text

    def test_the_stems_of_another_language_find_nothing(self):
        add_captions(video("hike"), (3, 4, "Il marchait"), language="ja")
        assert slugs("marcher") == []

    def test_a_track_whose_language_is_corrected_is_found_by_the_new_stems(self):
        track = add_captions(video("hike"), (3, 4, "Il marchait"), language="en")
        assert slugs("marcher") == []
        track.describe(language="fr-CA")
        assert slugs("marcher") == ["hike"]

    def test_a_query_finds_all_languages_at_once(self):
        add_captions(video("french"), (1, 2, "Les nations"), language="fr")
        add_captions(video("english"), (1, 2, "The nation"), language="en")
        assert sorted(slugs("nations")) == ["english", "french"]
