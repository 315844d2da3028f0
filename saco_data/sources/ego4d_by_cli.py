"""Fetches Ego4D clips through the official CLI, in batches, and checks each against S3."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources import ego4d_manifest
from saco_data.sources.base import Context, Source
from saco_data.storage import files
from saco_data.storage.folders import CLI_STAGING
from saco_data.transports.base import Failure

if TYPE_CHECKING:
    from saco_data.transports.s3 import S3

MANIFEST = ".ego4d-cli.csv.saco-tmp"  # swept after a kill, as all temporary files are
_BATCH = 32
_BATCH_WITH_REMOVAL = 2  # where each video is removed after use, so that the disk stays bounded


def fetch(
    source: Source,
    s3: S3,
    wanted: Mapping[str, Asset],
    urls: Mapping[str, str],
    context: Context,
) -> Iterator[Arrival | Outcome]:
    """Fetches the clips in `urls` (S3 addresses by key); one arrival or outcome for each."""
    from saco_data.transports.official.ego4d_cli import Ego4dCli, accepts

    config = source.config
    cli = Ego4dCli(
        access_key=config.keys.aws_access_key_id, secret_key=config.keys.aws_secret_access_key
    )
    accepted = []
    for key in urls:
        if accepts(_uid_of(key)):
            accepted.append(key)
        else:
            detail = "the ego4d CLI does not accept this uid: choose the transport boto3"
            yield source.outcome(wanted[key], Reason.UNSAFE_NAME, detail)
    size = _BATCH_WITH_REMOVAL if config.removes_videos else _BATCH
    folder = config.raw_folder
    staging, manifest = folder / CLI_STAGING, folder / MANIFEST
    rest = iter(accepted)
    try:
        while (batch := tuple(itertools.islice(rest, size))) and not context.stop.is_set():
            keys = {_uid_of(key): key for key in batch}
            # Only the rows of this batch: one malformed row ends the CLI.
            rows = {uid: urls[key] for uid, key in keys.items()}
            files.write_if_changed(manifest, ego4d_manifest.format_rows(rows))
            result = cli.fetch(keys, staging, manifest, context.stop)
            if context.stop.is_set():
                return
            failure = f"the ego4d CLI did not bring it (status {result.status}: {result.said})"
            for uid, key in keys.items():
                if uid in result.unknown:
                    detail = "the ego4d CLI does not find its uid in the manifest"
                    yield source.outcome(wanted[key], Reason.NOT_IN_CATALOGUE, detail)
                else:
                    path = result.arrived.get(uid)
                    yield _check(source, s3, wanted[key], urls[key], path, failure)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        manifest.unlink(missing_ok=True)


def _uid_of(key: str) -> str:
    return key.removesuffix(".mp4")


def _check(
    source: Source, s3: S3, asset: Asset, url: str, path: Path | None, failure: str
) -> Arrival | Outcome:
    """Compares the file that the CLI left for a clip, if any, with the size that S3 gives."""
    try:
        size, facts = s3.head(url, probe=source.location())
    except Failure as error:
        return source.outcome(asset, error.reason, error.what, url)
    if path is None:
        return source.outcome(asset, Reason.EXTRACTOR_ERROR, failure, url)
    if path.stat().st_size != size:
        detail = f"{path.stat().st_size} of {size} bytes came"
        return source.outcome(asset, Reason.SHORT_BODY, detail, url)
    final = source.raw_path(asset.key)
    files.publish(path, final)
    return Arrival(asset, final, url, owned=True, facts=facts)
