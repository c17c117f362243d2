"""A model folder that changes under a running app: a visit sees the new one, or one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import cascade_runs, services
from dvt_core.bundle import CONFIG, WEIGHTS, load_bundle
from dvt_core.errors import InputError
from dvt_core.inference import classify
from tests.ui.driver import MAIN, captions, html, open_app
from tests.ui.tiny_model import write_bundle

PAGES = sorted(path.stem for path in (Path(MAIN).with_name("views")).glob("*.py"))


def truncate(folder: Path) -> None:
    """In place, as a copy over it that breaks off: a mapped file would end the process."""
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(1000)


def spoil(folder: Path) -> None:
    raw = bytearray((folder / WEIGHTS).read_bytes())
    raw[-8:] = bytes(8)
    (folder / WEIGHTS).write_bytes(raw)


def lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def garble(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"{")


def foreign_table(folder: Path) -> None:
    other = write_bundle(folder.parents[1] / "other" / "tiny", words=tuple("abcdefghij"))
    for split in ("calibration", "test"):
        shutil.copy(other.path / f"{split}.parquet", folder / f"{split}.parquet")
    config = json.loads((folder / CONFIG).read_text())
    config["weights_sha256"] = "0" * 64  # of neither
    (folder / CONFIG).write_text(json.dumps(config))


FAULTS: dict[str, Callable[[Path], object]] = {
    "weights truncated": truncate,
    "weights spoiled": spoil,
    "weights lost": lose(WEIGHTS),
    "config garbled": garble(CONFIG),
    "config lost": lose(CONFIG),
    "table garbled": garble("test.parquet"),
    "tables of another model": foreign_table,
    "folder gone": shutil.rmtree,
}


@pytest.fixture(autouse=True)
def nothing_is_cached():
    """As after a restart, or once other models have driven this one out of the caches."""
    for cache in (
        services._load_bundle,
        services.get_model,
        services.get_table,
        cascade_runs._runs,
    ):
        cache.clear()


def told(at: AppTest) -> str:
    return " ".join(each.value for each in (*at.warning, *at.error, *at.info))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_survives_every_fault_and_is_well_again_afterwards(page, models_dir, tmp_path):
    folder, kept = models_dir / "tiny", tmp_path / "kept"
    shutil.copytree(folder, kept)
    at = open_app(f"views/{page}.py", model="tiny")
    before = told(at)
    for name, damage in FAULTS.items():
        services.get_model.clear()
        cascade_runs._runs.clear()
        damage(folder)
        at.run()
        assert not at.exception, (name, at.exception[0].message)
        assert "Traceback" not in html(at) + captions(at) + told(at), name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
    at.run()
    assert not at.exception and told(at) == before


@pytest.mark.parametrize("damage", [truncate, spoil, lose(WEIGHTS)])
def test_damaged_weights_are_one_sentence_on_the_page_and_not_in_the_way_of_others(
    damage, models_dir, tiny_folder
):
    shutil.copytree(tiny_folder, models_dir / "other")
    config = json.loads((models_dir / "other" / CONFIG).read_text())
    (models_dir / "other" / CONFIG).write_text(json.dumps(config | {"name": "other"}))
    damage(models_dir / "tiny")
    at = open_app(model="tiny")
    words = "cannot read the weights" if not (models_dir / "tiny" / WEIGHTS).exists() else "damaged"
    assert words in told(at) and not at.exception
    assert not told(open_app(model="other"))


def test_weights_in_memory_are_not_the_file(models_dir):
    """The file is cut short in place while its model is in use: no SIGBUS, the same answer."""
    bundle = load_bundle(models_dir / "tiny")
    model, image = bundle.load_model(), torch.randn(1, 3, 32, 32)
    before = classify(model, image, (0.5, 0.5))[0].records[-1].confidence
    (models_dir / "tiny" / WEIGHTS).write_bytes(b"")
    assert classify(model, image, (0.5, 0.5))[0].records[-1].confidence == before
    with pytest.raises(InputError, match="damaged or replaced"):
        bundle.load_model()


def test_a_model_replaced_between_the_page_and_its_call_is_never_mixed(models_dir, monkeypatch):
    """The page has read the old description when the folder becomes another architecture."""
    folder, real = models_dir / "tiny", services.get_model
    swaps = [1]

    def swap_first(bundle):
        if swaps:
            swaps.pop()
            shutil.rmtree(folder)
            write_bundle(folder, num_exits=2)
        return real(bundle)

    monkeypatch.setattr(services, "get_model", swap_first)
    at = open_app(model="tiny")
    assert "damaged or replaced" in told(at) and not at.exception
    at.run()
    assert not at.exception and not told(at)
    assert len(at.session_state["dial_ask"]["each"]) == 1  # of the model before there were two
    assert services.get_bundle("tiny").config.num_exits == 2
    assert len(services.get_curve(services.get_bundle("tiny")).exits) == 2


def test_the_same_weights_under_another_description_are_another_model(models_dir):
    """config.json says another small number in every norm: the shapes fit, the answers change."""
    image = torch.randn(1, 3, 32, 32)

    def answer() -> list[float]:
        said = cascade_runs.predict(
            services.get_bundle("tiny"), "digest", (1.1, 1.1), all_exits=True, _tensor=image
        )
        return [record.confidence for record in said.records]

    before, path = answer(), models_dir / "tiny" / CONFIG
    config = json.loads(path.read_text())
    config["architecture"]["norm_eps"] = 0.5
    path.write_text(json.dumps(config, indent=2))
    fresh = classify(load_bundle(path.parent).load_model(), image, (1.1, 1.1), all_exits=True)[0]
    after = answer()
    np.testing.assert_allclose(after, [record.confidence for record in fresh.records], atol=1e-6)
    assert not np.allclose(after, before, atol=1e-4)


def test_a_replaced_table_is_the_one_that_is_replayed(models_dir):
    """Its accuracy is another; what was computed from the old one is not shown again."""
    bundle = services.get_bundle("tiny")
    before = services.get_curve(bundle)
    table = bundle.table("test").head(133)
    table.save(bundle.path / "test.parquet")
    again = services.get_bundle("tiny")
    after = services.get_curve(again)
    fresh = [float(a) for a in table.exit_accuracy]
    assert [accuracy for _, accuracy in after.exits] == pytest.approx(fresh)
    assert after.exits != before.exits and after.shared != before.shared
