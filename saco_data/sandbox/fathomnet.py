"""FathomNet in small: the part of its API that finds images by UUID, and the images themselves."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from saco_data.sandbox.http_server import Answer, FileServer, Query


@dataclass
class FathomNet:
    """Images by uuid. `missing` ones have a record but no file.

    `max_records`: the most records that one answer holds. `batches`: whether one request may ask
    for several. `unreadable`: uuids whose record the client cannot read. `changes` replaces fields
    of records.
    """

    images: dict[str, bytes]
    suffix: str = ".jpg"
    missing: set[str] = field(default_factory=set)
    max_records: int | None = None
    batches: bool = True
    unreadable: set[str] = field(default_factory=set)
    changes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    base: str = ""  # URL of the folder of images

    def mount(self, server: FileServer, prefix: str = "/fathomnet") -> str:
        """Adds API and images to a server; returns the root of the API."""
        self.base = self.base or f"{server.url}{prefix}/static"
        api = f"{prefix}/api/images/"
        server.route(api, lambda query: self._api(query, query.path.removeprefix(api)))
        server.route(f"{prefix}/static/", self._image)
        return f"{server.url}{prefix}/api"

    def record(self, uuid: str) -> dict[str, Any]:
        """The record of an image as the API gives it."""
        content = self.images[uuid]
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
        return {
            "id": int(uuid[:6], 16),
            "uuid": uuid,
            "url": f"{self.base}/{uuid}{self.suffix}",
            "valid": True,
            "width": width,
            "height": height,
            "depthMeters": "deep" if uuid in self.unreadable else 812.5,
            "sha256": hashlib.sha256(content).hexdigest(),
            "contributorsEmail": "sandbox@example.org",
            "boundingBoxes": [],
            **self.changes.get(uuid, {}),
        }

    def _api(self, query: Query, what: str) -> Answer:
        if what == "count":
            return _json({"objectType": "Image", "count": len(self.images)})
        if query.method == "GET":
            found = what in self.images
            return _json(self.record(what)) if found else _json({"message": "Not found"}, 404)
        if what != "query/uuids" or query.method != "POST":
            return _json({"message": "No such endpoint"}, 404)
        if not self.batches:
            return _json({"message": "Internal server error"}, 500)
        uuids = [uuid for uuid in json.loads(query.body) if uuid in self.images]
        return _json([self.record(uuid) for uuid in uuids[: self.max_records]])

    def _image(self, query: Query) -> Answer | None:
        uuid = query.path.rpartition("/")[2].removesuffix(self.suffix)
        content = None if uuid in self.missing else self.images.get(uuid)
        return None if content is None else Answer(content)


def _json(content: Any, status: int = 200) -> Answer:
    headers = {"Content-Type": "application/json"}
    return Answer(json.dumps(content).encode(), status, headers)
