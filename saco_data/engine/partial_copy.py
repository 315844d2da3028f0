"""`annotations_partial/`: what can be evaluated of a copy while pictures are missing.

The annotations for evaluation lack only what is gone, so an evaluator meets entries without a file
until the copy is complete. This folder has the same names with only the entries whose file is here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from saco_data.config.settings import Settings
from saco_data.dataset import pruned
from saco_data.dataset.index import Index
from saco_data.dataset.pruned import sidecar
from saco_data.engine.subset import Subset
from saco_data.model.items import SubsetFacts
from saco_data.model.reasons import State
from saco_data.state.ledger import Ledger
from saco_data.storage import files


def update(
    subset: Subset, index: Index, ledger: Ledger, facts: SubsetFacts, gone: Mapping[str, str]
) -> None:
    """Writes the partial annotations of a subset, or removes them where nothing else is missing.

    `gone`: what the annotations for evaluation lack, {file_name: reason}. Sets what `facts` say of
    it, and the counts of what can be used. Raises as `pruned.run`.
    """
    known = ledger.known(subset.id)
    missing = {
        name: known[name].reason.value if name in known else State.PENDING.value
        for name in index.products
        if name not in known or known[name].state is not State.DONE
    }
    number = len(index.products) - len(missing)
    if subset.manifest.is_listed:
        # No annotation file is derived from a listing.
        here = subset.coverage(index.products.keys() - missing.keys())
        _keep_counts(facts, here, index, number)
        return
    if missing.keys() <= gone.keys():
        if facts.partial_lacks:
            _remove(subset)
        _keep_counts(facts, (facts.image_nps_kept, facts.masks_kept), index, number)
        facts.partial_stamp, facts.partial_lacks = [], ""
        return
    lacks = pruned.keep_list_sha256([index.sha256, *(f"{k} {v}" for k, v in missing.items())])
    if facts.partial_lacks == lacks and facts.partial_stamp == subset.partial_stamp():
        _keep_counts(facts, facts.usable, index, number)
        return
    done = subset.derive(index, missing, pruned.partial(subset.config.derived))
    _keep_counts(facts, (done.image_nps, done.masks), index, number)
    facts.partial_stamp, facts.partial_lacks = subset.partial_stamp(), lacks


def _keep_counts(facts: SubsetFacts, usable: Iterable[int], index: Index, number: int) -> None:
    """Sets what can be used, and what it was counted of: an annotation file, so many pictures."""
    facts.usable, facts.usable_of = [*usable], [index.sha256, number]


def describe(subset: Subset, facts: SubsetFacts) -> str:
    """What a run says of an incomplete copy; "" where nothing is missing but what is gone."""
    if not facts.partial_lacks:
        return ""
    said = f"{facts.usable[0]} of {facts.image_nps} image-NPs: not comparable"
    if not facts.usable[0]:
        return said
    return f"{said}; {pruned.partial(subset.config.derived)} holds what can be evaluated now"


def complete_folders(settings: Settings, ledger: Ledger, subsets: Iterable[Subset]) -> None:
    """Lets an evaluator read all subsets of a collection from one folder.

    Where one subset has partial annotations, those of the complete ones are linked beside them;
    where none has, the folder is removed.
    """
    for collection in {each.manifest.collection for each in subsets}:
        members = [each for each in settings.registry.manifests if each.collection == collection]
        partial = [bool(ledger.facts(each.id).partial_lacks) for each in members]
        for manifest, is_partial in zip(members, partial, strict=True):
            config = settings.subset(manifest.id)
            if is_partial or manifest.is_listed:
                continue
            to = pruned.partial(config.derived)
            for source, path in ((config.derived, to), (sidecar(config.derived), sidecar(to))):
                if any(partial) and source.is_file():
                    files.link_or_copy(source, path)
                else:
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                        path.unlink()
        with contextlib.suppress(OSError):  # not empty, or not there
            pruned.partial(settings.subset(members[0].id).derived).parent.rmdir()


def _remove(subset: Subset) -> None:
    path = pruned.partial(subset.config.derived)
    path.unlink(missing_ok=True)
    sidecar(path).unlink(missing_ok=True)
