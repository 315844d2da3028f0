"""Mutated archives, on disk and on a server, by each way of packing."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from saco_data.config.settings import FILE_NAME, load
from saco_data.sandbox.packing import pack_tar, pack_tar_gz
from tests.campaigns.bench import Bench, Command, Kind, gone
from tests.helpers.annotations import annotate
from tests.helpers.folders import config
from tests.helpers.mutations import mutate_bytes
from tests.helpers.pictures import noise_jpeg
from tests.helpers.tiny_subset import NAMES, SUBSET, pairs

METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}
FORMATS = (*METHODS, "tar", "tar.gz")


def pack(kind: str, members: dict[str, bytes]) -> bytes:
    """An archive of files by name."""
    if kind not in METHODS:
        return pack_tar_gz(members) if kind == "tar.gz" else pack_tar(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", METHODS[kind]) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, METHODS[kind])
    return buffer.getvalue()


def sound_names(kind: str, content: bytes, *, directory_only: bool) -> set[str] | None:
    """The base names in an archive that Python's own modules read to its end; None if they fail.

    `directory_only`: of a zip on a server only the directory is read.
    """
    try:
        if kind in METHODS:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if not directory_only and archive.testzip() is not None:
                    return None
                names = archive.namelist()
        else:
            plain = gzip.decompress(content) if kind == "tar.gz" else content
            if not plain.endswith(bytes(1024)):  # the end mark
                return None
            with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
                names = [member.name for member in tar if member.isfile()]
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile):
        return None
    except Exception:  # lzma, struct, unicode: whatever it is, this archive is damaged
        return None
    return {PurePosixPath(name).name for name in names}


class Archives(Kind):
    """The archive of five pictures."""

    name, share = "archives", 1500

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.pictures = {name: noise_jpeg(16, 12) for name in NAMES}
        members = {f"bdd100k/images/100k/train/{n}": c for n, c in self.pictures.items()}
        self.whole = {kind: pack(kind, members) for kind in FORMATS}

    def make(self, folder: Path, dice: random.Random) -> Sequence[Command]:
        self.kind = dice.choice(FORMATS)
        self.content = mutate_bytes(dice, self.whole[self.kind])
        annotate(folder, SUBSET, pairs(NAMES))
        suffix = self.kind if self.kind.startswith("tar") else "zip"
        self.raw = f"b.{suffix}"
        (folder / self.raw).write_bytes(self.content)
        raw = self.raw
        self.is_remote = dice.random() < 0.3
        if self.is_remote:
            path = f"/{folder.name}/b.{suffix}"
            self.bench.server.files.clear()
            self.bench.server.files[path] = self.content
            raw = f"{self.bench.server.url}{path}"
        config(folder, bdd100k_raw=raw, silver_path="silver", jobs=1)
        others: list[Command] = [("plan", SUBSET), ("doctor",), ("sync", SUBSET)]
        return [("prepare", SUBSET), *([dice.choice(others)] if dice.random() < 0.3 else [])]

    def check(self, folder: Path, codes: Sequence[int]) -> None:
        assert (folder / self.raw).read_bytes() == self.content
        settings = load(folder / FILE_NAME)
        said = gone(settings, SUBSET)
        if said:
            names = sound_names(self.kind, self.content, directory_only=self.is_remote)
            assert names is not None, f"gone, by a damaged {self.kind}: {said}"
            assert not said & names
        for path in settings.subset(SUBSET).images.glob("*.jpg"):
            # A member may be changed so that no checksum tells.
            assert self.kind.startswith("tar") or path.read_bytes() == self.pictures[path.name]
