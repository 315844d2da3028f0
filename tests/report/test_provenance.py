"""Provenance: one row a finished file, rewritten only when something changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from saco_data.config.settings import Settings
from saco_data.engine import provenance
from saco_data.engine.events import Stages
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger
from tests.helpers.folders import config
from tests.helpers.miniatures import prepare_miniature
from tests.helpers.pipeline import prepare
from tests.report.conftest import Silver


def table(settings: Settings) -> pd.DataFrame:
    return pq.read_table(provenance.path_of(settings)).to_pandas()


def test_a_run_writes_what_is_known_of_every_finished_file(silver: Silver) -> None:
    found = table(silver.settings).set_index(["subset", "file"])
    assert found.index.is_unique
    for subset in ("geode", "sav"):
        root = silver.settings.subset(subset).images
        rows = found.loc[subset]
        on_disk = {str(path.relative_to(root)): path for path in root.rglob("*.jpg")}
        assert set(rows.index) == set(on_disk)
        for name, path in on_disk.items():
            content = path.read_bytes()
            assert rows.loc[name, "bytes"] == len(content)
            assert rows.loc[name, "sha256"] == hashlib.sha256(content).hexdigest()
            assert rows.loc[name, "licence"] == "CC BY 4.0"
            assert str(rows.loc[name, "source"])
            assert rows.loc[name, "retrieved"].tzinfo is not None
    frames = found.loc["sav"]
    assert frames["frame_pts"].notna().all() and (frames["frame_seconds"] >= 0).all()
    assert frames["decoder"].str.contains("libavcodec").all()
    assert found.loc["geode"]["frame_pts"].isna().all()


def test_it_is_not_rewritten_until_something_changes(silver: Silver) -> None:
    path = provenance.path_of(silver.settings)
    with Ledger(silver.settings.state) as ledger:
        provenance.write(silver.settings, ledger)
        before = path.stat()
        assert provenance.write(silver.settings, ledger) is None
        travelled = path.stat()
    assert prepare(silver.settings, "geode", "sav") in (0, 4)
    assert path.stat().st_mtime_ns == before.st_mtime_ns == travelled.st_mtime_ns
    with Ledger(silver.settings.state) as ledger:
        path.unlink()
        assert provenance.write(silver.settings, ledger) == path
        path.write_bytes(b"not parquet")
        assert provenance.write(silver.settings, ledger) == path
    assert len(table(silver.settings)) == 14


def test_single_stages_do_not_write_it(tmp_path: Path) -> None:
    settings = config(tmp_path)
    prepare(settings, "geode", stages=Stages(fetch=False))
    assert not provenance.path_of(settings).exists()


def test_rights_versions_and_raw_files_come_from_the_facts(tmp_path: Path) -> None:
    settings = config(tmp_path)
    watch = "https://www.youtube.com/watch?v=abcdefghijk"
    done = Reason.OK
    with Ledger(settings.state) as ledger:
        ledger.record(
            [
                Outcome("nga", "open.jpg", done, facts={"openaccess": True, "maxpixels": ""}),
                Outcome("nga", "closed.jpg", done, facts={"openaccess": False}),
                Outcome("nga", "gone.jpg", Reason.HTTP_404),
                Outcome(
                    "fathomnet",
                    "a.png",
                    done,
                    origin="https://me:secret@example.org/a.png?X-Amz-Signature=secret&v=1#x",
                    facts={"pts": "soon"},
                ),
                Outcome("yt1b", "abcdefghijk/1.jpg", done, origin=watch, facts={"pts": 512}),
                Outcome(
                    "yt1b",
                    "abcdefghijk",
                    done,
                    origin=watch,
                    bytes=7,
                    sha256="ab" * 32,
                    facts={"format_id": "136", "uploader": "Somebody"},
                    is_asset=True,
                ),
            ],
            now=1_700_000_000,
        )
        assert provenance.write(settings, ledger) == provenance.path_of(settings)
    found = table(settings).set_index("file")
    assert set(found.index) == {"open.jpg", "closed.jpg", "a.png", "abcdefghijk/1.jpg"}
    assert found.loc["open.jpg", "licence"] == "CC0 1.0 (open access)"
    assert "not open access" in found.loc["closed.jpg", "licence"]
    assert found.loc["a.png", "licence"] == settings.subset("fathomnet").manifest.licence
    assert found["rights_holder"].isna()["a.png"]
    assert found.loc["a.png", "source"] == "https://example.org/a.png?v=1#x"
    frame = found.loc["abcdefghijk/1.jpg"]
    assert (frame["source"], frame["rights_holder"]) == (watch, "Somebody")
    assert (frame["raw_bytes"], frame["raw_sha256"]) == (7, "ab" * 32)
    assert (frame["raw_version"], frame["frame_pts"]) == ("format_id 136", 512)
    assert frame["retrieved"].timestamp() == 1_700_000_000
    assert b"secret" not in provenance.path_of(settings).read_bytes()


def test_it_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(tmp_path)
    names = [f"{number:04d}.jpg" for number in range(950)]
    with Ledger(settings.state) as ledger:
        ledger.record(Outcome("nga", name, Reason.OK, bytes=1) for name in names)
        monkeypatch.setattr(provenance, "ROWS", 100)
        assert provenance.write(settings, ledger)
    assert pq.ParquetFile(provenance.path_of(settings)).num_row_groups == 10
    assert list(table(settings)["file"]) == names


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    settings = config(tmp_path)
    left = provenance.path_of(settings).with_name(".provenance.parquet.123-4.saco-tmp")
    left.parent.mkdir(parents=True)
    left.touch()
    with Ledger(settings.state) as ledger:
        ledger.record([Outcome("nga", "a.jpg", Reason.OK, bytes=1)])
        provenance.write(settings, ledger)
    assert [path.name for path in left.parent.iterdir()] == [provenance.FILE_NAME]


def test_nothing_finished_makes_no_file(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with Ledger(settings.state) as ledger:
        assert provenance.write(settings, ledger) is None
    assert not provenance.path_of(settings).exists()


def test_each_collection_has_its_own_file(tmp_path: Path) -> None:
    settings = config(tmp_path)
    with Ledger(settings.state) as ledger:
        ledger.record([Outcome("nga", "a.jpg", Reason.OK, bytes=1)])
        ledger.record([Outcome("sa-v/val", "JPEGImages_24fps/v/1.jpg", Reason.OK, bytes=1)])
        written = provenance.write_all(settings, ledger)
        assert provenance.write_all(settings, ledger) == []
    paths = [provenance.path_of(settings), provenance.path_of(settings, "sa-v")]
    assert written == paths and paths[1] == tmp_path / "data/sa-v/annotations/provenance.parquet"
    assert [list(pq.read_table(path).to_pandas()["subset"]) for path in paths] == [
        ["nga"],
        ["sa-v/val"],
    ]


def test_who_contributed_an_image_of_fathomnet_is_the_rights_holder(tmp_path: Path) -> None:
    found = table(prepare_miniature(tmp_path, ["fathomnet"]))
    # It comes with the records, a hundred in one request.
    assert len(found) and set(found["rights_holder"]) == {"sandbox@example.org"}


def test_a_run_does_not_load_pandas(tmp_path: Path) -> None:
    """It takes longer to load than the table to write, and pyarrow loads it where it can."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from saco_data.config.settings import parse\n"
        "from saco_data.engine import provenance\n"
        "from saco_data.model.reasons import Reason\n"
        "from saco_data.model.records import Outcome\n"
        "from saco_data.state.ledger import Ledger\n"
        "settings = parse('silver_path: silver', Path(sys.argv[1]))\n"
        "with Ledger(settings.state) as ledger:\n"
        "    ledger.record([Outcome('geode', 'a.jpg', Reason.OK, bytes=1)])\n"
        "    assert provenance.write(settings, ledger)\n"
        "assert 'pandas' not in sys.modules\n"
    )
    file = tmp_path / "CONFIG_FRAMES.yaml"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    rows = pq.read_table(tmp_path / "silver/annotations/provenance.parquet").to_pylist()
    assert [(row["file"], row["bytes"]) for row in rows] == [("a.jpg", 1)]
