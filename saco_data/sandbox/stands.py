"""Where each subset of the miniature Silver is to be had: on disk, or at a server on loopback.

A stand puts the raw media in place and says which config keys lead there. Between them the stands
cover every form that the config accepts.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saco_data import files
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.world import Subset, tarred, zipped


@dataclass
class Ground:
    """What stands are built on: a folder, a running server, and the config keys so far."""

    folder: Path
    server: FileServer
    keys: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, content: bytes) -> str:
        """Lays a file into the folder; returns its path."""
        files.write(self.folder / name, content)
        return str(self.folder / name)

    def serve(self, name: str, content: bytes) -> str:
        """Lays a file on the server; returns its URL."""
        self.server.files[f"/{name}"] = content
        return f"{self.server.url}/{name}"

    def endpoint(self, name: str, url: str) -> None:
        """Sends a manifest's endpoint elsewhere."""
        self.keys.setdefault("endpoints", {})[name] = url


def _geode(subset: Subset, ground: Ground) -> None:
    rows = [name.removeprefix("images/") for name in subset.raw]
    index = "file_path,object\n" + "".join(f"{row},bag\n" for row in rows)
    members = {"index.csv": index.encode(), **subset.raw}
    ground.keys["geode_raw"] = ground.put("geode.zip", zipped(members))


def _bdd100k(subset: Subset, ground: Ground) -> None:
    # An archive of the whole, as the login page offers it: it can say what does not exist.
    ground.keys["bdd100k_raw"] = ground.put("bdd100k_images_100k.tar", tarred(subset.raw))


def _food_rec(subset: Subset, ground: Ground) -> None:
    content = gzip.compress(tarred(subset.raw), mtime=0)
    ground.keys["food_rec_raw"] = ground.put("public_validation_set_2.0.tar.gz", content)


def _sav(subset: Subset, ground: Ground) -> None:
    link = ground.serve("cdn/videos_fps_6.tar", tarred(subset.raw))
    rows = [("file_name", "cdn_link"), ("sav_val.tar", f"{ground.server.url}/cdn/sav_val.tar")]
    rows.append(("videos_fps_6.tar", f"{link}?Expires=1900000000&Signature=sandbox"))
    text = "".join("\t".join(row) + "\n" for row in rows)
    ground.keys["sav_links_file"] = ground.put("sav_links.txt", text.encode())


STANDS: dict[str, Callable[[Subset, Ground], None]] = {
    "geode": _geode,
    "bdd100k": _bdd100k,
    "food_rec": _food_rec,
    "sav": _sav,
}
