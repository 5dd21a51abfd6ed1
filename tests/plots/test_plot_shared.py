"""Areas that polygons share are those of GEOS's intersections, without any being made."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cropseg_geo.plots.measuring import shared
from cropseg_geo.plots.measuring.shared import shared_areas

FAR = np.array([30_000.0, 20_000.0])


def stars(rng, n):
    """Polygons with spikes, some with a hole or in parts."""
    found = []
    for _ in range(n):
        angle = np.sort(rng.random(rng.integers(3, 40))) * 2 * np.pi
        spikes = rng.uniform(4, 20, (len(angle), 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        star = shapely.make_valid(shapely.Polygon(spikes), method="structure")
        star = shapely.difference(star, shapely.box(*rng.uniform(-9, 0, 2), *rng.uniform(0, 9, 2)))
        found.append(shapely.affinity.translate(star, *(FAR + rng.random(2) * 40)))
    return np.array(found, dtype=object)


def pixels(rng):
    """A polygon on whole numbers, with holes and corners that touch."""
    boxes = [shapely.box(c, r, c + 1, r + 1) for r, c in np.argwhere(rng.random((30, 30)) < 0.6)]
    return shapely.transform(shapely.union_all(boxes), lambda xy: xy + FAR)


def plots(rng, n):
    """Rectangles, as they lie or turned by a little or by much, and other shapes."""
    corners = FAR + rng.random((n, 2)) * 30
    boxes = shapely.box(*corners.T, *(corners + rng.uniform(1, 20, (n, 2))).T)
    turned = [
        shapely.affinity.rotate(b, a) for b, a in zip(boxes, rng.choice([0, 1e-7, 3, 90], n), strict=True)
    ]
    return np.concatenate([np.array(turned, dtype=object), stars(rng, n)])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 1 << 19]))
def test_shared_areas_are_those_of_intersections(seed, at_once):
    rng = np.random.default_rng(seed)
    polygons, outlines = np.append(stars(rng, 8), pixels(rng)), plots(rng, 4)
    which, outline = np.indices((len(polygons), len(outlines))).reshape(2, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "_AT_ONCE", at_once)
        found = shared_areas(polygons, outlines, which, outline)
    expected = shapely.area(shapely.intersection(polygons[which], outlines[outline]))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_what_is_empty_or_lies_apart_shares_nothing():
    polygons = np.array([shapely.Polygon(), shapely.box(0, 0, 1, 1)])
    outlines = np.array([shapely.box(1, 0, 2, 1), shapely.box(0, 5, 1, 6)])
    assert shared_areas(polygons, outlines, np.array([0, 1, 1]), np.array([0, 0, 1])).tolist() == [0, 0, 0]
    nothing = np.empty(0, np.intp)
    assert len(shared_areas(polygons, outlines, nothing, nothing)) == 0
