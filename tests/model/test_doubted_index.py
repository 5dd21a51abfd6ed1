"""A finished model's doubts of its colour index: the network's say in its threshold, clipping, noise."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cropseg_geo.model.networks.greenness import excess_green, in_range, look_at, noise_of
from cropseg_geo.model.networks.prior import ColourPrior, believed
from cropseg_geo.model.networks.threshold import BINS, contradicted, histogram

HEAVY, TRAINED, SHIFT, GREY = 18.0, 5.0, 0.03, 0.03
SOIL, LEAF = (0.45, 0.35, 0.25), (0.25, 0.5, 0.2)
GREEN_LIGHT = (0.9, 1.12, 0.9)


def image_of(colours):
    """(H, W, 3) colours on 0–1 → (1, 3, H, W) on −1–1."""
    return torch.from_numpy(np.asarray(colours, dtype=np.float32)).permute(2, 0, 1)[None] * 2 - 1


def field(*, light=(1.0, 1.0, 1.0), noise=0.02, side=64):
    """The left eighth leaf, the rest soil."""
    colours = np.empty((side, side, 3))
    colours[:] = SOIL
    colours[:, : side // 8] = LEAF
    colours += np.random.default_rng(1).normal(0, noise, colours.shape)
    return image_of(np.clip(colours * light, 0, 1))


def logits_of(image, margin):
    """What a network says that knows the left eighth by its look, and is ``margin`` sure of it."""
    side = image.shape[-1]
    said = torch.full((1, 2, side, side), 0.0)
    said[:, 1] = -margin
    said[:, 1, :, : side // 8] = margin
    return said


def doubtful(**changes):
    return ColourPrior(HEAVY, 2, **{"shift": SHIFT, "doubted": TRAINED, **changes}).eval()


def slow_contradicted(shares, plants):
    """Pixel by pixel of the definition: plants below a candidate, ground from it on."""
    return np.array([plants[:k].sum() + (shares - plants)[k:].sum() for k in range(len(shares))])


def test_what_is_contradicted_is_what_counting_gives():
    rng = np.random.default_rng(3)
    shares = rng.random(BINS)
    shares /= shares.sum()
    plants = shares * rng.random(BINS)
    found = contradicted(*(torch.from_numpy(x)[None] for x in (shares, plants)))[0]
    np.testing.assert_allclose(found, slow_contradicted(shares, plants), atol=1e-6)


def test_a_histogram_counts_pixels_by_as_much_as_they_count():
    values = torch.rand(2, 900, generator=torch.Generator().manual_seed(1)) * 1.1 - 0.25
    counted = torch.rand(2, 900, generator=torch.Generator().manual_seed(2))
    parts = histogram(values, counted) + histogram(values, 1.0 - counted)
    torch.testing.assert_close(parts, histogram(values))
    torch.testing.assert_close(histogram(values, counted).sum(1), counted.mean(1))


def slow(prior, image, logits):
    """The whole of it in NumPy, float64, but for the threshold's own votes: what moves the margin."""
    colours = (image[0].double().numpy() + 1) / 2
    red, green, blue = colours
    excess = 2 * green - red - blue
    h, w = excess.shape
    blocks = excess.reshape(h // 2, 2, w // 2, 2)
    coarse, light = blocks.mean((1, 3)), 3 * (colours.mean() + 0.02)
    width = 1.2 / BINS
    bins = np.clip(np.floor((coarse / light + 0.3) / width), 0, BINS - 1).astype(int).ravel()
    shares = np.bincount(bins, minlength=BINS) / bins.size
    votes = prior.threshold.votes(torch.from_numpy(shares[None]).float())[0].double().detach().numpy()

    def place(belief):
        return (belief / belief.sum() * (np.arange(BINS) * width - 0.3)).sum()

    def parted(belief):
        cut = light * place(belief)
        above, below = coarse[coarse > cut], coarse[coarse <= cut]
        return cut, max(above.mean() - below.mean() if len(above) and len(below) else 0.0, 0.1 / 3 * light)

    cut, distance = parted(votes)
    margin = (logits[0, 1] - logits[0, 0]).double().numpy().reshape(h // 2, 2, w // 2, 2).mean((1, 3))
    sure = margin + prior.doubted * np.clip((coarse - cut) / distance, -1.5, 1.5)
    day = np.clip((colours.mean() - 0.2) / 0.15, 0, 1)
    bound = min(prior.grey * day, place(votes) - 0.06)

    def grey(greenness):
        return np.clip((bound - greenness) / 0.02 + 0.5, 0, 1) if prior.grey else 0 * greenness

    opinion = (1 - grey(coarse / light)) / (1 + np.exp(-sure))
    plants = np.bincount(bins, opinion.ravel(), BINS) / bins.size
    cut, distance = parted((votes + 0.0003) * np.exp(-100 * slow_contradicted(shares, plants)))
    diagonal = blocks[:, 0, :, 0] - blocks[:, 1, :, 0] - blocks[:, 0, :, 1] + blocks[:, 1, :, 1]
    between_rows = np.abs((blocks[:, 0] - blocks[:, 1]).sum(-1)).mean()
    between_columns = np.abs((blocks[..., 0] - blocks[..., 1]).sum(1)).mean()
    even = 2 * np.abs(diagonal).mean() / (between_rows + between_columns)
    noise = np.sqrt(np.pi / 8) * np.abs(diagonal).mean() / distance * np.clip((even - 0.88) / 0.07, 0, 1)
    share = np.clip((noise - 0.1) / 0.2, 0, 1)
    near = [
        [coarse[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].mean() for c in range(w // 2)]
        for r in range(h // 2)
    ]
    around = np.repeat(np.repeat(near, 2, axis=0), 2, axis=1)
    calm = (1 - share) * excess + share * around
    index = np.clip((calm - cut) / distance, -1.5, 1.5) + prior.shift
    room = np.clip((1 - np.where(index > 0, red, green)) * 255 / 4, 0, 1)
    margin = (logits[0, 1] - logits[0, 0]).double().numpy()
    cut_off = room * grey(excess / light) * np.clip(margin - 2, 0, None)
    return (prior.doubted + (prior.weight - prior.doubted) * room) * index - cut_off


@pytest.mark.parametrize("grey", [0.0, GREY, 0.3])
@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("light", [(1.0, 1.0, 1.0), GREEN_LIGHT, (2.2, 2.2, 2.2)])
def test_it_is_what_a_slow_direct_computation_gives(light, noise, grey):
    prior, image = doubtful(grey=grey), field(light=light, noise=noise)
    logits = 2 * torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(5))
    moved = (prior(image, logits) - logits)[0]
    # A block on the edge of a bin may fall to either side, and one in a thousand is a tenth of a logit.
    np.testing.assert_allclose(moved[1] - moved[0], slow(prior, image, logits), atol=0.15)


def test_without_doubts_it_is_the_index_by_its_weight():
    image, logits = field(), torch.randn(1, 2, 64, 64)
    prior = doubtful(doubted=0.0)
    moved = prior(image, logits) - logits
    seen = look_at(image)
    index = seen.parted_at(prior.threshold(seen.relative)).index(seen.green)
    expected = HEAVY / 2 * (index + SHIFT)
    torch.testing.assert_close(moved[:, 1:], expected, atol=1e-4, rtol=0.0)


def test_a_network_that_knows_the_soil_keeps_green_light_from_making_it_plants():
    # The untaught threshold is the habitual 0.1; in this light the soil is greener than that.
    image = field(light=(0.72, 1.35, 0.72))
    green, brightness = excess_green(image)
    assert (green / brightness)[..., 16:].mean() > 0.1
    # More than the index weighs in training, at its greenest.
    logits = logits_of(image, margin=10.0)
    for doubted, soil_is_plant in ((0.0, True), (TRAINED, False)):
        vegetation = doubtful(doubted=doubted)(image, logits).argmax(1)[0]
        assert vegetation[:, :8].float().mean() > 0.95
        assert (vegetation[:, 8:].float().mean() > 0.9) == soil_is_plant


def test_a_network_that_agrees_with_the_index_changes_nothing():
    image = field(noise=0.005)
    agreeing = logits_of(image, margin=6.0)
    plain, heard = (doubtful(doubted=d)(image, agreeing).argmax(1) for d in (0.0, TRAINED))
    assert torch.equal(plain, heard)


@pytest.mark.parametrize("asphalt", [(0.35, 0.35, 0.36), (0.6, 0.61, 0.58)])
def test_grey_ground_is_no_plant_however_sure_the_network_is(asphalt):
    """It calls all of the picture a plant: the leaves, which are green, and asphalt, which it never saw."""
    colours = np.full((64, 64, 3), asphalt)
    colours[:, :8] = LEAF
    image = image_of(np.clip(colours + np.random.default_rng(1).normal(0, 0.01, colours.shape), 0, 1))
    believing = torch.zeros(1, 2, 64, 64)
    believing[:, 1] = 6.0
    for grey, ground_is_plant in ((0.0, True), (GREY, False)):
        vegetation = doubtful(grey=grey)(image, believing).argmax(1)[0]
        assert vegetation[:, :8].float().mean() > 0.95
        assert (vegetation[:, 8:].float().mean() > 0.9) == ground_is_plant


def test_the_network_is_believed_where_it_is_dark_and_where_colours_are_clipped():
    # As a share of the brightness, this is greener than grey by less than a day's picture would have to be.
    night = image_of(np.full((64, 64, 3), (0.09, 0.093, 0.09)))
    white = image_of(np.full((64, 64, 3), 1.0))
    sure = torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(1)) * 5
    for image in (night, white):
        assert torch.equal(doubtful(grey=GREY)(image, sure).argmax(1), doubtful()(image, sure).argmax(1))


def test_what_is_cut_off_is_the_word_against_the_first_class():
    logits = torch.tensor([1.0, 8.0, 2.5, -4.0]).reshape(1, 4, 1, 1)
    for grey, left in (
        (1.0, [1.0, 3.0, 2.5, -4.0]),
        (0.5, [1.0, 5.5, 2.5, -4.0]),
        (0.0, [1.0, 8.0, 2.5, -4.0]),
    ):
        found = believed(logits, logits[:, :1], torch.full((1, 1, 1, 1), grey))
        assert found.flatten().tolist() == left


def test_each_image_of_a_batch_is_judged_by_itself():
    prior = doubtful(grey=GREY)
    images = torch.cat([field(noise=0.1), field(light=GREEN_LIGHT, noise=0.01)])
    logits = torch.cat([torch.randn(1, 2, 64, 64), logits_of(images[:1], 4.0)])
    alone = torch.cat([prior(images[k : k + 1], logits[k : k + 1]) for k in (0, 1)])
    torch.testing.assert_close(prior(images, logits), alone)


@pytest.mark.parametrize(
    ("colour", "index", "trust"),
    [
        ((0.9, 0.9, 0.4), 1.0, 1.0),
        ((1.0, 1.0, 0.4), 1.0, 0.0),  # a bright soil, as green as it is red
        ((0.7, 1.0, 0.6), 1.0, 1.0),  # at least so green
        ((1.0, 0.7, 0.6), -1.0, 1.0),  # at most so green
        ((0.9, 1.0, 1.0), -1.0, 0.0),
        ((253 / 255, 0.9, 0.4), 1.0, 0.5),
    ],
)
def test_a_clipped_channel_speaks_against_what_it_makes_seem(colour, index, trust):
    image = image_of(np.full((2, 2, 3), colour))
    found = in_range(image, torch.full((1, 1, 2, 2), index))
    assert found.unique().item() == pytest.approx(trust, abs=0.01)


@pytest.mark.parametrize("sigma", [0.1, 0.2])
def test_noise_is_measured_as_it_is_edges_or_not(sigma):
    rng = np.random.default_rng(2)
    rows, cols = np.mgrid[:256, :256]
    for values in (0 * rows, rows // 129 % 2, rows / 256 + cols / 128):
        noisy = torch.from_numpy(values + rng.normal(0, sigma, values.shape))[None, None]
        assert noise_of(noisy).item() == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize("size_px", [1.0, 2.0, 4.0])
def test_leaves_of_few_pixels_are_no_noise(size_px):
    rng = np.random.default_rng(3)
    leaves = ndimage.gaussian_filter(rng.standard_normal((256, 256)), size_px / 2.0) > 0
    assert noise_of(torch.from_numpy(leaves.astype(np.float32))[None, None]).item() == 0.0


@pytest.mark.parametrize(("sigma", "calm"), [(0.0, False), (0.002, False), (0.1, True)])
def test_noise_alone_is_averaged_away(sigma, calm):
    image = field(noise=sigma)
    seen = look_at(image)
    found = seen.calmed(seen.parted_at(torch.tensor([0.1]))).green
    assert torch.equal(found, seen.green) != calm
    if calm:
        assert noise_of(found).item() < 0.1 * noise_of(seen.green).item()


def test_noise_costs_a_doubted_index_few_pixels():
    image = field(noise=0.08, side=128)
    knowing_nothing = torch.zeros(1, 2, 128, 128)
    truth = torch.arange(128)[None].expand(128, -1) < 16
    wrong = [
        (doubtful(doubted=d)(image, knowing_nothing).argmax(1)[0] != truth).float().mean().item()
        for d in (0.0, TRAINED)
    ]
    assert wrong[1] < 0.3 * wrong[0]
