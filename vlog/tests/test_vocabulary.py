"""The check of vocabulary.txt, tried with each of its terms."""

import subprocess

import pytest

from vlog import vocabulary
from vlog.vocabulary import Vocabulary

VOCABULARY = Vocabulary()
TERMS = [*VOCABULARY.prose.items(), *VOCABULARY.identifiers.items()]


def found(path, text):
    return [(hit.line, hit.term) for hit in VOCABULARY.hits(path, text)]


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "untracked.py").write_text("# somebody\n")
    (tmp_path / "picture.png").write_bytes(b"\0 somebody")
    (tmp_path / "page.html").write_text("<p>A worker.\n<p>Wait for\nsomebody.\n")
    subprocess.run(["git", "add", "picture.png", "page.html"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(("term", "replacement"), TERMS)
def test_each_term_is_found_with_its_line_and_its_replacement(term, replacement):
    (hit,) = VOCABULARY.hits("videos/archive.py", f"first\n    x {term}, y\n")
    assert hit == ("videos/archive.py", 2, term, replacement)
    assert str(hit) == f"videos/archive.py:2: “{term}”: write {replacement}"


@pytest.mark.parametrize(("term", "replacement"), TERMS)
def test_each_term_has_a_replacement_that_is_no_term_itself(term, replacement):
    assert replacement
    assert found("videos/archive.py", replacement) == []


def test_prose_is_found_in_any_case_and_only_as_whole_words():
    assert found("a.md", "Whoever comes. Is Heard. SOMEBODY") == [(1, "is heard"), (1, "somebody"), (1, "whoever")]
    assert found("a.py", "whoevers test_nobody_may busybody_somebodys") == []


@pytest.mark.parametrize("gap", ["\n", "\n    # ", "\n// ", "\n * ", "\n-- ", "  "])
def test_phrases_are_found_across_the_lines_of_a_comment(gap):
    assert found("a.py", f"one\n# the first sign{gap}of life") == [(2, "sign of life")]


def test_of_two_phrases_the_longer_one_counts():
    assert found("a.md", "somebody else") == [(1, "somebody else")]


def test_identifiers_are_found_within_longer_names_and_only_in_their_own_case():
    assert found("a.py", "def test_draw_missing_twice(): ...") == [(1, "draw_missing")]
    assert found("a.py", "redraw_missing draw_missings DRAW_MISSING enough try again") == []


@pytest.mark.parametrize(
    "path", ["videos/migrations/0001_initial.py", "vlog/tests/data/old/tables.sql", "vocabulary.txt"]
)
def test_exempt_files_may_have_any_term(path):
    assert found(path, "Somebody calls draw_missing.") == []


def test_an_exemption_of_some_terms_exempts_no_other():
    path = "docs/glossary.md"
    assert "sign of life" in VOCABULARY.exempt[path]
    assert found(path, "sign of life, draw_missing") == [(1, "draw_missing")]


def test_what_a_release_said_stays_and_what_is_new_is_looked_at():
    text = "# Changelog\n\n## Unreleased\n- Somebody: *Try again* is *Retry job*.\n\n## 0.1.0\n- Nobody.\n"
    assert found("CHANGELOG.md", text) == [(4, "somebody")]


def test_the_command_reads_what_git_knows_and_fails_where_it_finds_a_term(repository, capsys):
    assert vocabulary.main(repository) == 1
    assert capsys.readouterr().out.startswith("page.html:3: “somebody”: write a viewer")
    (repository / "page.html").write_text("<p>Wait for a viewer.\n")
    assert vocabulary.main(repository) == 0
    assert capsys.readouterr().out == ""
