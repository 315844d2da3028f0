"""What a downloaded video is, as a later download is compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saco_data.media.decode import FrameError, open_video, sequential
from saco_data.media.frames import probe
from saco_data.storage.files import sha256_of


class NotVideoError(Exception):
    """A file that does not hold a video that can be decoded."""


def fingerprint(path: Path) -> dict[str, Any]:
    """Facts that tell one version of a video from another: `media.frames.probe`, bytes, sha256.

    Raises NotVideoError if no frame can be decoded.
    """
    try:
        facts = probe(path)
        with open_video(path) as (container, stream):
            next(sequential(container, stream))
    except (FrameError, StopIteration) as error:
        raise NotVideoError(f"the file does not decode ({error or 'no frame'})") from error
    return {**facts, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
