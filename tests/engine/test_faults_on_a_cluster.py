"""A cluster and its bucket under random faults: the result is that of a quiet run on one machine.

Worker, its parent (the nanny) and coordinator are killed by SIGKILL, the bucket's server is stopped
and started. Nothing is lost, nothing doubled, and no file is charged for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.sandbox.s3 import S3Server
from tests.helpers.cluster_faults import Field, own_field, survive


def disturb(field: Field, faults: int) -> None:
    kinds = {
        "worker": field.kill_worker,
        "nanny": field.kill_nanny,
        "coordinator": field.kill_coordinator,
        "bucket": field.stop_bucket,
    }
    survive(field, faults, kinds)


def test_a_few_faults(tmp_path: Path, bucket_server: S3Server) -> None:
    with own_field(tmp_path, bucket_server, "dask", archives=1) as field:
        disturb(field, 2)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_faults(tmp_path: Path, bucket_server: S3Server) -> None:
    with own_field(tmp_path, bucket_server, "dask") as field:
        disturb(field, 100)
