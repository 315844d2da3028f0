"""Log records of ours and of the clients that we use, made safe to print and to keep.

`SafeFormatter` is for our own handlers, and covers every logger. `guard` is for the loggers of
clients that print addresses: it also helps programs that import saco_data and log as they like.
"""

from __future__ import annotations

import logging
import re

from saco_data.model.outside import printable, without_secrets

# Headers and options whose value is secret, as clients print them.
_NAMED = re.compile(
    r"\b(authorization|cookie|password|x-amz-security-token|x-api-key|api[_-]?key"
    r"|secret[_-]?(?:access[_-]?)?key|access[_-]?token)\b(['\"]?[:=] ?)['\"]?[^'\",\n]*",
    re.I,
)


def hide_secrets(text: str) -> str:
    """A log message without user, password and query of addresses, and without named secrets."""
    return _NAMED.sub(r"\1\2***", without_secrets(text))


class SafeFormatter(logging.Formatter):
    """Formats a record without secrets; names and messages of others cannot forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return printable(hide_secrets(super().format(record)))


def is_safe_now(record: logging.LogRecord) -> bool:
    """A filter that takes secrets and control characters out of a record, and lets it pass."""
    record.msg, record.args = printable(hide_secrets(record.getMessage())), ()
    if record.exc_info and not record.exc_text:
        # Formatters take this text instead of formatting the exception.
        text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = printable(hide_secrets(text))
    return True


def guard(*names: str) -> None:
    """Takes secrets out of what these loggers say, and out of all that their handlers print."""
    for name in names:
        logger = logging.getLogger(name)
        for each in (logger, *logger.handlers):
            each.addFilter(is_safe_now)
