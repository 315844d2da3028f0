"""Web addresses and signatures of S3 requests, made by botocore with the usual keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import botocore
import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError, PartialCredentialsError
from pydantic import SecretStr
from yarl import URL

from saco_data.model.safe_logging import guard
from saco_data.transports.s3.keys import check


def _is_without_signature(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


# At debug level this one logger prints the key id and every signature.
logging.getLogger("botocore.auth").addFilter(_is_without_signature)
guard("botocore.endpoint", "botocore.hooks", "botocore.httpsession", "botocore.parsers")


class Signer:
    """Signs for one region (None: as the environment says).

    Keys: the two given, else those of boto3's usual chain. Raises errors of botocore, and of the
    service that lends keys to a role.
    """

    def __init__(
        self, access_key: SecretStr | None, secret_key: SecretStr | None, region: str | None
    ) -> None:
        access, secret = (
            key.get_secret_value() if key else None for key in (access_key, secret_key)
        )
        if bool(access) != bool(secret):
            only = "aws_access_key_id" if access else "aws_secret_access_key"
            raise PartialCredentialsError(provider="config", cred_var=f"only {only}")
        session = botocore.session.get_session()
        if access and secret:
            session.set_credentials(access, secret)
        # Unsigned: this client only knows the addresses.
        config = Config(signature_version=botocore.UNSIGNED)
        self._addresses = session.create_client("s3", region_name=region, config=config)
        self._credentials = session.get_credentials()
        named = self._addresses.meta.region_name
        self.region = "us-east-1" if named in (None, "aws-global") else str(named)

    def sign(self, method: str, parameters: dict[str, Any]) -> tuple[URL, Mapping[str, str]]:
        """The address of an object, and the headers that open it for the next minutes.

        `parameters`: `Bucket`, `Key`, and `PartNumber` where one part is meant.
        """
        if self._credentials is None:
            raise NoCredentialsError
        address = self._addresses.generate_presigned_url(
            f"{method.lower()}_object", Params=parameters
        )
        request = AWSRequest(method=method, url=address)
        keys = self._credentials.get_frozen_credentials()
        check(keys.access_key, keys.secret_key)
        S3SigV4Auth(keys, "s3", self.region).add_auth(request)
        return URL(address, encoded=True), dict(request.headers.items())
