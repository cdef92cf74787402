"""The files of node_modules that the site serves."""

import re
import shutil
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from vlog.node_files import FILES, PREFIX, NodeFilesFinder

INSTALLED = NodeFilesFinder().root
SOURCE_MAP = re.compile(r"^//[#@] sourceMappingURL=(\S+)", re.MULTILINE)


@pytest.fixture
def modules(tmp_path):
    """A node_modules folder with every listed file and one that is not listed."""
    for name in (*FILES, "hls.js/package.json"):
        path = tmp_path / "node_modules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "node_modules"


@pytest.fixture(autouse=True)
def collected(settings, tmp_path):
    """A checkout without collected static files."""
    settings.STATIC_ROOT = tmp_path / "staticfiles"
    return settings.STATIC_ROOT / PREFIX


@pytest.fixture
def finder(modules):
    return NodeFilesFinder(root=modules)


def test_exactly_the_files_of_the_list_are_collected_below_their_prefix(finder):
    found = list(finder.list([]))
    assert [name for name, _ in found] == list(FILES)
    assert {storage.prefix for _, storage in found} == {PREFIX} == {"vendor"}
    assert {name: Path(storage.path(name)).read_text() for name, storage in found} == {name: name for name in FILES}


def test_patterns_to_ignore_are_heeded(finder):
    assert [name for name, _ in finder.list(["*.map"])] == [name for name in FILES if not name.endswith(".map")]


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_found_at_its_address(finder, modules, name):
    assert finder.find(f"vendor/{name}") == str(modules / name)
    assert finder.find(f"vendor/{name}", find_all=True) == [str(modules / name)]


@pytest.mark.parametrize(
    "path",
    [
        "vendor/hls.js/package.json",
        "vendor/../secret",
        "vendor/../node_modules/hls.js/dist/hls.min.js",
        "vendor/hls.js/../hls.js/dist/hls.min.js",
        "vendor//hls.js/dist/hls.min.js",
        "vendor/hls.js/dist",
        "vendor/",
        "vendor",
        "",
        "hls.js/dist/hls.min.js",
        "other/hls.js/dist/hls.min.js",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_found(finder, path):
    assert finder.find(path) == finder.find(path, find_all=True) == []


def test_a_complete_installation_needs_no_warning(finder):
    assert finder.check() == []


def test_what_is_missing_is_neither_listed_nor_found_and_the_check_says_what_to_do(finder, modules):
    gone = FILES[1]
    (modules / gone).unlink()
    assert [name for name, _ in finder.list([])] == [name for name in FILES if name != gone]
    assert not finder.find(f"vendor/{gone}")
    (warning,) = finder.check()
    assert (warning.id, warning.hint) == ("vlog.W001", "Run make setup.")
    assert f"1 of {len(FILES)} files are missing" in warning.msg
    assert gone in warning.msg
    assert not warning.is_serious()


def test_a_checkout_without_node_modules_lists_nothing_and_is_warned(tmp_path):
    finder = NodeFilesFinder(root=tmp_path / "node_modules")
    assert list(finder.list([])) == []
    assert not finder.find(f"vendor/{FILES[0]}")
    assert [warning.id for warning in finder.check()] == ["vlog.W001"]


def test_an_image_that_has_collected_them_needs_no_node_modules(tmp_path, modules, collected):
    shutil.copytree(modules, collected)
    assert NodeFilesFinder(root=tmp_path / "nowhere").check() == []
    (collected / FILES[0]).unlink()
    (warning,) = NodeFilesFinder(root=tmp_path / "nowhere").check()
    assert f"1 of {len(FILES)} files are missing" in warning.msg


def test_the_site_uses_this_finder():
    assert finders.find(f"vendor/{FILES[0]}") == str(INSTALLED / FILES[0])


@pytest.mark.parametrize("path", ["vendor/hls.js/package.json", "nothing.css"])
def test_the_site_finds_nothing_where_no_finder_does(path):
    assert not finders.find(path)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_whatever_a_script_refers_to_is_listed_too(name):
    """The manifest storage follows these references and fails if one is broken."""
    text = (INSTALLED / name).read_text()
    here = (INSTALLED / name).parent
    for other in SOURCE_MAP.findall(text):
        assert str((here / other).resolve().relative_to(INSTALLED.resolve())) in FILES


def test_the_scripts_that_name_a_map_are_those_for_which_one_is_listed():
    maps = {
        f"{name}.map" for name in FILES if name.endswith(".js") and SOURCE_MAP.search((INSTALLED / name).read_text())
    }
    assert maps == {name for name in FILES if name.endswith(".map")}
