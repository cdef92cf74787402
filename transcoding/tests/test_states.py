"""Every status is written by the methods of its model: the sources of all apps are searched for other writes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

APPS = ("vlog", "videos", "transcoding", "workers", "analytics")
MODELS = re.compile(r"(transcoding|videos)/models/|workers/models\.py")
ELSEWHERE = re.compile(r"(^|/)(tests|migrations)/|conftest\.py$")
STATES = ("status", "outcome", "deleted_at", "hold", "cancelled_by")
# What takes such a keyword argument without writing a row.
READING = {"filter", "exclude", "get", "Q", "When"}
ANSWERS = {"HttpResponse", "JsonResponse", "Response", "StreamingHttpResponse", "WhiteNoiseFileResponse", "render"}
FACTS = {"WorkerState"}
ENUMS = {"Status", "ChunkStatus", "QualityStatus", "VideoStatus", "TranscriptionStatus", "WorkerStatus", "Outcome"}
ENUMS |= {"Hold", "WorkerHold"}
SET = re.compile(rf"\bSET\b((?!\b(WHERE|FROM)\b).)*?\b({'|'.join(STATES)})\s*=", re.IGNORECASE | re.DOTALL)
INSERT = re.compile(rf"\bINSERT\s+INTO\s+\w+\s*\([^)]*\b({'|'.join(STATES)})\b", re.IGNORECASE)


def writes(source: str) -> Iterator[int]:
    """Yield the lines of a source in which a status is written."""
    for node in ast.walk(ast.parse(source)):
        if any(rule(node) for rule in (assigns, calls_with, names_field, holds_state, is_sql)):
            yield node.lineno


def assigns(node: ast.AST) -> bool:
    """chunk.status = …"""
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in STATES


def calls_with(node: ast.AST) -> bool:
    """rows.update(status=…), Video(status=…), dict(status=…), setattr(row, "status", …)"""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name == "setattr":
        return any(is_state(argument) for argument in node.args)
    return name not in READING | ANSWERS | FACTS and any(keyword.arg in STATES for keyword in node.keywords)


def names_field(node: ast.AST) -> bool:
    """row.save(update_fields=["status"]), rows.bulk_update(found, ["status"])"""
    if isinstance(node, ast.keyword) and node.arg == "update_fields":
        return any(map(is_state, ast.walk(node.value)))
    is_bulk = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "bulk_update"
    return is_bulk and any(map(is_state, ast.walk(node)))


def holds_state(node: ast.AST) -> bool:
    """{"status": ChunkStatus.PENDING}, columns["status"] = …, as they are handed to an update"""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        return is_state(node.slice)
    if not isinstance(node, ast.Dict):
        return False
    pairs = zip(node.keys, node.values, strict=True)
    return any(is_state(key) and (key.value == "deleted_at" or is_member(value)) for key, value in pairs)


def is_sql(node: ast.AST) -> bool:
    """UPDATE … SET status = …, INSERT INTO … (status) …"""
    if not isinstance(node, ast.Constant | ast.JoinedStr):
        return False
    values = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    text = "".join(value for value in values if isinstance(value, str))
    return bool(SET.search(text) or INSERT.search(text))


def is_state(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value in STATES


def is_member(node: ast.AST) -> bool:
    """ChunkStatus.PENDING, Video.Status.READY"""
    if not isinstance(node, ast.Attribute):
        return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier()
    return getattr(node.value, "attr", getattr(node.value, "id", "")) in ENUMS


def sources() -> Iterator[Path]:
    for app in APPS:
        for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
            if not ELSEWHERE.search(path.relative_to(settings.BASE_DIR).as_posix()):
                yield path


def test_no_status_is_written_outside_the_models():
    found = [
        f"{path.relative_to(settings.BASE_DIR)}:{line}"
        for path in sources()
        if not MODELS.match(path.relative_to(settings.BASE_DIR).as_posix())
        for line in writes(path.read_text())
    ]
    assert not found, f"a status is written outside of its model's methods: {', '.join(found)}"


def test_the_models_themselves_are_where_they_are_looked_for():
    models = [path for path in sources() if MODELS.match(path.relative_to(settings.BASE_DIR).as_posix())]
    assert {path.name for path in models if list(writes(path.read_text()))} == {
        *("attempt.py", "chunk.py", "claim.py", "job.py", "quality.py"),
        *("archive.py", "captions.py", "catalogue.py", "models.py", "moving.py"),
    }


@pytest.mark.parametrize(
    "source",
    [
        "rows.update(status=ChunkStatus.PENDING)",
        "Video.objects.create(title='a', status='ready')",
        "rows.get_or_create(pk=1, outcome='lost')",
        "QualityProgress(job=job, status=QualityStatus.SKIPPED)",
        "self._guarded(assignment, status=ChunkStatus.COMPLETED)",
        "Row.objects.update_or_create(pk=1, defaults={'status': Transcription.Status.PENDING})",
        "fresh = {'failures': 0, 'status': ChunkStatus.PENDING}\nrows.update(**fresh)",
        "rows.update(**dict(status='pending'))",
        "columns['status'] = state",
        "chunk.status = state",
        "row.status, row.completed_at = state, now",
        "video.deleted_at = None",
        "columns = {'deleted_at': timezone.now()}",
        "setattr(chunk, 'status', state)",
        "chunk.save(update_fields=['error', 'status'])",
        "rows.bulk_update(found, ['status'])",
        "worker.hold = None",
        "job.checkpoint(cancelled_by=by)",
        "cursor.execute('UPDATE transcoding_chunks SET attempt = 1, status = %s WHERE id = 1')",
        "cursor.execute(f'UPDATE {table} SET outcome = 1')",
        "SQL = '''\nINSERT INTO videos (title, status)\nVALUES (1, 2)'''",
    ],
)
def test_each_way_of_writing_is_found(source):
    assert list(writes(source))


@pytest.mark.parametrize(
    "source",
    [
        "rows.filter(status=ChunkStatus.PENDING).exclude(deleted_at=None)",
        "When(status='offline', then=1)",
        "if chunk.status == ChunkStatus.PENDING: pass",
        "return_value = HttpResponse(status=204)",
        "rows.values_list('status', 'outcome')",
        "answer = {'status': chunk.status}",
        "cursor.execute('UPDATE workers SET last_heartbeat = 1 WHERE status <> 2')",
        "cursor.execute('SELECT id FROM videos WHERE status = 1')",
    ],
)
def test_reading_is_no_finding(source):
    assert not list(writes(source))
