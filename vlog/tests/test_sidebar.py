"""The entries of the desk's sidebar: who sees what, and where one is."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache

from videos.tests.factories import TranscodingJobFactory
from vlog import sidebar
from vlog.accounts.roles import Role, assign
from vlog.admin_site import initials

pytestmark = pytest.mark.django_db

EDITORS = {
    "": ["Start", "Videos", "Captions", "Statistics", "Archive"],
    "Organise": ["Playlists", "Categories", "Tags"],
    "Operate": ["Jobs", "Transcriptions", "Workers", "Storage"],
    "People": ["API tokens"],
}


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


def entries(client, path="/admin/"):
    """Return the names of the entries by group, and the name of the current one."""
    text = client.get(path).content.decode()
    nav = re.search(r'<nav id="nav-sidebar".*?</nav>', text, re.DOTALL)[0]
    parts = re.split(r"<h2>(.*?)</h2>", nav)
    names = {
        group: re.findall(r"</svg><span>(.*?)</span>", part.partition("</a>")[2] if not group else part)
        for group, part in zip(["", *parts[1::2]], parts[::2], strict=True)
    }
    current = re.findall(r'aria-current="page".*?<span>(.*?)</span>', nav)
    return names, current


def person(client, role=None):
    user = User.objects.create_user("ada", is_staff=True)
    if role:
        assign(user, role)
    client.force_login(user)
    return client


def test_editors_see_what_they_may_open(client):
    assert entries(person(client, Role.EDITOR)) == (EDITORS, ["Start"])


def test_administrators_also_see_webhooks_the_audit_log_and_accounts(client):
    names, _ = entries(person(client, Role.ADMINISTRATOR))
    more = ["Webhooks", "Deliveries", "Audit log"]
    assert names == EDITORS | {
        "Operate": EDITORS["Operate"] + more,
        "People": ["Users", "Groups", "API tokens"],
    }


def test_a_person_without_permissions_sees_the_start_page_and_their_own_tokens(client):
    assert entries(person(client))[0] == {"": ["Start"], "People": ["API tokens"]}


def test_a_stranger_sees_none(client):
    text = client.get("/admin/login/").content.decode()
    assert "nav-sidebar" not in text
    assert "tabbar" not in text


def test_the_entry_of_a_list_is_current_on_all_its_pages(admin_client):
    for path in ("/admin/videos/category/", "/admin/videos/category/add/"):
        assert entries(admin_client, path)[1] == ["Categories"]


def test_unfinished_jobs_are_counted(admin_client):
    TranscodingJobFactory()
    TranscodingJobFactory(video__status="ready")
    text = admin_client.get("/admin/").content.decode()
    assert '<span>Jobs</span> <span class="count">1<span class="visually-hidden"> open</span></span>' in text


def test_each_model_of_the_admin_has_a_place_and_no_place_is_without_a_model():
    placed = [label for places in sidebar.GROUPS.values() for label in places]
    assert sorted(placed) == sorted(model._meta.label_lower for model in admin.site._registry)


@pytest.mark.parametrize(
    ("first", "last", "shown"), [("Ann", "Keller", "AK"), ("", "", "A"), ("émile", "", "É"), ("", "Zola", "Z")]
)
def test_the_initials_of_a_person(first, last, shown):
    assert initials(User(username="ada", first_name=first, last_name=last)) == shown
