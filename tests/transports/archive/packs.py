"""The same files in each kind of archive, and members that no archive should have."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile

FILES = {
    f"root/{kind}/{number:03d}.jpg": random.Random(number).randbytes(500 + 997 * number)
    for kind in ("cat", "dog")
    for number in range(30)
}


def everything(name: str) -> bool:
    return True


def cats(name: str) -> bool:
    return "/cat/" in name


def tar_of(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        folder = tarfile.TarInfo("root")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.mkdir("root")
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info
