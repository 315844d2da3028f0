"""A small prepared Silver, with phrases and messages that try to inject markup."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from saco_data.config.settings import Settings
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.sandbox.packing import pack_tar, pack_zip
from saco_data.state.ledger import Ledger
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import items, prepare

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">'&\u202e"
SAID = "<script>document.title='owned'</script> no such file"


@dataclass(frozen=True)
class Silver:
    """A prepared folder: geode and sav, with a hostile phrase and a damaged mask in geode."""

    folder: Path
    settings: Settings
    damaged: int | str  # the id of the annotation whose RLE is cut


@pytest.fixture(scope="session")
def silver(tmp_path_factory: pytest.TempPathFactory) -> Silver:
    folder = tmp_path_factory.mktemp("silver")
    geode, sav = build_one(folder, "geode"), build_one(folder, "sav")
    (folder / "geode.zip").write_bytes(pack_zip(geode.raw))
    (folder / "videos_fps_6.tar").write_bytes(pack_tar(sav.raw))
    settings = config(
        folder,
        geode_raw="geode.zip",
        sav_videos_fps_6_download_path="videos_fps_6.tar",
        num_images_show=3,
        saco_subset_show="sav",
        directory_save="sheets",
    )
    path = settings.subset("geode").pristine
    content = json.loads(path.read_text())
    mask = content["annotations"][0]
    mask["segmentation"]["counts"] = mask["segmentation"]["counts"][:-2]
    pair = next(each for each in content["images"] if each["id"] != mask["image_id"])
    pair["text_input"] = HOSTILE
    path.write_text(json.dumps(content))
    assert prepare(settings, "geode", "sav") == 0
    gone = next(item for item in items(settings, "geode").values() if item.state is State.GONE)
    with Ledger(settings.state) as ledger:
        ledger.record([Outcome("geode", gone.key, gone.reason, SAID)])
        refused = replace(Outcome("sav", "", Reason.UNSAFE_NAME), key="../<b>up</b>.jpg")
        ledger.record([refused])
    return Silver(folder, settings, mask["id"])
