"""What the playground says of its points: the same numbers that describe a real embedding space."""

import numpy as np

from egemma_lab import geometry


def measure(state):
    """Geometry of the points, a dict of floats.

    alignment, uniformity, mean_cosine: of `egemma_lab.geometry`, over queries and positives, copies left out.
    accuracy: share of queries nearer to their own positive (or a copy of it) than to all others' and to their hard
    negative. margin: cosine to the own positive less the best cosine to another, mean over queries; what little is
    between right and wrong when it is small. accuracy_at_2: accuracy of the first two numbers alone. teacher: mean
    cosine to the teacher's vector of the same text. copies: mean cosine between the copies of one text.

    >>> from egemma_lab.explore.playground import start
    >>> from egemma_lab.explore.playground_world import make_world
    >>> round(measure(start(make_world("circle")))["mean_cosine"], 1)
    1.0
    """
    points, world = state.points.double().numpy(), state.world
    n = world.originals
    first = points[:2, :n]  # (2, n, d) queries and positives
    return {
        "alignment": geometry.alignment(*first),
        "uniformity": float(np.mean([geometry.uniformity(side) for side in first])),
        "mean_cosine": float(np.mean([geometry.mean_cosine(side) for side in first])),
        "accuracy": float((query_margins(state.points, world) > 0).mean()),
        "margin": float(query_margins(state.points, world).mean()),
        "accuracy_at_2": float((query_margins(state.points[..., :2], world) > 0).mean()),
        "teacher": float((points * world.teacher.double().numpy()).sum(-1).mean()),
        "copies": float((points[:2, n:] * points[:2, world.ids[n:]]).sum(-1).mean()),
    }


def query_margins(points, world):
    """Cosine of each query to its nearest own positive less that to the nearest wrong candidate: (n,).

    points: a tensor (3, n, d), of any length.
    """
    points = points.double().numpy()
    query, positive, negative = points / np.linalg.norm(points, axis=-1, keepdims=True)
    own = world.ids.numpy()[:, None] == world.ids.numpy()  # (n, n)
    cosines = query @ positive.T  # (n, n)
    wrong = np.where(own, -np.inf, cosines).max(axis=1)
    return np.where(own, cosines, -np.inf).max(axis=1) - np.maximum(wrong, (query * negative).sum(axis=1))
