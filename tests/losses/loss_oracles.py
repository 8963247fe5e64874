"""The formulas once more, in plain loops over floats: slow, and too simple to be wrong in the same way."""

import math


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def contrastive(
    query, positive, negative=None, *, temperature, hardness, query_ids=None, positive_ids=None, w=None
):
    """`w`: weights of the hard negatives that are held fixed, instead of exp(hardness cos)."""
    query, positive = query.tolist(), positive.tolist()
    negative = None if negative is None else negative.tolist()
    losses = []
    for i, q in enumerate(query):
        denominator = 0.0
        for j, p in enumerate(positive):
            same_query = query_ids is not None and query_ids[i] == query_ids[j]
            same_positive = positive_ids is not None and positive_ids[i] == positive_ids[j]
            if j == i or not (same_query or same_positive):
                denominator += math.exp(cosine(q, p) / temperature)
        if negative is not None:
            sim = cosine(q, negative[i])
            weight = math.exp(hardness * sim) if w is None else w[i]
            denominator += weight * math.exp(sim / temperature)
        losses.append(-math.log(math.exp(cosine(q, positive[i]) / temperature) / denominator))
    return sum(losses) / len(losses)


def hard_weights(query, negative, hardness):
    return [math.exp(hardness * cosine(q, n)) for q, n in zip(query.tolist(), negative.tolist())]


def spread_out(*sides):
    total = 0.0
    for side in sides:
        side = side.tolist()
        pairs = [(a, b) for i, a in enumerate(side) for j, b in enumerate(side) if i != j]
        total += sum(sum(x * y for x, y in zip(a, b)) ** 2 for a, b in pairs) / len(pairs)
    return total


def matching(student, teacher, distance):
    values = []
    for s, t in zip(student.tolist(), teacher.tolist()):
        squared = sum((x - y) ** 2 for x, y in zip(s, t))
        values.append({"l2": math.sqrt(squared), "squared_l2": squared, "cosine": 1 - cosine(s, t)}[distance])
    return sum(values) / len(values)


def unit_prefixes(x, width):
    short = [row[:width] for row in x.tolist()]
    return [[value / math.sqrt(sum(v * v for v in row)) for value in row] for row in short]
