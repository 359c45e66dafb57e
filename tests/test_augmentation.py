"""Affine augmentation: what a map does, both ways of applying it, and that copies follow from the epoch."""

import hashlib

import pytest
import torch
from test_engine import engine  # noqa: F401  # a fixture

from lightcnn import augmentation
from lightcnn.augmentation import NUM_COPIES, augmented, drawn_maps
from lightcnn.engine.build import load


@pytest.fixture(scope="module")
def images():
    return torch.rand(1_050, 2, 15, 15, generator=torch.Generator().manual_seed(0))


def with_map(monkeypatch, rows):
    monkeypatch.setattr(
        augmentation, "drawn_maps", lambda num, *_: torch.tensor(rows, dtype=torch.float32).repeat(num, 1, 1)
    )


@pytest.mark.parametrize("by_engine", [True, False])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (((1, 0, 0), (0, 1, 0)), lambda it: it),
        (((1, 0, 0), (0, 1, 2)), lambda it: torch.nn.functional.pad(it, (0, 0, 0, 2))[:, :, 2:]),
        (((1, 0, -3), (0, 1, 0)), lambda it: torch.nn.functional.pad(it, (3, 0))[..., :-3]),
        (((0, 1, 0), (1, 0, 0)), lambda it: it.mT),
        (
            ((1, 0, 0.25), (0, 1, 0)),
            lambda it: 0.75 * it + 0.25 * torch.nn.functional.pad(it, (0, 1))[..., 1:],
        ),
        (((1, 0, 1e6), (0, 1, -1e6)), torch.zeros_like),
    ],
    ids=["same", "down", "left", "turned over", "a quarter", "far off"],
)
def test_a_map_says_where_pixels_are_read(rows, expected, by_engine, images, engine, monkeypatch):  # noqa: F811
    with_map(monkeypatch, rows)
    found = augmented(images, 1.0, 0, load(engine) if by_engine else None)
    torch.testing.assert_close(found, expected(images), atol=3e-6, rtol=0)


@pytest.mark.parametrize("strength", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("side", [1, 2, 15, 28])
def test_the_engine_copies_as_pytorch_does(strength, side, engine):  # noqa: F811
    images = torch.rand(100, 3, side, side, generator=torch.Generator().manual_seed(1))
    ours, theirs = (augmented(images, strength, 3, library) for library in (load(engine), None))
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)
    assert not torch.equal(ours, images)


def test_a_copy_follows_from_the_epoch_and_comes_again(images, engine):  # noqa: F811
    library = load(engine)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = augmented(images, 1.0, 5, library)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(augmented(images, 1.0, 5 + NUM_COPIES, library), first)
    others = [augmented(images, 1.0, epoch, library) for epoch in range(5)]
    assert all(not torch.equal(other, first) for other in others)


def test_maps_are_the_same_on_every_machine():
    """Also in a later version: a study that goes on must see the same images."""
    digest = hashlib.sha256(drawn_maps(500, 28, 1.0, 7).numpy().tobytes()).hexdigest()
    assert digest.startswith("d1d58f4c52e6735a")


def test_maps_lie_within_their_limits():
    """Of 20,000: turned by 10 degrees, stretched and sheared by a tenth, the centre moved by a pixel."""
    maps = drawn_maps(20_000, 28, 1.0, 0).double()
    centre = maps @ torch.tensor([13.5, 13.5, 1.0]).double() - 13.5
    assert 0.99 < centre.abs().max() <= 1 + 1e-5
    linear = maps[:, :, :2]
    areas = torch.linalg.det(linear)
    assert 1 / 1.1**2 - 1e-6 < areas.min() < 0.84 and 1.2 < areas.max() < 1 / 0.9**2 + 1e-6
    turned = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))  # the first axis is never sheared
    assert 9.9 < turned.max() < 10.05 and -10.05 < turned.min() < -9.9
    assert (linear.mean(0) - torch.eye(2)).abs().max() < 0.01
