"""The old place of this helper; deleted when tests/transports imports the new one."""

from tests.helpers.web import production

__all__ = ["production"]
