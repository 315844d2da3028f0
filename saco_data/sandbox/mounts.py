"""Where each subset of the miniature Silver is to be had: on disk, or at a server on loopback.

A stand puts the raw media in place and says which config keys lead there. Between them the stands
cover every form that the config accepts.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from saco_data.sandbox.fathomnet import FathomNet
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.miniature import Subset, tarred, zipped
from saco_data.sandbox.nga import Gallery, Picture
from saco_data.storage import files


@dataclass
class Ground:
    """What stands are built on: a folder, a running server, and the config keys so far."""

    folder: Path
    server: FileServer
    # More servers, closed together with it.
    others: ExitStack
    keys: dict[str, Any] = field(default_factory=dict)
    # Variables by which official clients find the other servers.
    environment: dict[str, str] = field(default_factory=dict)
    # The servers of those stands that have one of their own, by subset: faults are set there.
    servers: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, content: bytes) -> str:
        """Lays a file into the folder; returns its path."""
        files.write_if_changed(self.folder / name, content)
        return str(self.folder / name)

    def serve(self, name: str, content: bytes) -> str:
        """Lays a file on the server; returns its URL."""
        self.server.files[f"/{name}"] = content
        return f"{self.server.url}/{name}"

    def endpoint(self, name: str, url: str) -> None:
        """Sends a manifest's endpoint elsewhere."""
        self.keys.setdefault("endpoints", {})[name] = url

    def hurry(self, name: str) -> None:
        """Lifts the polite rate of a subset: this server is our own."""
        limits = {"requests_per_second": 0, "sleep_seconds": [0, 0]}
        self.keys.setdefault("limits", {})[name] = limits


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


def _nga(subset: Subset, ground: Ground) -> None:
    # One picture is published smaller than it is, one is larger than it was annotated.
    limits = {0: 640, 1: 160}
    gallery = Gallery()
    for number, (name, content) in enumerate(subset.raw.items()):
        large = number in (1, 2)
        picture = Picture(enlarged(content) if large else content, limits.get(number))
        gallery.pictures[name.removesuffix(".jpg")] = picture
    for name in subset.missing:
        gone = Picture(next(iter(subset.raw.values())), there=False)
        gallery.pictures[name.removesuffix(".jpg")] = gone
    catalogue, iiif = gallery.mount(ground.server)
    ground.endpoint("nga_catalogue", catalogue)
    ground.endpoint("nga_iiif", iiif)
    ground.hurry("nga")


def _inaturalist(subset: Subset, ground: Ground) -> None:
    others = {f"train_val_images/Plantae/Quercus alba/{n:032x}.jpg": b"-" * 2000 for n in range(8)}
    content = gzip.compress(tarred(others | subset.raw), mtime=0)
    archive = ground.serve("inat/train_val_images.tar.gz", content)
    mapping = {name: raw.removeprefix("train_val_images/") for name, raw in subset.raw_name.items()}
    text = json.dumps(mapping).encode()
    ground.endpoint("inaturalist_archive", archive)
    ground.endpoint("inaturalist_mapping", ground.serve("inat/mapping.json", text))


def _fathomnet(subset: Subset, ground: Ground) -> None:
    images = {name.removesuffix(".jpg"): content for name, content in subset.raw.items()}
    ground.endpoint("fathomnet_api", FathomNet(images).mount(ground.server))
    ground.hurry("fathomnet")


def _droid(subset: Subset, ground: Ground) -> None:
    from saco_data.sandbox.gcs import GcsServer

    root = "robotics/droid_raw/1.0.1"
    objects = {f"{root}/{name}": content for name, content in subset.raw.items()}
    server = ground.others.enter_context(GcsServer({"gresearch": objects}))
    ground.servers["droid"] = server
    ground.endpoint("droid_https", f"{server.public('gresearch')}/{root}")


def _sav(subset: Subset, ground: Ground) -> None:
    link = ground.serve("cdn/videos_fps_6.tar", tarred(subset.raw))
    rows = [("file_name", "cdn_link"), ("sav_val.tar", f"{ground.server.url}/cdn/sav_val.tar")]
    rows.append(("videos_fps_6.tar", f"{link}?Expires=1900000000&Signature=sandbox"))
    text = "".join("\t".join(row) + "\n" for row in rows)
    ground.keys["sav_links_file"] = ground.put("sav_links.txt", text.encode())


def _ego4d(subset: Subset, ground: Ground) -> None:
    from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server

    # The clips lie in another bucket than the manifest that names them, as at the consortium.
    clips = {f"public/v1/clips/{name}": content for name, content in subset.raw.items()}
    rows = [
        f"{name.removesuffix('.mp4')},s3://ego4d-university/public/v1/clips/{name}"
        for name in subset.raw_name
    ]
    manifest = "exported_clip_uid,canonical_s3_location\n" + "\n".join(rows) + "\n"
    buckets: dict[str, dict[str, bytes | Path]] = {
        "ego4d-consortium-sharing": {"public/v1/clips/manifest.csv": manifest.encode()},
        "ego4d-university": dict(clips),
    }
    server = ground.others.enter_context(S3Server(buckets))
    ground.servers["ego4d"] = server
    ground.environment |= server.environment
    ground.keys["aws_access_key_id"] = ACCESS_KEY
    ground.keys["aws_secret_access_key"] = SECRET_KEY


def _yt1b(subset: Subset, ground: Ground) -> None:
    from saco_data.sandbox.proxy import ConnectProxy
    from saco_data.sandbox.youtube import YouTube

    site = YouTube(
        {name: Path(ground.put(f"youtube/{name}.mp4", raw)) for name, raw in subset.raw.items()}
    )
    proxy = ground.others.enter_context(ConnectProxy(site.handlers()))
    ground.servers["yt1b"], ground.servers["proxy"] = site, proxy
    ground.environment |= proxy.environment
    ground.hurry("yt1b")


STANDS: dict[str, Callable[[Subset, Ground], None]] = {
    "geode": _geode,
    "bdd100k": _bdd100k,
    "food_rec": _food_rec,
    "nga": _nga,
    "inaturalist": _inaturalist,
    "fathomnet": _fathomnet,
    "droid": _droid,
    "sav": _sav,
    "ego4d": _ego4d,
    "yt1b": _yt1b,
}


def enlarged(content: bytes) -> bytes:
    """A picture at twice its size, as the original that it was made from."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        size = (2 * image.width, 2 * image.height)
        image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
