import json

import pytest

from crm.automation.importing import whole
from leads.models import Import
from leads.services import importing
from routing.models import Rule
from tests.factories import SourceFactory, UserFactory


@pytest.fixture
def source(funnels):
    return SourceFactory(key="list-a", name="Exhibition", adapter="list")


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def sales(team):
    """Somebody to whom leads go."""
    Rule.objects.create(name="All", strategy=Rule.Strategy.EVENLY, position=1)
    return UserFactory(username="anna", team=team)


@pytest.fixture
def bring(tmp_path, source):
    """``bring(bytes or text, mapping)`` → the finished Import, carried out in this process."""

    def run(content, mapping, *, name="list.csv", encoding="utf-8", at=source, by=None):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        with path.open("rb") as stream:
            opened = importing.opened(stream, mapping, at)
            job = Import.objects.create(source=at, file_name=name, mapping=mapping, by=by)
            return whole(job, opened)

    return run


@pytest.fixture
def counts():
    def of(job):
        return (job.rows, job.created, job.updated, job.skipped, job.failed)

    return of


@pytest.fixture
def mapping_file(tmp_path):
    def write(stated):
        path = tmp_path / "map.json"
        path.write_text(json.dumps(stated, ensure_ascii=False), "utf-8")
        return path

    return write
