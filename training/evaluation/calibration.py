"""Calibration: does 0.8 mean four pixels in five? Measured, and put right by a temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from cropseg_geo.errors import InputError
from cropseg_geo.model.predictor import Predictor
from training.data import Decoded
from training.evaluation.pictures import THREADS, picture_logits, vegetation_probability
from training.scores import IGNORE, Truth

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

BINS = 15

CLASSIFIER = "classifier"
"""The last layer of a network without a colour index: its output is the logits, but for an enlargement."""

PRIOR_TEMPERATURE = "prior.temperature"
"""Divides network and colour index alike, where there is one."""

TEMPERATURES = (0.05, 20.0)
"""Where the temperature is looked for; one at an end says that something else is wrong."""

PIXELS_A_PICTURE = 20_000
"""Pixels drawn from a picture: neighbours tell the same, and a million in all pin T down to three digits."""


@dataclass(frozen=True)
class Reliability:
    """Per bin of predicted probability: pixels, those of them that are vegetation, sum of the probabilities.

    Histograms, so that a test set of any size takes a few hundred bytes. The bins are of equal width over
    0–1 and of the vegetation's own probability, not of the winning class's: for the winner, a leaf that is
    too certain and a soil that is not certain enough would fall into one bin and cancel.
    """

    pixels: tuple[int, ...] = (0,) * BINS
    vegetation: tuple[int, ...] = (0,) * BINS
    probability: tuple[float, ...] = (0.0,) * BINS

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            tuple(a + b for a, b in zip(self.pixels, other.pixels, strict=True)),
            tuple(a + b for a, b in zip(self.vegetation, other.vegetation, strict=True)),
            tuple(a + b for a, b in zip(self.probability, other.probability, strict=True)),
        )

    @property
    def ece(self) -> float:
        """Expected calibration error, 0–1: mean over the pixels of |mean probability − share| of their bin.

        Source: C. Guo et al., "On calibration of modern neural networks" (2017), arXiv:1706.04599, eq. 5,
        with the vegetation's probability for the confidence and its share for the accuracy.
        """
        total = sum(self.pixels)
        gaps = (abs(p - v) for p, v in zip(self.probability, self.vegetation, strict=True))
        return sum(gaps) / total if total else 0.0

    def curve(self) -> tuple[tuple[float, float, int], ...]:
        """(mean probability, share of vegetation, pixels) of every bin that holds a pixel."""
        bins = zip(self.probability, self.vegetation, self.pixels, strict=True)
        return tuple((p / n, v / n, n) for p, v, n in bins if n)


def reliability(probability: Floats, truth: Truth) -> Reliability:
    """Histograms of one picture; ``probability`` is (H, W) on 0–1."""
    known, plants = probability[truth.known], truth.plants[truth.known]
    index = np.minimum((known * np.float32(BINS)).astype(np.intp), BINS - 1)
    return Reliability(
        tuple(int(n) for n in np.bincount(index, minlength=BINS)),
        tuple(int(n) for n in np.bincount(index[plants], minlength=BINS)),
        tuple(float(p) for p in np.bincount(index, weights=known, minlength=BINS)),
    )


@dataclass(frozen=True)
class Calibration:
    """A temperature and what it does on the pictures it was fitted to."""

    temperature: float
    pixels: int
    ece_before: float
    ece_after: float


def calibrate(
    predictor: Predictor,
    pictures: Sequence[Decoded],
    *,
    rng: np.random.Generator,
    pixels_a_picture: int = PIXELS_A_PICTURE,
    threads: int = THREADS,
) -> Calibration:
    """Fit the temperature of a model of two classes on held-out pictures.

    Parameters
    ----------
    predictor
        The model without a temperature.
    pictures
        Pictures that the model was not trained on and that no test set holds.
    rng
        Draws the pixels, the same ones for any number of threads.
    threads
        Pictures that are worked on at once.

    Raises
    ------
    InputError
        If there is no picture.
    """
    if not pictures:
        raise InputError("no pictures to calibrate on", remedy="hold out some groups of the training pairs")

    def draw(picture: Decoded, own: np.random.Generator) -> tuple[Floats, Pixels]:
        return _draw(predictor, picture, pixels_a_picture, own)

    with ThreadPoolExecutor(threads, thread_name_prefix="calibrate") as pool:
        parts = list(pool.map(draw, pictures, rng.spawn(len(pictures))))
    logits, classes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    temperature = fit_temperature(logits, classes)
    return Calibration(
        temperature,
        len(classes),
        ece_before=_ece_of(logits, classes),
        ece_after=_ece_of((logits / temperature).astype(np.float32), classes),
    )


def fit_temperature(logits: Floats, classes: npt.NDArray[np.integer]) -> float:
    """The temperature T that makes softmax(logits / T) most likely.

    The mean negative log-likelihood is convex in 1/T, so it has one minimum; it is searched on a logarithmic
    axis, where twice as sure is as far as half as sure.

    Parameters
    ----------
    logits
        (N, K).
    classes
        (N,) true class of each.

    Returns
    -------
    float
        Above 1 for a model that is too certain. Source: arXiv:1706.04599, section 4.2.

    Raises
    ------
    InputError
        If there are no samples, or no temperature is the best: a model that is never wrong on them could
        always be surer, one that is wrong throughout never unsure enough.
    """
    if len(classes) == 0:
        raise InputError("no pixels to fit a temperature to", remedy="give pictures whose truth is known")
    wide = logits.astype(np.float64)
    if np.array_equal(wide.argmax(axis=1), classes):
        raise InputError(
            f"the model is right on all {len(classes)} pixels: no temperature is the best",
            remedy="give more pictures, such as the model errs on",
        )
    true = np.take_along_axis(wide, classes.astype(np.intp)[:, None], axis=1)[:, 0]

    def surprise(log_temperature: float) -> float:
        scale = float(np.exp(-log_temperature))
        return float(np.mean(logsumexp(scale * wide, axis=1) - scale * true))

    bounds = tuple(np.log(TEMPERATURES))
    best = float(minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x)
    if min(best - bounds[0], bounds[1] - best) < 1e-2:
        raise InputError(
            f"the best temperature is at the end of the range that was searched, {np.exp(best):.3g}",
            remedy="give other pictures, or look for labels that are wrong",
        )
    return float(np.exp(best))


def fold_temperature(state: Mapping[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """Weights whose logits are those of ``state`` divided by ``temperature``.

    Classes of the highest probability stay what they are, so masks at a threshold of 0.5 do not change.

    Raises
    ------
    InputError
        If the temperature is not above 0, or the network has no last layer of the name that is expected.
    """
    if not 0.0 < temperature < float("inf"):
        raise InputError(f"temperature {temperature} is not a number above 0")
    if PRIOR_TEMPERATURE in state:
        return {**state, PRIOR_TEMPERATURE: state[PRIOR_TEMPERATURE] * temperature}
    last = {f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"}
    if missing := sorted(last - state.keys()):
        raise InputError(f"the network has no {', '.join(missing)} to fold a temperature into")
    return {name: tensor / temperature if name in last else tensor for name, tensor in state.items()}


def _draw(predictor: Predictor, picture: Decoded, n: int, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Logits (n, K) and classes (n,) of pixels whose truth is known, at most all of them."""
    logits = picture_logits(predictor, picture.image).reshape(len(predictor.card.classes), -1)
    mask = picture.mask.reshape(-1)
    known = np.flatnonzero(mask != IGNORE)
    chosen = rng.choice(known, size=min(n, len(known)), replace=False)
    return logits[:, chosen].T, (mask[chosen] > 0).astype(np.uint8)


def _ece_of(logits: Floats, classes: Pixels) -> float:
    probability = vegetation_probability(logits[..., None, None])[:, 0]
    return reliability(probability, Truth.of(classes[:, None])).ece
