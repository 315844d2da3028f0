"""Which AWS keys boto3 would use, found without asking any server."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from saco_data.model.outside import one_line

_ID = re.compile(r"A[A-Z0-9]{15,127}")
_SECRET = re.compile(r"[A-Za-z0-9+/=]{40}")
_READABLE = ("env", "shared-credentials-file", "config-file", "boto-config")


@dataclass(frozen=True, slots=True)
class Keys:
    """AWS keys that were found. `where`: in words; `file`: the file that holds them, if any.

    `well_formed` is None where they cannot be read without a server (a role, a login, a program).
    """

    where: str
    well_formed: bool | None
    file: Path | None = None


class UnusableKeys(ValueError):
    """Keys that no request can carry; says what is wrong, without the keys."""


def check(access: str, secret: str) -> None:
    """Raises UnusableKeys for keys with a line end, a space, or a character that no key has."""
    for what, key in (("key id", access), ("secret key", secret)):
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UnusableKeys(f"the AWS {what} holds a space, a line end or an odd character")


def describe(access: SecretStr | None, secret: SecretStr | None) -> str:
    """Where boto3 looks for keys, without them: keys of the config, profile, variables, files."""
    if access or secret:
        return "aws_access_key_id and aws_secret_access_key in the config"
    parts = []
    for variable in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        if name := os.environ.get(variable):
            parts.append(f"the profile {name[:60]!r} ({variable})")
            break
    parts += [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name in os.environ]
    for variable, usual in (
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        ("AWS_CONFIG_FILE", "~/.aws/config"),
    ):
        given = os.environ.get(variable)
        parts.append(f"{given[:200]} ({variable})" if given else usual)
    return ", ".join(parts)


def find(access: SecretStr | None, secret: SecretStr | None) -> Keys | None:
    """The two keys of the config, else those of boto3's usual chain; None if there are none."""
    if access and secret:
        return Keys("the config", _fits(access.get_secret_value(), secret.get_secret_value()))
    if any(name.startswith("AWS_CONTAINER_CREDENTIALS_") for name in os.environ):
        return Keys("the container's role", None)
    import botocore.credentials
    import botocore.exceptions
    import botocore.session

    session = botocore.session.Session()
    try:
        resolver = botocore.credentials.create_credential_resolver(session)
        for name in ("container-role", "iam-role"):  # these ask a server
            resolver.remove(name)
        found = resolver.load_credentials()
        if found is None:
            return None
        if found.method not in _READABLE:
            return Keys(f"the profile ({found.method})", None)
        fits = _fits(found.access_key, found.secret_key)
        if found.method == "env":
            return Keys("the environment", fits)
        variable = "config_file" if found.method == "config-file" else "credentials_file"
        file = Path(session.get_config_variable(variable)).expanduser()
        return Keys(str(file), fits, file)
    except botocore.exceptions.ProfileNotFound:
        return None  # `explain_missing` names it
    except Exception:
        # Profiles name programs, files and servers: all kinds of errors come.
        return Keys(describe(access, secret), False)


def _fits(access: str, secret: str) -> bool:
    return bool(_ID.fullmatch(access) and _SECRET.fullmatch(secret))


def explain_missing() -> str:
    """Why boto3 finds no keys although there are some, in words; "" if there is nothing to say."""
    import botocore.exceptions
    import botocore.session

    variable = next(
        (name for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE") if os.environ.get(name)), ""
    )
    named = os.environ.get(variable, "")
    # Without the name of a profile: with a wrong one, botocore answers no question.
    session = botocore.session.Session(profile="default")
    try:
        profiles = sorted(session.available_profiles)
        file = Path(session.get_config_variable("credentials_file")).expanduser()
    except botocore.exceptions.BotoCoreError:
        return ""
    have = ", ".join(one_line(each)[:60] for each in profiles[:5])
    if named and named not in profiles:
        what = f"{variable} names the profile {one_line(named)[:60]}, which does not exist"
        return f"{what}; there are: {have}" if profiles else f"{what} in {file}"
    if not named and profiles and "default" not in profiles:
        return f"{file} has no [default], only {have}: set AWS_PROFILE to one of them"
    return ""
