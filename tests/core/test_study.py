"""A cascade against static baselines and without its reuse, on real runs and by brute force."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from dvt_core.attach import attach_ablation, attach_baselines
from dvt_core.bundle import load_bundle
from dvt_core.cli import main
from dvt_core.errors import InputError
from dvt_core.model import alone, build_model
from dvt_core.solver import pareto_front
from dvt_core.study import Baseline, load_study, recipe_differences, saving
from dvt_core.thresholds import exit_indices, replay
from dvt_core.training import loop
from dvt_core.training.card import write_card
from dvt_core.training.optimizer import build_optimizer
from dvt_core.training.recipe import load_recipe
from tests.conftest import make_lively
from tests.core.synthetic_tables import cascade_table
from tests.core.test_training import interrupt_at_step, recipe  # noqa: F401  (a fixture)

NO_REUSE = "[model_options]\nfeature_reuse = false\nrelation_reuse = false\n"


@pytest.fixture
def muon_recipe(recipe):  # noqa: F811
    text = recipe.read_text().replace("drop_path = 0.2", 'grad_clip = 0.0\noptimizer = "muon"')
    recipe.write_text(text)
    return recipe


def variant(recipe, name, options):  # noqa: F811
    path = recipe.with_name(f"{name}.toml")
    path.write_text(recipe.read_text() + options)
    return path


def test_muon_learns_and_resumes_to_the_same_weights(muon_recipe, tmp_path, monkeypatch):
    loop.train(muon_recipe, out_dir=tmp_path / "whole")
    rows = list(csv.DictReader((tmp_path / "whole" / "training.csv").read_text().split()))
    assert float(rows[-1]["train_loss_3"]) < float(rows[0]["train_loss_3"])
    interrupt_at_step(5, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        loop.train(muon_recipe, out_dir=tmp_path / "broken")
    loop.train(muon_recipe, out_dir=tmp_path / "broken", resume=True)
    whole, broken = (load_bundle(tmp_path / n).load_model() for n in ("whole", "broken"))
    for (name, a), b in zip(whole.state_dict().items(), broken.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_stage_trained_alone_is_the_stage_of_a_cascade_without_reuse(muon_recipe, tmp_path):
    """The ground on which one run without reuse stands for all static baselines."""
    together = variant(muon_recipe, "together", NO_REUSE)
    loop.train(together, out_dir=tmp_path / "together")
    cascade = load_bundle(tmp_path / "together")
    for number in (1, 2, 3):
        text = muon_recipe.read_text().replace("epochs", f"only_stage = {number}\nepochs", 1)
        (path := tmp_path / f"alone{number}.toml").write_text(text)
        loop.train(path, out_dir=tmp_path / f"alone{number}")
        single = load_bundle(tmp_path / f"alone{number}")
        wanted = cascade.load_model().stages[number - 1].state_dict()
        for key, value in single.load_model().stages[0].state_dict().items():
            assert torch.equal(value, wanted[key]), key
        mine, theirs = single.table("test"), cascade.table("test")
        np.testing.assert_array_equal(mine.confidences[:, 0], theirs.confidences[:, number - 1])


def test_attach_makes_baselines_and_ablation_that_the_card_shows(muon_recipe, tmp_path, capsys):
    loop.train(muon_recipe, out_dir=tmp_path / "model")
    model = load_bundle(tmp_path / "model")
    loop.train(variant(muon_recipe, "neither", NO_REUSE), out_dir=tmp_path / "neither")
    attach = ["attach", str(tmp_path / "neither"), "--to", str(model.path)]
    assert main([*attach, "--baselines"]) == 0 and main(attach) == 0
    assert main(["attach", str(model.path), "--to", str(model.path)]) == 0
    study = load_study(model)
    assert [each.name for each in study.baselines] == ["2x2", "3x3", "4x4"]
    assert list(study.ablation) == ["neither", "both"] and study.ablation_epochs == 3
    none = load_bundle(tmp_path / "neither")
    for each, accuracy, macs in zip(
        study.baselines,
        none.table("test").exit_accuracy,
        none.load_model().stage_macs,
        strict=True,
    ):
        assert (each.accuracy, each.macs) == (accuracy, macs)
    card = (model.path / "README.md").read_text()
    for words in ("Against static models", "Reuse on and off", "What an exit asks", "honest?"):
        assert words in card
    assert (model.path / "tradeoff.png").stat().st_size > 5000
    capsys.readouterr()
    assert main(["study", "--model", str(model.path), "--json"]) == 0
    assert '"neither"' in capsys.readouterr().out
    with pytest.raises(InputError, match="static baselines come from"):
        attach_baselines(model.path, model)
    with pytest.raises(InputError, match="no variant of"):
        attach_ablation(load_bundle("cifar10").path, model)
    alone3 = variant(muon_recipe, "alone3", "")
    alone3.write_text(
        alone3.read_text().replace("epochs = 3", "only_stage = 3\nepochs = 3\nseed = 4")
    )
    loop.train(alone3, out_dir=tmp_path / "alone3")
    assert main(["attach", str(tmp_path / "alone3"), "--to", str(model.path), "--baselines"]) == 0
    third = load_study(model).baselines[2]
    own = load_bundle(tmp_path / "alone3")
    assert third.name == "4x4" and third.macs == own.load_model().exit_macs[0]
    np.testing.assert_array_equal(third.test.confidences, own.table("test").confidences)
    assert recipe_differences(model, model.path / "baselines" / "4x4") == {"seed": (None, 4)}
    assert "`seed` is 4, the cascade's is None" in (model.path / "README.md").read_text()
    recipe_copy = model.path / "ablation" / "both" / "recipe.toml"
    recipe_copy.write_text(recipe_copy.read_text().replace("epochs = 3", "epochs = 9"))
    with pytest.raises(InputError, match="mixes schedules"):
        load_study(model)
    recipe_copy.write_text("epochs = ")
    with pytest.raises(InputError, match="is damaged"):
        load_study(model)


def test_a_card_without_a_study_is_written_too(muon_recipe, tmp_path, capsys):
    loop.train(muon_recipe, out_dir=tmp_path / "model")
    assert load_study(load_bundle(tmp_path / "model")).baselines == ()
    assert main(["card", "--model", str(tmp_path / "model")]) == 0
    assert "Against static models" not in (tmp_path / "model" / "README.md").read_text()
    assert main(["study", "--model", str(tmp_path / "model")]) == 2
    assert "dvt attach" in capsys.readouterr().err
    for split in ("calibration", "test"):
        source, place = tmp_path / "model" / f"{split}.parquet", tmp_path / "model" / "baselines"
        (place / "9x9").mkdir(parents=True, exist_ok=True)
        cascade_table(n=50).save(place / "9x9" / f"{split}.parquet")
        assert source.is_file()
    with pytest.raises(InputError, match="other images"):
        load_study(load_bundle(tmp_path / "model"))
    shutil.rmtree(tmp_path / "model" / "baselines")
    write_card(load_bundle(tmp_path / "model"))


def test_alone_gives_the_cascades_logits_and_refuses_reuse(tiny_config, images):
    config = replace(tiny_config, feature_reuse=False, relation_reuse=False)
    model = make_lively(build_model(config))
    with torch.inference_mode():
        for i, logits in enumerate(model(images)):
            single = alone(model, i)
            assert torch.equal(single(images)[0], logits)
            assert single.exit_macs == (model.stage_macs[i],)
    with pytest.raises(InputError, match="stands alone"):
        alone(build_model(tiny_config), 0)
    with pytest.raises(InputError, match="no stage 4"):
        alone(model, 3)


def static_of(table_seed, exit_index, macs):
    calibration, test = (
        cascade_table(n=400, seed=table_seed),
        cascade_table(n=500, seed=table_seed + 1),
    )
    return Baseline(
        "static",
        calibration.exit_alone(exit_index, macs, "static"),
        test.exit_alone(exit_index, macs, "static"),
    )


def test_saving_chooses_on_calibration_and_shows_on_test():
    calibration, test = cascade_table(n=400, seed=1), cascade_table(n=500, seed=2)
    baseline = static_of(1, 1, int(calibration.info.exit_macs[-1]))
    found = saving(pareto_front(calibration), test, baseline)
    chosen = pareto_front(calibration).at_accuracy(calibration.exit_accuracy[1])
    assert found.point == replay(test, chosen.thresholds)
    assert found.times_fewer == pytest.approx(baseline.macs / found.point.macs)
    spread = found.times_fewer_spread
    assert spread.low < found.times_fewer < spread.high and spread.std > 0
    gain = found.point.accuracy - baseline.accuracy
    assert found.gain_spread.low <= gain <= found.gain_spread.high
    cheaper = [
        p
        for p in pareto_front(calibration).points
        if replay(test, p.thresholds).accuracy >= baseline.accuracy
    ]
    best = min(replay(test, p.thresholds).macs for p in cheaper)
    assert found.read_off_times == pytest.approx(baseline.macs / best, rel=0.02)
    assert found.read_off.accuracy >= baseline.accuracy


def test_the_bootstrap_spread_is_that_of_resampled_images():
    calibration, test = cascade_table(n=400, seed=1), cascade_table(n=500, seed=2)
    found = saving(pareto_front(calibration), test, static_of(1, 1, 10**8))
    rng = np.random.default_rng(1)
    costs = np.array(test.info.exit_macs)
    macs = costs[exit_indices(test, found.point.thresholds)]
    means = [macs[rng.integers(0, 500, 500)].mean() for _ in range(1000)]
    assert found.times_fewer_spread.std == pytest.approx(np.std(10**8 / np.array(means)), rel=0.15)


def test_a_baseline_beyond_reach_gives_none():
    calibration, test = cascade_table(n=400, seed=1), cascade_table(n=500, seed=2)
    perfect = replace(
        calibration.exit_alone(0, 5, "x"),
        labels=calibration.predictions[:, 0].astype(np.int64),
    )
    assert (
        saving(pareto_front(calibration), test, Baseline("x", perfect, test.exit_alone(0, 5, "x")))
        is None
    )


def test_stop_gradient_changes_no_logit_and_keeps_later_losses_out(tiny_model, images):
    tiny_model.requires_grad_(True)
    plain, stopped = tiny_model(images), tiny_model(images, stop_gradient=True)
    for a, b in zip(plain, stopped, strict=True):
        assert torch.equal(a, b)
    stopped[2].sum().backward()
    assert all(p.grad is None for stage in tiny_model.stages[:2] for p in stage.parameters())
    plain[2].sum().backward()
    assert all(s.cls_token.grad.abs().sum() > 0 for s in tiny_model.stages)


def test_with_stop_gradient_the_first_exit_is_the_static_model_of_its_grid(muon_recipe, tmp_path):
    muon_recipe.write_text(
        muon_recipe.read_text().replace("epochs", "stop_gradient = true\nepochs", 1)
    )
    loop.train(muon_recipe, out_dir=tmp_path / "both")
    loop.train(variant(muon_recipe, "neither", NO_REUSE), out_dir=tmp_path / "neither")
    both, neither = (load_bundle(tmp_path / n).load_model().stages[0] for n in ("both", "neither"))
    for key, value in neither.state_dict().items():
        assert torch.equal(both.state_dict()[key], value), key


def test_a_checkpoint_from_before_an_option_existed_still_resumes(muon_recipe, tmp_path):
    loop.train(muon_recipe, out_dir=tmp_path / "run")
    path = tmp_path / "run" / loop.CHECKPOINT
    raw = torch.load(path, weights_only=True)
    del raw["recipe"]["stop_gradient"]
    torch.save(raw, path)
    loop.train(muon_recipe, out_dir=tmp_path / "run", resume=True)
    raw["recipe"]["seed"] = 5
    torch.save(raw, path)
    with pytest.raises(InputError, match="another recipe"):
        loop.train(muon_recipe, out_dir=tmp_path / "run", resume=True)


def test_muon_gets_the_matrices_inside_and_adamw_the_rest(tiny_config, muon_recipe):
    model = build_model(tiny_config)
    optimizer = build_optimizer(model, load_recipe(muon_recipe))
    names = {id(p): name for name, p in model.named_parameters()}
    hidden, outer, vectors, reuse = (
        {names[id(p)] for p in group["params"]} for group in optimizer.param_groups
    )
    assert hidden | outer | vectors | reuse == set(names.values())
    assert "stages.0.blocks.0.attn.qkv.weight" in hidden
    assert {"stages.0.head.weight", "stages.1.tokenizer.proj.weight"} <= outer
    assert {"stages.0.cls_token", "stages.0.blocks.0.norm1.weight"} <= vectors
    assert reuse == {name for name in names.values() if "_reuse." in name}
    without = build_model(tiny_config, feature_reuse=False, relation_reuse=False)
    assert len(build_optimizer(without, load_recipe(muon_recipe)).param_groups) == 3
