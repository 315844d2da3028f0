"""Writes the generated blocks of docs and SLURM array from the manifests: `make docs`.

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is a key of `BLOCKS`.
"""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

import saco_data
from saco_data.catalog.manifest import DEFAULT_COLLECTION, Manifest
from saco_data.catalog.registry import Collection, builtin, manifests_folder
from saco_data.config.keys import Keys
from saco_data.config.settings import subset_keys
from saco_data.config.subset import endpoint_key
from saco_data.evaluation.findings import KINDS
from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason, State

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/subsets.md", "docs/config.md", "docs/troubleshooting.md")
SLURM = "pipelines/saco-sync.slurm"
WIDTH = 118

_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WHOLE = re.compile(r"`[^`]*`|\[[^]]*\]\([^)]*\)")
_NO_BREAK = "\x00"
_PRODUCTS = {
    "copy": "the picture, bytes unchanged",
    "resize": "the picture, resized only where its size is not the annotated one",
    "frames": "the annotated frames of the video, as JPEG",
    "member": "the members of the archive, unchanged: pictures, masks, text",
}


def own_collections() -> list[Collection]:
    """The collections of this repository, without those of installed packages."""
    folder = manifests_folder()
    return [each for each in builtin().collections.values() if (folder / each.name).is_dir()]


def own_manifests() -> list[Manifest]:
    """The manifests of this repository, in the order in which they are shown."""
    return [manifest for collection in own_collections() for manifest in collection.manifests]


def list_needs() -> str:
    """What a user must do once for each subset of Silver: the list in README.md."""
    silver = builtin().collections[DEFAULT_COLLECTION]
    hubs = [silver.facts.hub_dataset] if silver.facts.hub_dataset else []
    first = [
        f"**Annotations**: accept the terms of the dataset `{name}` on Hugging Face, and set "
        "`HF_TOKEN` in the environment."
        for name in hubs
    ]
    closed = [each for each in silver.manifests if each.access.kind != "open"]
    opened = [each.title for each in silver.manifests if each.access.kind == "open"]
    lines = [f"**{each.title}**: {_access(each)}" for each in closed]
    last = f"**{', '.join(opened)}**: nothing to do."
    return _joined(_item(each) for each in [*first, *lines, last])


def list_subsets() -> str:
    """Every subset with its facts: docs/subsets.md."""
    parts = []
    for collection in own_collections():
        parts.append(f"## {collection.facts.title}\n")
        parts += [_subset(manifest) for manifest in collection.manifests]
    return "\n" + "\n".join(parts) + "\n"


def list_subset_keys() -> str:
    """The config keys that exist once for each subset of Silver: docs/config.md."""
    manifests = builtin().collections[DEFAULT_COLLECTION].manifests
    keys = subset_keys()
    raw = [each.raw.config_key for each in manifests if each.raw.config_key]
    patterns = ("{}_path", "update_annotation_{}", "remove_downloaded_videos_{}")
    lines = []
    for pattern in patterns:
        names = [f"`{each.name}`" for each in manifests if pattern.format(each.name) in keys]
        lines.append(_item(f"`{pattern.format('<subset>')}`: {', '.join(names)}"))
    lines.append(_item(f"The raw medium: {', '.join(f'`{key}`' for key in raw)}"))
    return _joined(lines)


def list_clients() -> str:
    """The values of `transport`, for subsets that have a choice: docs/config.md."""
    return _joined(
        _item(f"`{each.id}`: {_clients(each)}") for each in own_manifests() if each.clients
    )


def list_rates() -> str:
    """The default `limits` of each subset: docs/config.md."""
    return _joined(_item(f"`{each.id}`: {_rates(each)}") for each in own_manifests())


def list_endpoints() -> str:
    """The keys of `endpoints` with the addresses that they replace: docs/config.md."""
    return _joined(
        f"- `{endpoint_key(each, name)}`:\n  `{url}`"
        for each in own_manifests()
        for name, url in each.endpoints.items()
    )


def error_classes() -> list[type[SacoError]]:
    """Every class of errors that the tool reports, by its name and base in the source text."""
    package = Path(saco_data.__file__).parent
    pattern = re.compile(r"^class (\w+)\((\w+)\):", re.MULTILINE)
    bases = {
        name: (base, path)
        for path in sorted(package.rglob("*.py"))
        for name, base in pattern.findall(path.read_text())
    }
    found: dict[str, type[SacoError]] = {}
    grown = True
    while grown:
        grown = False
        for name, (base, path) in bases.items():
            if name not in found and (base == "SacoError" or base in found):
                inside = path.relative_to(package.parent).with_suffix("")
                module = ".".join(inside.parts).removesuffix(".__init__")
                found[name] = getattr(importlib.import_module(module), name)
                grown = True
    return sorted(found.values(), key=lambda each: (each.exit_code, each.__name__))


def list_errors() -> str:
    """Every class of errors with its exit code: docs/troubleshooting.md."""
    lines = []
    for each in error_classes():
        first = (each.__doc__ or "").strip().splitlines()[0].rstrip(".")
        lines.append(_item(f"exit {each.exit_code}, `{each.__name__}`: {first}"))
    return _joined(lines)


def list_reasons() -> str:
    """The sentence of every reason: docs/troubleshooting.md."""
    return _joined(
        _item(f"*{each.sentence}*: `{each}` ({each.state})")
        for each in Reason
        if each.state not in (State.PENDING, State.DONE)
    )


def list_prediction_faults() -> str:
    """What `saco eval` finds wrong with predictions: docs/troubleshooting.md."""
    return _joined(
        _item(f"{'error' if is_error else 'warning'}, *{what}*{f': {remedy}' if remedy else ''}")
        for is_error, what, remedy in KINDS.values()
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "needs": list_needs,
    "subsets": list_subsets,
    "subset-keys": list_subset_keys,
    "clients": list_clients,
    "rates": list_rates,
    "endpoints": list_endpoints,
    "errors": list_errors,
    "reasons": list_reasons,
    "prediction-faults": list_prediction_faults,
}


def render_page(text: str) -> str:
    """A page of the docs with its blocks written anew."""
    return _BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match[2]]()}{match[3]}", text)


def render_slurm(text: str) -> str:
    """The SLURM script with the subsets of the default collection, one task for each."""
    ids = builtin().select([])
    text = re.sub(r"^(#SBATCH --array=)\S*$", rf"\g<1>0-{len(ids) - 1}%1", text, flags=re.M)
    return re.sub(r"^subsets=\(.*\)$", f"subsets=({' '.join(ids)})", text, flags=re.M)


def render_all() -> dict[Path, str]:
    """What each file with generated parts must contain."""
    pages = {ROOT / name: render_page((ROOT / name).read_text()) for name in PAGES}
    return {**pages, ROOT / SLURM: render_slurm((ROOT / SLURM).read_text())}


def main() -> None:
    """Rewrites the files that are out of date, and names them."""
    for path, text in render_all().items():
        if path.read_text() != text:
            path.write_text(text)
            print(f"{path.relative_to(ROOT)} written")


def _subset(manifest: Manifest) -> str:
    facts, raw = manifest.annotations, manifest.raw
    numbers = {
        "image-NPs": facts.image_nps,
        "videos": facts.videos,
        "objects": facts.objects,
        "masks": facts.masks,
        "files": facts.files,
        "pictures": manifest.shard_files.count if manifest.shard_files else None,
    }
    counts = ", ".join(f"{count:,} {what}" for what, count in numbers.items() if count)
    name = "the archive's own listing" if manifest.is_listed else f"`{facts.file}`"
    if manifest.shard_files:
        name = "a JSON for each picture"
    names = raw.archive or ""
    if raw.shards:
        names = f"{names.format(0)}` to `{names.format(raw.shards - 1)}"
    archive = f" in `{names}`" if names else ""
    size = f" ({raw.bytes / 1e9:.3g} GB)" if raw.bytes else ""
    items = [
        f"Annotations: {name}: {counts}",
        f"Raw files: `{raw.layout}`{archive}{size}",
        f"Product: {_PRODUCTS[manifest.process]}",
        f"Gone means: {manifest.gone}" if manifest.gone else "",
        f"You need: {_access(manifest)}",
        f"Clients: {_clients(manifest)}" if manifest.clients else "",
        f"Polite rate: {_rates(manifest)}",
        f"Licence: {manifest.licence}",
        f"Citation: {manifest.citation}",
    ]
    lines = [_item(item) for item in items if item]
    return f"### {manifest.title} (`{manifest.id}`)\n\n" + _joined(lines)


def _access(manifest: Manifest) -> str:
    access, keys = manifest.access, {*Keys.model_fields, *subset_keys()}
    steps = re.sub(
        r"\w+", lambda word: f"`{word[0]}`" if word[0] in keys else word[0], access.steps
    )
    return f"{steps.rstrip('.')}. [Page of the source]({access.page})"


def _clients(manifest: Manifest) -> str:
    first, *others = (f"`{client}`" for client in manifest.clients)
    return ", ".join([f"{first} (default)", *others])


def _rates(manifest: Manifest) -> str:
    rates = manifest.rates
    parts = [f"`concurrency: {rates.concurrency}`"]
    if rates.requests_per_second:
        parts.append(f"`requests_per_second: {rates.requests_per_second:g}`")
    if any(rates.sleep_seconds):
        least, most = rates.sleep_seconds
        parts.append(f"`sleep_seconds: [{least:g}, {most:g}]`")
    return ", ".join(parts)


def _item(text: str) -> str:
    """An item of a list, wrapped; code and links are not broken."""
    whole = _WHOLE.sub(lambda match: match[0].replace(" ", _NO_BREAK), text)
    filled = textwrap.fill(
        whole,
        WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_NO_BREAK, " ")


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
