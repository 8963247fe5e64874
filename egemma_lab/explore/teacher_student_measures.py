"""How far a student agrees with its teacher: arrays in, numbers out."""

import numpy as np

MOST_PAIRS = 200_000  # compared at most; of 500 texts all 124,750 are
KINDS = {
    "all": ("any", "any"),
    "query and document": ("query", "document"),
    "two documents": ("document", "document"),
    "two queries": ("query", "query"),
}


def pairs_of(roles, kind="all", seed=0, most=MOST_PAIRS):
    """Pairs of different texts as rows (m, 2), each once; of more than `most`, so many drawn by the seed.

    roles: n strings, "query" or "document"; kind: one of `KINDS`. Empty where there are no two such texts.

    >>> pairs_of(["query", "document", "document"], "query and document").tolist()
    [[0, 1], [0, 2]]
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(KINDS)}")
    roles = np.asarray(roles)
    first, second = (np.flatnonzero((role == "any") | (roles == role)) for role in KINDS[kind])
    apart = KINDS[kind][0] != KINDS[kind][1]
    count = len(first) * len(second) if apart else len(first) * (len(first) - 1) // 2
    if count <= most:
        i, j = (
            np.indices((len(first), len(second))).reshape(2, -1) if apart else np.triu_indices(len(first), 1)
        )
    else:  # drawn with repetition, since so few of so many hardly ever meet
        rng = np.random.default_rng(seed)
        i, j = rng.integers(0, len(first), most), rng.integers(0, len(second), most)
        if not apart:
            i, j = i[i != j], j[i != j]
    return np.stack([first[i], second[j]], axis=1)


def pair_cosines(vectors, pairs):
    """Cosines of pairs of unit rows: (n, d), (m, 2) -> (m,) float32.

    >>> pair_cosines(np.eye(2), np.array([[0, 1], [0, 0]])).tolist()
    [0.0, 1.0]
    """
    if len(vectors) <= 2000:
        cosines = (vectors @ vectors.T).astype(np.float32)
        return cosines[pairs[:, 0], pairs[:, 1]]
    return np.einsum("md,md->m", vectors[pairs[:, 0]], vectors[pairs[:, 1]]).astype(np.float32)


def ranks(values):
    """Ranks from 1, equal values share the mean of theirs: (m,) -> (m,) float64. As `scipy.stats.rankdata`, whose
    stable sort takes four times as long on the hundred thousand pairs of five hundred texts.

    >>> ranks(np.array([0.5, 0.1, 0.5])).tolist()
    [2.5, 1.0, 2.5]
    """
    values = np.asarray(values)
    order = np.argsort(values)
    begins = np.flatnonzero(
        np.concatenate([[True], np.diff(values[order]) != 0])
    )  # of each run of equal values
    ends = np.append(begins[1:], len(values))
    found = np.empty(len(values))
    found[order] = np.repeat((begins + 1 + ends) / 2, ends - begins)
    return found


def correlation(first, second):
    """Pearson's correlation of two arrays, -1 to 1; NaN where one is constant or they have fewer than three entries.

    Of `ranks` it is Spearman's. Read that: 1, the student orders all pairs as the teacher does, whatever its cosines
    are; 0, it knows nothing of their order.

    >>> round(correlation(ranks([0.1, 0.2, 0.9]), ranks([0.5, 0.6, 0.7])), 6)
    1.0
    """
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def cosine_density(teacher, student, edges):
    """How many pairs have which cosines: (m,), (m,) -> (bins, bins) counts, rows the student's cosine.

    edges: (bins + 1,) for both; a cosine beyond them counts in the outermost bin.

    >>> cosine_density([0.1, 0.9], [0.2, -0.5], np.array([0.0, 0.5, 1.0])).tolist()
    [[1, 1], [0, 0]]
    """
    teacher, student = (np.clip(values, edges[0], edges[-1]) for values in (teacher, student))
    return np.histogram2d(student, teacher, bins=(edges, edges))[0].astype(np.int64)


def turn_towards(teacher, student):
    """The matrix (D, k) with orthonormal columns that brings the teacher's vectors nearest to the student's.

    teacher (n, D), student (n, k), k at most D: orthogonal Procrustes with a cut (Schoenemann 1966), U V' of the
    singular value decomposition U S V' of teacher' student. It is learnt, so measure on other texts, or with n well
    above k. ValueError for other shapes.

    >>> turn_towards(np.eye(3), np.eye(3)[:, [1, 0]]).round(6).tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    """
    teacher, student = (np.asarray(rows, dtype=np.float64) for rows in (teacher, student))
    if (
        teacher.ndim != 2
        or student.ndim != 2
        or len(teacher) != len(student)
        or student.shape[1] > teacher.shape[1]
    ):
        raise ValueError(
            f"teacher has shape {teacher.shape} and student {student.shape}; expected (n, D) and (n, k), k at most D"
        )
    left, _, right = np.linalg.svd(teacher.T @ student, full_matrices=False)
    return left @ right


def deviations(student, targets):
    """How far each text lies from where the teacher has it: unit rows (n, k) each -> (n,) distances, 0 to 2.

    Read it: 0, the same vector; 1.41, unrelated to it.

    >>> deviations(np.eye(2), np.eye(2)).tolist()
    [0.0, 0.0]
    """
    return np.linalg.norm(np.asarray(student, dtype=np.float64) - targets, axis=1)


def recall(queries, documents, relevant, k):
    """Share of a query's relevant documents among its k nearest: (q, d), (m, d), q sets of rows -> (q,) 0 to 1.

    Queries without a relevant document get NaN.

    >>> recall(np.eye(2), np.eye(2), [{0}, {0}], 1).tolist()
    [1.0, 0.0]
    """
    order = np.argsort(-(np.asarray(queries) @ np.asarray(documents).T), axis=1, kind="stable")[:, :k]
    return np.array(
        [
            len(wanted & set(found)) / len(wanted) if wanted else np.nan
            for found, wanted in zip(order.tolist(), relevant)
        ]
    )


def search_table(student, targets, teacher, queries, documents, relevant, k=10):
    """Who finds what: queries and documents each by the student or by the teacher.

    Parameters: `student` and `targets` (n, k'), unit rows of the same space, `teacher` (n, D) as it is; `queries` and
    `documents`, rows of the texts of each role; `relevant`, for each query the set of document rows that answer it.

    A pandas.DataFrame, one row a combination: `queries by`, `documents by`, `first is right` (share of the queries
    whose nearest document answers them), `recall@k`, and `±`, half the 95% interval of the latter over queries.
    Documents by the teacher and queries by the student is the asymmetric search: an index made once by the large
    model, asked by the small one.
    """
    import pandas as pd

    sides = {
        ("student", "student"): (student, student),
        ("student", "teacher"): (student, targets),
        ("teacher", "student"): (targets, student),
        ("teacher", "teacher"): (teacher, teacher),
    }
    place = {row: column for column, row in enumerate(documents)}
    wanted = [{place[row] for row in rows if row in place} for rows in relevant]
    found = []
    for (asking, asked), (first, second) in sides.items():
        at_1, at_k = (recall(first[queries], second[documents], wanted, depth) for depth in (1, k))
        known = ~np.isnan(at_k)
        error = 1.96 * at_k[known].std(ddof=1) / np.sqrt(known.sum()) if known.sum() > 1 else np.nan
        found.append((asking, asked, (at_1[known] > 0).mean(), at_k[known].mean(), error))
    return pd.DataFrame(found, columns=["queries by", "documents by", "first is right", f"recall@{k}", "±"])
