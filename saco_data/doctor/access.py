"""Checks of what all subsets need from the user: a token of the hub, annotation files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from saco_data.config.settings import Settings
from saco_data.config.subset import has_token
from saco_data.engine.subset import Subset
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.sources.requirements import missing_annotations


def examine(settings: Settings, subsets: Sequence[Subset]) -> Iterator[Finding]:
    """Findings about the token and the annotation files."""
    yield _check_token(settings)
    yield from _check_annotations(settings, subsets)


def _check_token(settings: Settings) -> Finding:
    given = settings.keys.hf_token
    if given and not re.fullmatch(r"hf_[A-Za-z0-9]{20,}", given.get_secret_value()):
        remedy = "Copy it again from huggingface.co/settings/tokens"
        return warn("hf_token", "does not look like a token (hf_...)", remedy)
    if has_token(settings.keys):
        return ok("hf_token", "a Hugging Face token is at hand")
    remedy = "Accept the terms at huggingface.co/datasets/facebook/SACo-Silver and set HF_TOKEN"
    return warn("hf_token", "no Hugging Face token: annotation files cannot be fetched", remedy)


def _check_annotations(settings: Settings, subsets: Sequence[Subset]) -> Iterator[Finding]:
    name = "annotations"
    present: list[str] = []
    to_fetch: list[str] = []
    missing: list[Subset] = []
    for subset in subsets:
        if subset.manifest.is_listed:
            continue  # its archive is its index
        path = subset.config.pristine
        if path.is_file() and not path.stat().st_size:
            remedy = f"Remove it and run `saco annotations {subset.id}`"
            yield fail(name, f"{path} is empty", remedy)
        elif path.is_file():
            present.append(subset.id)
        elif missing_annotations(subset.config):
            missing.append(subset)
        else:
            to_fetch.append(subset.id)
    if present:
        yield ok(name, f"at hand for {', '.join(present)}")
    if to_fetch:
        yield ok(name, f"`saco prepare` will fetch those of {', '.join(to_fetch)}")
    if missing:
        _, _, remedy = missing_annotations(missing[0].config).partition(". ")
        remedy = f"{remedy}, or put the files into {settings.annotations}"
        yield fail(name, f"none for {', '.join(subset.id for subset in missing)}", remedy)
