"""Opens pictures of a prepared copy for people and models to look at."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from saco_data.config.regular import require_regular
from saco_data.storage.names import UnsafeName, safe_join


class NoPicture(ValueError):
    """A picture file that cannot be opened; says why."""


def open_picture(
    root: Path, name: str, size: tuple[int, int], longest: int | None = None
) -> Image.Image:
    """The picture `name` below `root`, RGB; with `longest`, scaled down to so many pixels.

    `size` is the annotated (width, height): a file that only fits it once its EXIF orientation is
    applied is turned. Raises NoPicture.
    """
    try:
        path = safe_join(root, name)
        require_regular(path)
        with Image.open(path) as image:
            fits = image.size == size
            if longest:
                image.draft("RGB", (longest, longest))
            upright = image if fits else ImageOps.exif_transpose(image)
            picture = upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, UnsafeName, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "is no picture that can be opened"
        raise NoPicture(reason) from error
    if longest:
        picture.thumbnail((longest, longest))
    return picture
