"""The content of one of many small JSON files of masks, as SA-V train and SA-1B have them."""

from __future__ import annotations

from pathlib import Path

from saco_data.model.errors import AnnotationError


def read_content(path: Path) -> bytes:
    """All bytes of a file. Raises AnnotationError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            f"cannot be read ({error.strerror})", item=str(path), remedy="Make it readable"
        ) from error
