"""The old place of these helpers; deleted when tests/transports imports the new ones."""

from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config

__all__ = ["annotate", "config", "document", "image"]
