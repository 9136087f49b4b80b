"""An import that was killed goes on where it stopped; a journal that does not fit is refused, never guessed at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from minivec import ImportReport, errors
from minivec.client.client import AsyncRemoteCollection, RemoteCollection
from minivec.client.journal import Journal
from minivec.client.retry import Retry
from minivec.client.transport import AsyncSender, Sender
from minivec.types.object import Outcome, TokenNote
from tests.client.stand_in import StandIn

LOST = httpx.ReadError("reset")


def drafts(count: int) -> list[dict[str, Any]]:
    return [{"properties": {"n": n}} for n in range(count)]


def broken_off(objects: list[dict[str, Any]], at: int) -> Iterator[dict[str, Any]]:
    yield from objects[:at]
    raise KeyboardInterrupt


@pytest.fixture
def server() -> StandIn:
    return StandIn()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "import.journal"


@pytest.fixture
def notes(server: StandIn) -> Iterator[RemoteCollection]:
    sender = Sender("http://x", transport=server.transport(), retry=Retry(limit=2), sleep=lambda seconds: None)
    yield RemoteCollection("notes", sender)
    sender.close()


def begin(notes: RemoteCollection, path: Path, count: int = 10, at: int = 9, **more: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        notes.import_objects(broken_off(drafts(count), at), batch_size=4, resume_from=path, **more)


def test_an_import_that_was_broken_off_goes_on_without_repeating(notes, server, path):
    begin(notes, path)
    assert len(server.objects) == 8
    report = notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    assert report.counts == {"inserted": 10}
    assert [outcome.index for outcome in report.outcomes] == list(range(10))
    assert [len(body["objects"]) for body in server.imports] == [4, 4, 2]
    assert [server.objects[outcome.uuid]["n"] for outcome in report.outcomes] == list(range(10))


def test_batches_may_have_another_size_when_it_goes_on(notes, server, path):
    begin(notes, path)
    assert notes.import_objects(drafts(10), batch_size=100, resume_from=path).counts == {"inserted": 10}
    assert len(server.imports) == 3


def test_a_finished_import_sends_nothing_and_reports_the_same(notes, server, path):
    first = notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    again = notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    assert again.outcomes == first.outcomes
    assert len(server.imports) == 3


def test_more_objects_at_the_end_are_imported(notes, server, path):
    notes.import_objects(drafts(4), batch_size=4, resume_from=path)
    notes.import_objects(drafts(6), batch_size=4, resume_from=path)
    assert len(server.objects) == 6


def test_a_batch_that_was_sent_but_not_noted_is_not_stored_twice(notes, server, path):
    server.after.extend([None, LOST, LOST])
    with pytest.raises(errors.ImportFailed, match="The same call resumes"):
        notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    assert len(server.objects) == 8
    notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    assert len(server.objects) == 10


def test_inserts_under_given_uuids_in_the_batch_in_doubt_are_unknown(notes, server, path):
    objects = [{"properties": {}, "uuid": f"00000000-0000-0000-0000-{n:012}"} for n in range(6)]
    server.after.extend([None, LOST, LOST])
    with pytest.raises(errors.ImportFailed):
        notes.import_objects(objects, mode="insert", batch_size=2, resume_from=path)
    report = notes.import_objects(objects, mode="insert", batch_size=2, resume_from=path, raise_on_failure=False)
    assert [outcome.status for outcome in report.outcomes] == ["inserted"] * 2 + ["unknown"] * 2 + ["inserted"] * 2


def test_refusals_of_the_first_run_are_reported_again(notes, server, path):
    server.judge = lambda draft: {"code": "invalid_input", "reason": "No."} if draft["properties"]["n"] == 1 else None
    begin(notes, path)
    with pytest.raises(errors.ImportFailed, match="1 of 10"):
        notes.import_objects(drafts(10), batch_size=4, resume_from=path)


async def test_an_async_import_goes_on_with_the_journal_of_a_sync_one(notes, server, path):
    begin(notes, path)
    sender = AsyncSender("http://x", transport=server.transport())
    report = await AsyncRemoteCollection("notes", sender).import_objects(drafts(10), batch_size=4, resume_from=path)
    await sender.close()
    assert report.counts == {"inserted": 10}
    assert [len(body["objects"]) for body in server.imports] == [4, 4, 2]


@pytest.mark.parametrize("changed", [{"properties": {"n": 99}}, {"properties": {"n": 5}, "uuid": "x"}, "not an object"])
def test_objects_that_changed_since_are_noticed(notes, server, path, changed):
    begin(notes, path)
    objects = drafts(10)
    objects[5] = changed
    with pytest.raises(errors.MinivecError, match="4 to 7 are not those the journal has finished"):
        notes.import_objects(objects, batch_size=4, resume_from=path)
    assert len(server.imports) == 2


def test_fewer_objects_than_before_are_noticed(notes, path):
    begin(notes, path)
    with pytest.raises(errors.MinivecError, match="4 to 7 are not those"):
        notes.import_objects(drafts(7), batch_size=4, resume_from=path)


def test_a_collection_made_anew_since_is_noticed(notes, server, path):
    begin(notes, path)
    server.objects.clear()
    with pytest.raises(errors.InvalidInput, match="delete the journal") as raised:
        notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    assert raised.value.field == "resume_from"


@pytest.mark.parametrize("more", [{"mode": "merge"}, {"id_from": ["n"]}])
def test_the_journal_of_another_import_is_refused(notes, path, more):
    begin(notes, path)
    with pytest.raises(errors.InvalidInput, match="belongs to another import"):
        notes.import_objects(drafts(10), resume_from=path, **more)


def test_the_journal_of_another_collection_is_refused(notes, path):
    Journal.open(path, collection="others", mode="upsert", id_from=None).close()
    with pytest.raises(errors.InvalidInput, match="its collection is 'others', not 'notes'"):
        notes.import_objects(drafts(1), resume_from=path)


@pytest.mark.parametrize(
    "content", [b"precious notes\n", b"precious", b"{}\n", b"[]\n", b'{"journal":"x"}\n', b"\xff\n"]
)
def test_another_file_is_refused_and_left_as_it_is(notes, path, content):
    path.write_bytes(content)
    with pytest.raises(errors.InvalidInput, match="not the journal of an import"):
        notes.import_objects(drafts(1), resume_from=path)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_opened_is_refused_in_a_sentence(notes, tmp_path):
    with pytest.raises(errors.InvalidInput, match="cannot be opened"):
        notes.import_objects([], resume_from=tmp_path / "missing" / "journal")


def test_every_cut_of_the_journal_resumes_to_the_same_end(notes, server, path):
    notes.import_objects(drafts(6), batch_size=2, resume_from=path)
    whole = path.read_bytes()
    expected = dict(server.objects)
    head = whole.index(b"\n") + 1
    for size in [0, head, *range(head + 1, len(whole), 37)]:
        path.write_bytes(whole[:size])
        if size == 0:
            server.objects.clear()
        notes.import_objects(drafts(6), batch_size=2, resume_from=path)
        if size == 0:
            server.objects = dict(expected)
        assert server.objects == expected


def test_a_damaged_line_is_refused_with_its_number(notes, path):
    begin(notes, path)
    lines = path.read_bytes().splitlines(keepends=True)
    for bad in (b"{\n", b'{"objects":4}\n', b'{"objects":9,"digest":"","outcomes":[]}\n', b"null\n"):
        path.write_bytes(lines[0] + bad + lines[2])
        with pytest.raises(errors.InvalidInput, match="damaged in line 2"):
            notes.import_objects(drafts(10), resume_from=path)


def test_outcomes_are_kept_whole_and_short(path):
    plain = Outcome(index=0, status="inserted", uuid="u")
    full = Outcome(
        index=1,
        status="refused",
        code="c",
        reason="r",
        hint="h",
        field="f",
        tokens=(TokenNote(space="s", tokens=9, cut=1),),
    )
    journal = Journal.open(path, collection="notes", mode="upsert", id_from=["a"])
    journal.record("digest", [plain, full])
    journal.close()
    again = Journal.open(path, collection="notes", mode="upsert", id_from=["a"])
    again.close()
    assert again.run == journal.run
    assert again.finished[0].outcomes == (plain, full)
    assert json.loads(path.read_bytes().splitlines()[1])["outcomes"][0] == {
        "index": 0,
        "status": "inserted",
        "uuid": "u",
    }


def test_a_process_that_was_killed_leaves_a_journal_that_resumes(notes, server, path):
    child = textwrap.dedent(
        """
        import os, sys
        from tests.client.stand_in import StandIn
        from minivec.client.client import RemoteCollection
        from minivec.client.transport import Sender

        def drafts():
            for n in range(10):
                if n == 9:
                    os._exit(7)
                yield {"properties": {"n": n}}

        sender = Sender("http://x", transport=StandIn().transport())
        RemoteCollection("notes", sender).import_objects(drafts(), batch_size=4, resume_from=sys.argv[1])
        """
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", child, str(path)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert ended.returncode == 7
    finished = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
    for outcome in (outcome for batch in finished for outcome in batch["outcomes"]):
        server.objects[outcome["uuid"]] = {"n": outcome["index"]}
    report: ImportReport = notes.import_objects(drafts(10), batch_size=4, resume_from=path)
    assert report.counts == {"inserted": 10}
    assert [len(body["objects"]) for body in server.imports] == [2]
