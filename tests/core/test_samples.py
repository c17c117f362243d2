"""The built-in samples: 20 + 20, with words, sources and readable files."""

from __future__ import annotations

import sys

import pytest

from dvt_core.errors import InputError
from dvt_core.images import open_image
from dvt_core.samples import get_sample, list_samples


def test_list_samples_gives_forty_readable_pictures():
    samples = list_samples()
    assert [s.id.split("_")[0] for s in samples] == ["cifar10"] * 20 + ["imagenet"] * 20
    assert len({s.id for s in samples}) == len({s.title for s in samples}) == 40
    for sample in samples:
        assert min(open_image(sample.path).size) >= (32 if "cifar10" in sample.id else 256)
        assert "foolbox" in sample.source and "no open licence" in sample.licence


@pytest.mark.parametrize(
    ("sample_id", "label"),
    [("cifar10_00", "cat"), ("cifar10_06", "automobile"), ("imagenet_00", "bull mastiff")],
)
def test_get_sample_has_the_right_words(sample_id, label):
    assert get_sample(sample_id).label == label


def test_list_samples_puts_known_classes_first():
    samples = list_samples(["spoonbill, a wading bird", "Strawberry"])
    assert {s.label for s in samples[:2]} == {"spoonbill", "strawberry"}
    assert sorted(s.id for s in samples) == sorted(s.id for s in list_samples())


def test_get_sample_refuses_unknown_ids():
    with pytest.raises(InputError, match="unknown sample 'cat'"):
        get_sample("cat")


def test_list_samples_never_imports_foolbox():
    list_samples()
    assert "foolbox" not in sys.modules
