"""What the editors' forms make of what was typed."""

from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict

from videos.forms import UploadForm, VideoForm
from videos.tests.factories import TagFactory, VideoFactory

pytestmark = pytest.mark.django_db


def upload_form(content=b"clip", **data):
    return UploadForm(data, {"file": [SimpleUploadedFile("clip.mp4", content)]})


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("", []),
        ("walks", ["walks"]),
        (" walks ,  tall   trees,,", ["walks", "tall trees"]),
        ("Walks, walks", ["Walks", "walks"]),
        (",,,", []),
        ("a\u2028b, c\td", ["a b", "c d"]),
        ("y" * 50, ["y" * 50]),
    ],
)
def test_tags_are_separated_by_commas(typed, names):
    form = upload_form(tag_names=typed)
    assert form.is_valid(), form.errors
    assert form.cleaned_data["tag_names"] == names


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ({"tag_names": "a, " + "y" * 51}, "tag_names", "A tag has at most 50 characters."),
        ({"tag_names": "a," * 501}, "tag_names", "at most 1000 characters"),
        ({"title": "x" * 256}, "title", "at most 255 characters"),
        ({"content": b""}, "file", "The submitted file is empty."),
    ],
)
def test_an_upload_is_refused_with_the_reason(data, field, message):
    errors = upload_form(**data).errors
    assert list(errors) == [field]
    assert message in errors[field][0]


@pytest.mark.parametrize(("typed", "title"), [("", ""), ("  A\twalk ", "A walk"), ("x" * 255, "x" * 255)])
def test_the_title_of_an_upload_is_one_line_or_left_to_the_file(typed, title):
    form = upload_form(title=typed)
    assert form.is_valid(), form.errors
    assert form.cleaned_data["title"] == title


def test_a_video_shows_its_tags_as_they_are_typed():
    video = VideoFactory()
    video.tags.add(TagFactory(name="Woods"), TagFactory(name="Lakes"))
    assert VideoForm(instance=video).initial["tag_names"] == "Lakes, Woods"
    assert "tag_names" not in UploadForm().initial


@pytest.mark.parametrize(
    ("typed", "errors"), [("A walk", None), ("", "This field is required."), ("\x01", "A video needs a title.")]
)
def test_a_video_needs_a_title(typed, errors):
    form = VideoForm(QueryDict(urlencode({"title": typed, "slug": "walk"})), instance=VideoFactory())
    assert form.errors.get("title") == (errors and [errors])
