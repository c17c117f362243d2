"""Relations taken apart, against the formulas written out and torch's own operations."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dvt_core.errors import InputError
from dvt_core.inference import classify
from dvt_core.inspection import inspect
from dvt_core.model.reuse import resize_features, resize_relations
from dvt_core.model.switched_off import reuses_of, without_reuse
from dvt_core.relations import (
    StageRelations,
    moved_attention,
    reuse_share,
    rollout,
    rollout_across,
    token_map,
)


@pytest.fixture
def stages(tiny_model, images) -> tuple[StageRelations, ...]:
    return inspect(tiny_model, images[:1])


def test_inspect_sees_what_classify_keeps(tiny_model, images, stages):
    records = classify(tiny_model, images[:1], 1.01, keep_relations=True)[0].records
    for record, stage in zip(records, stages, strict=True):
        np.testing.assert_array_equal(record.relations, stage.relations)
        assert (stage.reused is None) == (record.exit_index == 0)
        if stage.reused is not None:
            np.testing.assert_array_equal(record.reused_relations, stage.reused)


def test_own_plus_reused_is_the_sum_and_own_is_q_times_k(tiny_model, images, stages):
    """The own part, taken from the sum, is q k^T / sqrt(d) computed from the layer's own input."""
    inputs: list[torch.Tensor] = []
    for stage in tiny_model.stages:
        for block in stage.blocks:
            block.attn.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    tiny_model(images[:1])
    number = 0
    for stage, kept in zip(tiny_model.stages, stages, strict=True):
        own, reused = kept.own, kept.reused
        if reused is not None:
            np.testing.assert_allclose(own + reused, kept.relations, atol=1e-6)
        for layer, block in enumerate(stage.blocks):
            q, k, _ = block.attn.qkv(inputs[number][0]).chunk(3, dim=1)
            number += 1
            width = q.shape[1] // stage.num_heads
            for head in range(stage.num_heads):
                part = slice(head * width, (head + 1) * width)
                want = q[:, part] @ k[:, part].T / width**0.5
                np.testing.assert_allclose(own[layer, head], want.detach(), atol=2e-5, rtol=1e-4)


def test_attention_is_torchs_softmax(stages):
    for stage in stages:
        want = F.softmax(torch.from_numpy(stage.relations), dim=-1)
        np.testing.assert_allclose(stage.attention, want, atol=1e-6)


def test_context_norms_are_those_of_the_resized_features(tiny_model, tiny_config, images, stages):
    assert stages[0].context_norms is None
    previous = tiny_model.stages[0](images[:1], None, keep_relations=True)
    for index in (1, 2):
        grids = tiny_config.grid_sizes[index - 1 : index + 1]
        for layer, block in enumerate(tiny_model.stages[index].blocks):
            reuse = block.feature_reuse
            context = reuse.fc2(F.gelu(reuse.fc1(reuse.norm(previous.features))))[:, 1:]
            want = resize_features(context, *grids)[0].square().sum(1).sqrt().detach()
            norms = stages[index].context_norms
            assert norms is not None and norms[layer, 0] == 0
            np.testing.assert_allclose(norms[layer, 1:], want, rtol=1e-5)
        previous = tiny_model.stages[index](images[:1], previous, keep_relations=True)


def test_shares_match_loops_over_rows(stages):
    for stage in stages[1:]:
        assert stage.reused is not None
        shares, moved = reuse_share(stage), moved_attention(stage)
        depth, heads, n, _ = stage.relations.shape
        for layer in range(depth):
            own = reused = distance = 0.0
            for head in range(heads):
                for query in range(n):
                    row = stage.own[layer, head, query].astype(float)
                    extra = stage.reused[layer, head, query].astype(float)
                    own += np.sqrt(((row - row.mean()) ** 2).mean())
                    reused += np.sqrt(((extra - extra.mean()) ** 2).mean())
                    with_it, alone = np.exp(row + extra), np.exp(row)
                    gap = with_it / with_it.sum() - alone / alone.sum()
                    distance += gap[gap > 0].sum() / (heads * n)  # what other keys gained
            assert shares[layer] == pytest.approx(reused / (own + reused))
            assert moved[layer] == pytest.approx(distance, abs=1e-6)
        assert (shares > 0).all() and (shares < 1).all() and (moved > 0).all()
    assert not reuse_share(stages[0]).any() and not moved_attention(stages[0]).any()


def test_a_constant_added_to_rows_is_no_reuse():
    own = np.random.default_rng(0).standard_normal((2, 3, 5, 5)).astype(np.float32)
    constant = np.full_like(own, 4.0)
    stage = StageRelations(own + constant, constant)
    assert reuse_share(stage) == pytest.approx([0, 0], abs=1e-6)
    assert moved_attention(stage) == pytest.approx([0, 0], abs=1e-6)


def test_rollout_sums_over_all_paths(stages):
    """Entry (i, j) is the sum over every path of tokens from i, last layer, to j, first layer."""
    attention = stages[0].attention
    depth, _, n, _ = attention.shape
    assert depth == 2
    step = [(attention[layer].mean(0) + np.eye(n)) / 2 for layer in range(depth)]
    got = rollout(attention)
    for i in range(n):
        for j in range(n):
            paths = (step[1][i, middle] * step[0][middle, j] for middle in range(n))
            assert got[i, j] == pytest.approx(sum(paths))


def test_rollout_across_stages_is_walked_token_by_token(stages, tiny_config):
    rollouts = [rollout(stage.attention) for stage in stages]
    grids = tiny_config.grid_sizes
    across = rollout_across(rollouts, grids)
    np.testing.assert_array_equal(across[2], rollouts[2])
    for query in range(grids[2] ** 2 + 1):
        weight = rollouts[2][query]
        for k in (1, 0):
            # Torch resizes the weights' transpose: what each coarse token gets from the fine ones.
            coarse = np.zeros(grids[k] ** 2 + 1)
            for cell in range(len(coarse)):
                mark = torch.zeros(1, grids[k] ** 2, 1, dtype=torch.float64)
                if cell == 0:
                    coarse[0] = weight[0]
                    continue
                mark[0, cell - 1] = 1
                lands = resize_features(mark, grids[k], grids[k + 1])[0, :, 0].numpy()
                coarse[cell] = weight[1:] @ lands
            weight = coarse @ rollouts[k]
            np.testing.assert_allclose(across[k][query], weight, atol=1e-12)
    for matrix in across:
        np.testing.assert_allclose(matrix.sum(1), 1)


@pytest.mark.parametrize(("source", "target"), [(7, 10), (10, 14), (4, 6), (6, 8), (4, 4), (1, 3)])
def test_token_map_is_the_matrix_of_both_reuses(source, target):
    matrix = torch.from_numpy(token_map(source, target))
    maps = torch.randn(1, 2, source**2 + 1, source**2 + 1, dtype=torch.float64)
    torch.testing.assert_close(matrix @ maps @ matrix.T, resize_relations(maps, source, target))
    tokens = torch.randn(1, source**2, 3, dtype=torch.float64)
    torch.testing.assert_close(matrix[1:, 1:] @ tokens, resize_features(tokens, source, target))
    np.testing.assert_allclose(matrix.sum(1), 1)


def _mute(model: nn.Module, names: tuple[str, ...]) -> nn.Module:
    """A copy whose last layers of these reuse modules give zero."""
    muted = copy.deepcopy(model)
    for name, parameter in muted.named_parameters():
        if any(part in name for part in names):
            nn.init.zeros_(parameter)
    return muted


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (("relations",), ("relation_reuse.conv2",)),
        (("features",), ("feature_reuse.fc2",)),
        (("features", "relations"), ("relation_reuse.conv2", "feature_reuse.fc2")),
        ((), ()),
    ],
)
def test_switched_off_equals_muted_weights_and_leaves_the_model_alone(
    tiny_model, images, kinds, names
):
    before = [logits.clone() for logits in tiny_model(images)]
    switched = without_reuse(tiny_model, kinds)
    got, want = switched(images), _mute(tiny_model, names)(images)
    for index in range(3):
        torch.testing.assert_close(got[index], want[index], atol=2e-5, rtol=1e-4)
        differs = bool((got[index] - before[index]).abs().max() > 1e-3)
        # Stage 2 has one layer, and features reach the class token only from the second layer on.
        first = {("features",): 2, (): 3}.get(kinds, 1)
        assert differs == (index >= first)
    for index, logits in enumerate(tiny_model(images)):
        torch.testing.assert_close(logits, before[index], atol=0, rtol=0)
    ours = {parameter.data_ptr() for parameter in tiny_model.parameters()}
    assert {parameter.data_ptr() for parameter in switched.parameters()} <= ours
    exits = classify(switched, images, 1.01)
    probs = got[2].softmax(1).detach().numpy()
    np.testing.assert_allclose([one.probs for one in exits], probs, atol=1e-5)


def test_what_is_not_reused_cannot_be_switched_off(tiny_model):
    assert reuses_of(tiny_model) == ("features", "relations")
    with pytest.raises(InputError, match="'thoughts' cannot be switched off"):
        without_reuse(tiny_model, ("thoughts",))


def test_inspect_takes_one_image_of_a_model_at_rest(tiny_model, images):
    with pytest.raises(InputError, match="one at a time"):
        inspect(tiny_model, images[:2])
    with pytest.raises(InputError, match="eval"):
        inspect(tiny_model.train(), images[:1])
