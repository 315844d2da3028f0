"""The input of a plan: the ledger's items, the files on disk, the names of a source."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.records import Product
from saco_data.sources import Source
from saco_data.storage import inventory, picture_folders
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.folders import list_files
from saco_data.storage.names import safe_join


def unless_gone(item: Item) -> bool:
    """Whether to look again at an item: yes if it failed or is blocked, no if it is gone."""
    return item.state is not State.GONE


@dataclass(frozen=True)
class View:
    """The input of a plan.

    `items`: the ledger's products by `file_name`. `sizes`: bytes of the product files on disk, or
    published in a bucket, by `file_name`. `key_of`: the key of a product's asset. `check_name`:
    raises UnsafeName.
    `raw_at_hand`: whether the raw file of an asset is on this machine. `location`: the location
    whose verdict "gone" counts. `frames`: whether products are frames of videos. `look_again`:
    whether an item that is not done is due for another look. `renew`: finished assets to fetch
    again, because the source has another version. `other`: products that were made for another
    frame or size than the annotations give for their names now. `left`: what killed runs left among
    the products; None where that was not looked for.
    """

    items: Mapping[str, Item]
    sizes: dict[str, int]
    key_of: Callable[[Product], str]
    check_name: Callable[[Product], object]
    raw_at_hand: Callable[[str], bool]
    location: str = ""
    frames: bool = False
    look_again: Callable[[Item], bool] = unless_gone
    renew: Container[str] = ()
    other: Container[str] = ()
    left: list[Path] | None = None


def gather_view(
    source: Source,
    items: Mapping[str, Item],
    look_again: Callable[[Item], bool] = unless_gone,
    renew: Container[str] = (),
    other: Container[str] = (),
) -> View:
    """The input of the plan of a source's subset. Raises OutputError for unreadable folders."""
    images = source.config.images
    listed, left = _list_products(source)

    def check_name(product: Product) -> None:
        safe_join(images, product.file_name)
        source.raw_path(source.key_of(product))

    return View(
        items=items,
        sizes={**_published_sizes(source), **listed},
        key_of=source.key_of,
        check_name=check_name,
        raw_at_hand=lambda key: source.is_local() or source.raw_path(key).is_file(),
        location=source.location_without_secrets(),
        frames=source.manifest.frames,
        look_again=look_again,
        renew=renew,
        other=other,
        left=left,
    )


def _published_sizes(source: Source) -> dict[str, int]:
    """Bytes of the products that are published in a bucket, by `file_name`."""
    config = source.config
    found = inventory.read_copy(config.published, config.id) if config.bucket else None
    entries = found.entries if found else {}
    return {name: stamp.size for name, each in entries.items() if (stamp := each.stamp)}


def _list_products(source: Source) -> tuple[dict[str, int], list[Path] | None]:
    """The bytes of the product files on disk by name, and `View.left`.

    A folder of frames counts as one file.
    """
    images, own = source.config.images, source.manifest.every_fourth
    if own is None:
        left: list[Path] = []
        watched = source.config.watched
        found = list_files(watched, left=left)
        if watched != images:
            found = {f"{watched.name}/{name}": size for name, size in found.items()}
        return found, left
    found = list_files(images, without=own.folder)
    with explain_errors(images):
        folders = picture_folders.sizes(images / own.folder)
    return found | {f"{own.folder}/{name}": size for name, size in folders.items()}, None
