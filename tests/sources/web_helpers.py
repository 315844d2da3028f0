"""The three open sources of the web in a test: asked alone, without the rest of the road."""

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
    """A UUID that can be told from others."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def ask(settings: Settings, name: str) -> dict[str, Arrival | Outcome]:
    """What a source has for each of its assets."""
    source = sources.get(name, settings)
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
    """OK for what arrived, else why not."""
    return {k: Reason.OK if isinstance(v, Arrival) else v.reason for k, v in found.items()}


@contextmanager
def production(server: FileServer, *hosts: str) -> Iterator[ConnectProxy]:
    """A proxy that lets a server answer for these hosts, and for no other."""
    with ConnectProxy(dict.fromkeys(hosts, forward(server.url))) as proxy:
        yield proxy
        assert {request.host for request in proxy.requests} == set(hosts)
        assert proxy.unknown == []
