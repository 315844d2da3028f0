"""Asks one source for its assets, without the rest of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from saco_data import sources
from saco_data.config.settings import Settings
from saco_data.dataset.index import read
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.proxy import ConnectProxy, forward


def uuid(number: int) -> str:
    """A UUID by number."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def ask(settings: Settings, name: str) -> dict[str, Arrival | Outcome]:
    """What a source yields for each of its assets, by key."""
    source = sources.make(settings.subset(name))
    index = read(settings.subset(name).pristine, settings.subset(name).manifest)
    groups: dict[str, list[Product]] = {}
    for product in index.products.values():
        groups.setdefault(source.key_of(product), []).append(product)
    assets = [Asset(key, tuple(products)) for key, products in groups.items()]
    context = sources.Context()
    return {
        (each.asset.key if isinstance(each, Arrival) else each.key): each
        for each in source.fetch(assets, context)
    }


def reasons(found: dict[str, Arrival | Outcome]) -> dict[str, Reason]:
    """The reason of each asset: OK if it arrived."""
    return {k: Reason.OK if isinstance(v, Arrival) else v.reason for k, v in found.items()}


@contextmanager
def production(server: FileServer, *hosts: str) -> Iterator[ConnectProxy]:
    """A proxy through which a server answers for these hosts; exactly these must be asked."""
    with ConnectProxy(dict.fromkeys(hosts, forward(server.url))) as proxy:
        yield proxy
        assert {request.host for request in proxy.requests} == set(hosts)
        assert proxy.unknown == []
