"""Objects from S3: boto3 signs, the HTTP engine fetches."""

from __future__ import annotations

from saco_data.transports.s3.client import S3, Document
from saco_data.transports.s3.service import split

__all__ = ["S3", "Document", "split"]
