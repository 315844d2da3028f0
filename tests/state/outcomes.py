"""What a source said of one file of NGA: found, or gone."""

from __future__ import annotations

from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger

KEY = "0a1b2c3d-4e5f.jpg"
FOUND = Outcome(
    "nga",
    KEY,
    Reason.OK,
    origin="https://api.nga.gov/iiif/0a1b2c3d-4e5f/full/!640,640/0/default.jpg",
    bytes=1234,
    sha256="ab" * 32,
    facts={"etag": '"x"', "licence": "CC0"},
)
GONE = Outcome("nga", KEY, Reason.HTTP_404, "HTTP 404 (not here)", facts={"place": "there"})


def known(ledger: Ledger, key: str = KEY) -> object:
    return ledger.items("nga")[key]
