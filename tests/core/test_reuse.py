"""Resizing and reuse against torch's own resize and against a stage written out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dvt_core.model.reuse import resize_features, resize_matrix, resize_relations

PAIRS = [(7, 10), (10, 14), (7, 14), (4, 6), (6, 8), (4, 4), (3, 10), (8, 5), (1, 3), (5, 1)]


def official_resize(maps: torch.Tensor, target: int) -> torch.Tensor:
    """Nearest up-sampling to a multiple of the source, then adaptive average pooling."""
    source = maps.shape[-1]
    factor = -(-target // source)
    return F.adaptive_avg_pool2d(F.interpolate(maps, scale_factor=factor, mode="nearest"), target)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_resize_matrix_matches_interpolate_then_pool(source, target):
    maps = torch.randn(2, 3, source, source, dtype=torch.float64)
    matrix = resize_matrix(source, target)
    torch.testing.assert_close(matrix @ maps @ matrix.T, official_resize(maps, target))
    torch.testing.assert_close(matrix.sum(1), torch.ones(target, dtype=torch.float64))


def test_resize_matrix_has_the_rows_of_the_reference():
    row = resize_matrix(10, 14)[2]
    assert row.nonzero().flatten().tolist() == [1, 2]
    torch.testing.assert_close(row[1:3], torch.tensor([2 / 3, 1 / 3], dtype=torch.float64))
    assert resize_matrix(7, 10)[6].tolist() == [0, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_resize_features_keeps_row_major_order(source, target):
    tokens = torch.randn(2, source**2, 5)
    maps = tokens.transpose(1, 2).unflatten(2, (source, source))
    want = official_resize(maps, target).flatten(2).transpose(1, 2)
    torch.testing.assert_close(resize_features(tokens, source, target), want)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_resize_relations_resizes_keys_then_queries_and_carries_the_class_token(source, target):
    r = torch.randn(2, 3, source**2 + 1, source**2 + 1)
    got = resize_relations(r, source, target)

    def along_keys(x: torch.Tensor) -> torch.Tensor:  # (..., N) -> (..., N')
        grid = x[..., 1:].reshape(1, -1, source, source)
        wide = official_resize(grid, target).reshape(*x.shape[:-1], target**2)
        return torch.cat((x[..., :1], wide), dim=-1)

    want = along_keys(along_keys(r).transpose(-1, -2)).transpose(-1, -2)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(got[..., 0, 0], r[..., 0, 0])


@pytest.mark.parametrize("resize", [resize_features, resize_relations])
def test_resize_has_the_right_gradient(resize):
    shape = (2, 4, 3) if resize is resize_features else (2, 2, 5, 5)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: resize(t, 2, 3), x)


def reference_stage(stage, images, previous, grids, depth, heads):
    """Stage 2 and later, written from the formulas of the reference notes, loop by loop."""
    source, target = grids
    x = stage.tokenizer(images)
    x = torch.cat((stage.cls_token.repeat(len(x), 1, 1), x), 1) + stage.pos_embed
    conv1, conv2 = stage.relation_reuse.conv1, stage.relation_reuse.conv2
    reused = resize_relations(conv2(F.gelu(conv1(previous.relations))), source, target)
    relations = []
    for i, block in enumerate(stage.blocks):
        u = block.norm1(x)
        q, k, v = block.attn.qkv(u).chunk(3, dim=2)
        outs = []
        for h in range(heads):
            part = slice(h * q.shape[2] // heads, (h + 1) * q.shape[2] // heads)
            a = q[..., part] @ k[..., part].transpose(1, 2) * (part.stop - part.start) ** -0.5
            a = a + reused[:, i * heads + h]
            relations.append(a)
            outs.append(a.softmax(-1) @ v[..., part])
        x = x + block.attn.proj(torch.cat(outs, 2))
        f = block.feature_reuse
        g = f.fc2(F.gelu(f.fc1(f.norm(previous.features))))
        g = torch.cat((torch.zeros_like(g[:, :1]), resize_features(g[:, 1:], source, target)), 1)
        z = block.norm2(torch.cat((x, g), 2))
        x = x + block.mlp.fc2(F.gelu(block.mlp.fc1(z)))
    return stage.head(stage.norm(x)[:, 0]), x, torch.stack(relations, 1)


@pytest.mark.parametrize("index", [1, 2])
def test_stage_matches_the_formulas(tiny_model, tiny_config, images, index):
    previous = None
    for stage in tiny_model.stages[:index]:
        previous = stage(images, previous, keep_relations=True)
    got = tiny_model.stages[index](images, previous, keep_relations=True)
    config = tiny_config.stages[index]
    grids = (tiny_config.grid_sizes[index - 1], config.grid_size)
    logits, features, relations = reference_stage(
        tiny_model.stages[index], images, previous, grids, config.depth, config.num_heads
    )
    torch.testing.assert_close(got.logits, logits, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(got.features, features, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(got.relations, relations, atol=2e-5, rtol=1e-4)


def test_relations_accumulate(tiny_model, images):
    """What stage 3 receives contains what stage 2 received."""
    first = tiny_model.stages[0](images, None, keep_relations=True)
    second = tiny_model.stages[1](images, first, keep_relations=True)
    muted = tiny_model.stages[1].relation_reuse.conv2
    nn.init.zeros_(muted.weight)
    nn.init.zeros_(muted.bias)
    without = tiny_model.stages[1](images, first, keep_relations=True)
    heads = tiny_model.stages[1].num_heads  # the first block sees the same tokens either way
    torch.testing.assert_close(
        second.relations[:, :heads], without.relations[:, :heads] + second.reused[:, :heads]
    )
