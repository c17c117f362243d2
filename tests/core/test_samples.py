"""The built-in samples: 25 + 20 + 20, with words, sources and readable files."""

from __future__ import annotations

import sys

import pytest

from dvt_core.bundle import load_bundle
from dvt_core.errors import InputError
from dvt_core.images import open_image
from dvt_core.samples import get_sample, list_samples


def test_list_samples_gives_readable_pictures_with_sources():
    samples = list_samples()
    kinds = [s.id.split("_")[0] for s in samples]
    assert kinds == ["stamp"] * 25 + ["cifar10"] * 20 + ["imagenet"] * 20
    assert len({s.id for s in samples}) == len({s.title for s in samples}) == len(samples)
    for sample in samples:
        least = {"cifar10": 32, "stamp": 128, "imagenet": 256}[sample.id.split("_")[0]]
        assert min(open_image(sample.path).size) >= least
        if sample.id.startswith("stamp"):
            assert "Tux Paint" in sample.source and sample.licence == "GPL 2"
        else:
            assert "foolbox" in sample.source and "no open licence" in sample.licence


def test_every_stamp_is_listed_and_shows_a_word_that_the_large_model_knows():
    folder = list_samples()[0].path.parent
    stamps = [s for s in list_samples() if s.id.startswith("stamp")]
    assert {s.path.name for s in stamps} == {path.name for path in folder.glob("*.jpg")}
    words = {name.split(",")[0] for name in load_bundle("tiny-imagenet").class_names}
    assert {s.label for s in stamps} <= words


@pytest.mark.parametrize(
    ("sample_id", "label"),
    [
        ("cifar10_00", "cat"),
        ("cifar10_06", "automobile"),
        ("imagenet_00", "bull mastiff"),
        ("stamp_pepper", "bell pepper"),
    ],
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
