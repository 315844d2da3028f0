"""Objects from S3 with boto3."""

from __future__ import annotations

from saco_data.transports.s3.client import S3, Document, Reply, split
from saco_data.transports.s3.outcome import Failure, failure_of
from saco_data.transports.s3.part import Request

__all__ = ["S3", "Document", "Failure", "Reply", "Request", "failure_of", "split"]
