"""Puts pruned annotations where the official scripts put them."""

from __future__ import annotations

from saco_data.config.settings import Settings
from saco_data.model.errors import AnnotationError
from saco_data.storage import files


def prune_in_place(settings: Settings, subset: str) -> None:
    """Replaces the annotation file under its official name by the pruned one.

    The pristine file stays as `<name>_original.json`. Once no file is missing any more, the
    official name has its bytes again. Raises AnnotationError if the file under the official name
    is neither of the two.
    """
    derived, official = settings.subset(subset).derived, settings.subset(subset).downloaded
    original = official.with_name(f"{official.stem}_original.json")
    note = official.with_name(f".{official.stem}.derived_sha256")
    if not derived.exists():
        return
    known: list[str] = []
    if original.exists():
        known += note.read_text().split() if note.exists() else []
        present = files.sha256_of(official) if known and official.exists() else None
        if present is not None and present not in (files.sha256_of(original), *known):
            raise AnnotationError(
                f"is neither {original.name} nor what was derived from it",
                item=str(official),
                remedy=f"If it is a new download, remove {original.name}; else remove this file",
            )
    elif official.exists() and files.sha256_of(derived) != files.sha256_of(official):
        # A second name for the same file: the pristine file exists at every moment.
        files.link_or_copy(official, original)
    else:
        return
    now = files.sha256_of(derived)
    # Both digests first: either file may be there after a kill.
    files.write_if_changed(note, "\n".join([*known, now]).encode())
    files.copy_if_changed(derived, official)
    files.write_if_changed(note, now.encode())
