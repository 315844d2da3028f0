"""FathomNet: look-ups in batches, retries, stored records, and when an image counts as gone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.engine.sync import sync
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Outcome
from saco_data.sandbox.fathomnet import FathomNet
from saco_data.sandbox.http_server import Answer, Fault, Faults, FileServer, Query
from saco_data.storage.names import UnsafeName
from saco_data.transports.base import Failure, Policy
from saco_data.transports.services import retrying_adapter
from saco_data.transports.services.fathomnet import FathomNetApi
from tests.helpers.annotations import annotate, document, image
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, prepare, products
from tests.helpers.web import ask, production, reasons, uuid

BATCH = "/fathomnet/api/images/query/uuids"
API = "/fathomnet/api/"


def opened(folder: Path, server: FileServer, net: FathomNet, *more: int, **keys: Any) -> Settings:
    """The config for FathomNet on a server, with annotations of all its images and of `more`."""
    names = [*net.images, *map(uuid, more)]
    annotate(
        folder, "fathomnet", document(*(image(n, f"{each}.png") for n, each in enumerate(names)))
    )
    limits = {"fathomnet": {"requests_per_second": 0}}
    return config(folder, endpoints={"fathomnet_api": net.mount(server)}, limits=limits, **keys)


def count_requests(server: FileServer) -> int:
    """The number of requests to the API so far."""
    return sum(count for path, count in server.requests.items() if path.startswith(API))


def test_images_are_kept_unchanged_under_the_name_of_the_annotation(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(3)}, suffix=".JPG", missing={uuid(2)})
    settings = opened(tmp_path, server, net, 3)
    assert prepare(settings, "fathomnet") == 0
    assert products(settings, "fathomnet") == {f"{uuid(n)}.png": jpeg for n in range(2)}
    known = items(settings, "fathomnet")
    assert known[f"{uuid(2)}.png"].reason is Reason.HTTP_404
    assert known[f"{uuid(3)}.png"].reason is Reason.NOT_IN_CATALOGUE
    facts = known[f"{uuid(0)}.png"].facts
    assert facts.keys() == {"size", "verified", "etag", "last_modified", "contributor"}
    assert facts["size"] == [160, 120] and facts["verified"] == "sha256"
    assert known[f"{uuid(0)}.png"].origin == f"{server.url}/fathomnet/static/{uuid(0)}.JPG"
    before = server.requests.total()
    assert prepare(settings, "fathomnet") == 0
    assert server.requests.total() == before


def test_many_images_are_looked_up_in_one_request(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(230)})
    found = reasons(ask(opened(tmp_path, server, net), "fathomnet"))
    assert list(found.values()).count(Reason.OK) == 230
    assert server.requests[BATCH] < 23, "not one request for each image"


def test_the_gone_images_of_a_batch_are_looked_up_in_a_second_batch(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(70)})
    found = reasons(ask(opened(tmp_path, server, net, 900, 901), "fathomnet"))
    assert list(found.values()).count(Reason.NOT_IN_CATALOGUE) == 2
    assert 2 <= server.requests[BATCH] < 7, "not one request for each image"


def test_images_that_one_answer_omits_are_not_gone(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(9)}, max_records=8)
    assert set(reasons(ask(opened(tmp_path, server, net), "fathomnet")).values()) == {Reason.OK}


def test_a_slow_answer_has_a_deadline(
    server: FileServer, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying_adapter, "_ANSWER_SECONDS", 0.3)
    root = FathomNet({uuid(0): jpeg}, batches=False).mount(server)
    server.faults = Faults((Fault.DRIP,), probability=1, drip=20)
    with (
        FathomNetApi(root, Policy(attempts=1), threading.Event()) as api,
        pytest.raises(Failure) as caught,
    ):
        api.look_up([uuid(0)])
    assert caught.value.reason is Reason.TIMEOUT


def test_records_are_stored(tmp_path: Path, server: FileServer, jpeg: bytes) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(5)})
    settings = opened(tmp_path, server, net)
    ask(settings, "fathomnet")
    before = count_requests(server)
    for path in (tmp_path / "data/fathomnet/raw").iterdir():
        path.unlink()
    # As left by a run that was killed while writing.
    with (tmp_path / "data/fathomnet/records.jsonl").open("a") as file:
        file.write('{"uuid": "000')
    assert set(reasons(ask(settings, "fathomnet")).values()) == {Reason.OK}
    assert count_requests(server) == before


def test_an_outdated_stored_record_is_looked_up_again(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(2)}, missing={uuid(1)})
    settings = opened(tmp_path, server, net)
    assert reasons(ask(settings, "fathomnet"))[uuid(1)] is Reason.HTTP_404
    before = count_requests(server)
    net.missing.clear()
    net.suffix = ".jpeg"
    (tmp_path / f"data/fathomnet/raw/{uuid(0)}").unlink()
    assert set(reasons(ask(settings, "fathomnet")).values()) == {Reason.OK}
    assert count_requests(server) > before


def test_other_content_than_recorded_is_refused(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    changes: dict[str, dict[str, Any]] = {
        uuid(0): {"sha256": "0" * 64},
        uuid(1): {"sha256": None, "width": 320},
        uuid(2): {"sha256": None, "width": 120, "height": 160},
        uuid(3): {"url": None},
    }
    net = FathomNet({uuid(n): jpeg for n in range(4)}, changes=changes)
    found = reasons(ask(opened(tmp_path, server, net), "fathomnet"))
    assert found == {
        uuid(0): Reason.WRONG_DIGEST,
        uuid(1): Reason.WRONG_SIZE,
        uuid(2): Reason.OK,
        uuid(3): Reason.HTTP_ERROR,
    }
    assert [path.name for path in (tmp_path / "data/fathomnet/raw").iterdir()] == [uuid(2)]


@pytest.mark.parametrize(
    "options", [{"batches": False}, {"unreadable": {uuid(1)}}, {"max_records": 2}]
)
def test_a_failed_or_incomplete_answer_loses_no_image(
    tmp_path: Path, server: FileServer, jpeg: bytes, options: dict[str, Any]
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(6)}, **options)
    found = reasons(ask(opened(tmp_path, server, net, 99), "fathomnet"))
    assert found.pop(uuid(99)) is Reason.NOT_IN_CATALOGUE
    if "unreadable" in options:
        assert found.pop(uuid(1)) is Reason.EXTRACTOR_ERROR
    assert set(found.values()) == {Reason.OK} and len(found) >= 5


def test_many_absent_images_are_gone_only_after_a_second_batch(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    settings = opened(tmp_path, server, FathomNet({uuid(0): jpeg}), *range(1, 9))
    found = reasons(ask(settings, "fathomnet"))
    assert list(found.values()).count(Reason.NOT_IN_CATALOGUE) == 8
    assert server.requests[BATCH] > 1


def test_an_address_without_an_api_makes_nothing_gone(tmp_path: Path, server: FileServer) -> None:
    annotate(tmp_path, "fathomnet", document(image(0, f"{uuid(0)}.png")))
    settings = config(tmp_path, endpoints={"fathomnet_api": f"{server.url}/elsewhere"})
    with pytest.raises(Blocked, match="no FathomNet API answers here"):
        ask(settings, "fathomnet")


def test_a_password_in_the_address_of_the_api_is_not_shown(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    settings = opened(tmp_path, server, FathomNet({uuid(0): jpeg}), 1)
    with_password = server.url.replace("//", "//me:secret@")
    for root in (f"{with_password}/fathomnet/api", f"{with_password}/elsewhere"):
        notes = Notes()
        prepare(config(tmp_path, endpoints={"fathomnet_api": root}), "fathomnet", notes=notes)
        known = items(settings, "fathomnet").values()
        assert not [line for line in notes.lines if "secret" in line]
        assert not [
            item for item in known if "secret" in f"{item.origin} {item.detail} {item.facts}"
        ]


def test_a_failing_api_stops_the_source_and_nothing_is_gone(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    settings = opened(tmp_path, server, FathomNet({uuid(n): jpeg for n in range(9)}))

    def broken(query: Query) -> Answer:
        return Answer(b"<html>bad gateway</html>", 400)

    server.route("/fathomnet/api/images/", broken)
    server._routes = [each for each in server._routes if each[1] is broken]
    with pytest.raises(Failure, match="HTTP 400"):
        ask(settings, "fathomnet")
    assert count_requests(server) < 9, "the other images are not tried"


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.THROTTLED, Fault.HTML])
def test_the_api_is_asked_again_until_it_answers(
    tmp_path: Path, server: FileServer, jpeg: bytes, fault: Fault
) -> None:
    settings = opened(tmp_path, server, FathomNet({uuid(0): jpeg}))
    server.faults = Faults((fault,), probability=1, first=1)
    assert reasons(ask(settings, "fathomnet")) == {uuid(0): Reason.OK}
    assert server.requests[BATCH] > 1


def test_a_throttled_api_is_not_asked_again_and_finished_later(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    settings = opened(tmp_path, server, FathomNet({uuid(n): jpeg for n in range(3)}))
    server.faults = Faults((Fault.THROTTLED,), probability=1, retry_after=3600)
    assert prepare(settings, "fathomnet") == 4
    known = items(settings, "fathomnet").values()
    assert {(item.reason, item.attempts) for item in known} == {(Reason.THROTTLED, 0)}
    server.faults = None
    assert prepare(settings, "fathomnet") == 0


def test_an_image_with_a_new_version_is_fetched_again(
    tmp_path: Path, server: FileServer, jpeg: bytes
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(3)})
    settings = opened(tmp_path, server, net)
    prepare(settings, "fathomnet")
    net.images[uuid(1)] = jpeg + b"another version"
    synced = sync(settings, ["fathomnet"], Notes(), executor=InlineExecutor())
    assert synced.checked["fathomnet"].followed == [uuid(1)]
    assert products(settings, "fathomnet")[f"{uuid(1)}.png"] == net.images[uuid(1)]
    synced = sync(settings, ["fathomnet"], Notes(), executor=InlineExecutor())
    assert synced.checked["fathomnet"].followed == []


def test_a_name_without_a_uuid_is_refused(tmp_path: Path) -> None:
    annotate(tmp_path, "fathomnet", document(image(0, "fish.jpg")))
    with pytest.raises(UnsafeName, match="UUID"):
        ask(config(tmp_path), "fathomnet")


def test_the_client_asks_at_its_production_address(
    tmp_path: Path, server: FileServer, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = FathomNet({uuid(n): jpeg for n in range(2)}, base="https://database.fathomnet.org/static")
    net.mount(server, "")
    annotate(tmp_path, "fathomnet", document(*(image(n, f"{uuid(n)}.png") for n in range(3))))
    with production(server, "database.fathomnet.org") as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        found = ask(config(tmp_path), "fathomnet")
        agents = {request.headers["User-Agent"] for request in proxy.requests}
    gone = found.pop(uuid(2))
    assert isinstance(gone, Outcome) and gone.reason is Reason.NOT_IN_CATALOGUE
    assert all(isinstance(each, Arrival) for each in found.values()) and len(found) == 2
    assert len(agents) == 1 and "saco-data" in agents.pop()
    assert server.requests["/api/images/query/uuids"] >= 1
