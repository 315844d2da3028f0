"""The National Gallery of Art in small: a catalogue of published images and a IIIF image server."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field

from PIL import Image

from saco_data.sandbox.encoding import shrink_jpeg
from saco_data.sandbox.http_server import Answer, FileServer, Query

CAP = 4096  # pixels a side: the most that the gallery's server sends
_SIZE = re.compile(r"!(\d+),(\d+)")
_HEADER = (
    "uuid",
    "iiifurl",
    "iiifthumburl",
    "viewtype",
    "sequence",
    "width",
    "height",
    "maxpixels",
    "openaccess",
    "created",
    "modified",
    "depictstmsobjectid",
    "assistivetext",
)


@dataclass(frozen=True)
class Picture:
    """A JPEG as the gallery has it. `maxpixels`: the longest side published; None: full size.

    `listed`: whether the catalogue names it; `available`: whether the image server has it.
    """

    content: bytes
    maxpixels: int | None = None
    listed: bool = True
    available: bool = True

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        with Image.open(io.BytesIO(self.content)) as image:
            return image.size


@dataclass
class Gallery:
    """Pictures by uuid. `ignores_size`: the server sends them larger than asked for."""

    pictures: dict[str, Picture] = field(default_factory=dict)
    ignores_size: bool = False

    def mount(self, server: FileServer, prefix: str = "/nga") -> tuple[str, str]:
        """Adds both to a server; returns the URLs of the catalogue and of the IIIF root."""
        path = f"{prefix}/published_images.csv"
        server.route(path, lambda query: Answer(self.catalogue()))
        self.mount_images(server, f"{prefix}/iiif")
        return f"{server.url}{path}", f"{server.url}{prefix}/iiif"

    def mount_images(self, server: FileServer, prefix: str) -> None:
        """Adds the image server below a path."""
        server.route(f"{prefix}/", lambda query: self._image(query, len(prefix) + 1))

    def catalogue(self) -> bytes:
        """The table of published images."""
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, _HEADER, restval="")
        table.writeheader()
        for uuid, picture in self.pictures.items():
            if picture.listed:
                width, height = picture.size
                limit = picture.maxpixels
                table.writerow(
                    {
                        "uuid": uuid,
                        "iiifurl": f"https://api.nga.gov/iiif/{uuid}",
                        "viewtype": "primary",
                        "sequence": "0.0",
                        "width": width,
                        "height": height,
                        "maxpixels": "" if limit is None else limit,
                        "openaccess": int(limit is None),
                        "assistivetext": 'A picture, "drawn" by a program',
                    }
                )
        return text.getvalue().encode()

    def _image(self, query: Query, skip: int) -> Answer | None:
        parts = query.path[skip:].split("/")
        picture = self.pictures.get(parts[0])
        if picture is None or not picture.available:
            return None
        if len(parts) != 5 or parts[1] != "full" or parts[3:] != ["0", "default.jpg"]:
            return Answer(b"Invalid request", 400)
        side = CAP
        if not self.ignores_size:
            side = min(side, picture.maxpixels or side)
        if parts[2] != "full":
            match = _SIZE.fullmatch(parts[2])
            if match is None:
                return Answer(b"Invalid size", 400)
            if not self.ignores_size:
                side = min(side, int(match[1]), int(match[2]))
        return Answer(shrink_jpeg(picture.content, side))
