"""The contrastive loss of EmbeddingGemma: in-batch negatives, one weighted hard negative, no duplicates."""

import math

import torch
import torch.nn.functional as F

from ._vectors import in_full_precision, rows

HARD_NEGATIVES = ("own", "batch")


@in_full_precision
def contrastive_loss(
    query,
    positive,
    negative=None,
    *,
    temperature=0.05,
    hardness=5.0,
    hard_negatives="own",
    query_ids=None,
    positive_ids=None,
):
    """Mean over i of −log of the share that row i's positive has in row i's denominator.

        L_C = 1/B Σ_i −log( exp(sim(q_i,p_i)/τ) / Z_i )
        Z_i = w_i exp(sim(q_i,n_i)/τ) + Σ_j 1_TN(i,j) exp(sim(q_i,p_j)/τ)
        w_i = exp(α sg(sim(q_i,n_i)))
        1_TN(i,j) = 0 where another row j has q_j = q_i or p_j = p_i, else 1

    sim is the cosine and sg stops the gradient, so w_i says how much a hard negative counts and is never
    itself a reason to move. Only the row's own hard negative counts: those of other rows stay out of Z_i, unless
    `hard_negatives` is "batch".

    The case j = i: read to the letter, 1_TN(i,i) = 0, and the positive would leave its own denominator (the
    "decoupled" form, which can fall below 0). Here it stays, as in every softmax loss: the loss is then a
    cross-entropy, never negative, and a batch of one without hard negative gives exactly 0.

    Args:
        query, positive, negative: (B, d) tensors, unit rows or not (they are normalised here); `negative` may
            be None. Computed in float32, in float64 if one of them is float64.
        temperature: τ > 0. The paper prints none; 0.05 is the usual one for cosines of this kind of model.
        hardness: α >= 0, 5 in the paper; 0 switches the weighting off (w_i = 1).
        hard_negatives: "own", the paper's form, or "batch": the hard negatives of all rows stand in Z_i, each with
            the weight of its own cosine to q_i (the form of sentence-transformers' MultipleNegativesRankingLoss).
        query_ids, positive_ids: B ids (a tensor or any sequence of hashables), equal where the *texts* are
            equal. Without them nothing is masked: dropout makes equal texts unequal vectors.

    Returns a scalar. Raises ValueError for shapes that do not match, temperature <= 0 or hardness < 0.

    Source: EmbeddingGemma, arXiv 2509.20354, equations 2 and 3; the weight is from LLaVE,
    arXiv 2503.04812.

    >>> q = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> round(contrastive_loss(q, q, temperature=1.0).item(), 4)          # log(e + 1) - 1
    0.3133
    >>> contrastive_loss(q, q, temperature=1.0, query_ids=["a", "a"]).item()   # the other row is a duplicate
    0.0
    """
    query, positive, negative = rows(query=query, positive=positive, negative=negative)
    check_scales(temperature, hardness)
    check_hard_negatives(hard_negatives)
    q, p = F.normalize(query), F.normalize(positive)  # (B, d)
    logits = q @ p.T / temperature  # (B, B)
    masked = duplicates(len(q), query_ids, positive_ids, q.device)
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    denominator = logits.logsumexp(dim=1)  # (B,)
    if negative is not None:
        n = F.normalize(negative)
        hard = q @ n.T if hard_negatives == "batch" else (q * n).sum(dim=1, keepdim=True)  # (B, B) or (B, 1)
        hard = hard_logits(hard, temperature, hardness).logsumexp(dim=1)  # (B,)
        denominator = torch.logaddexp(denominator, hard)
    return (denominator - logits.diagonal()).mean()


def hard_logits(cosine, temperature, hardness):
    """log(w exp(cos/τ)) = cos/τ + α sg(cos): the weight joins the logit after the division by τ."""
    return cosine / temperature + hardness * cosine.detach()


def duplicates(batch, query_ids, positive_ids, device):
    """(B, B) mask of the other rows j that share row i's query or positive, or None without ids."""
    masked = None
    for name, ids in (("query_ids", query_ids), ("positive_ids", positive_ids)):
        if ids is None:
            continue
        ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
        if len(ids) != batch:
            raise ValueError(
                f"{name} has {len(ids)} entries for a batch of {batch} rows; one id a row is expected"
            )
        number = {}
        ids = torch.tensor([number.setdefault(x, len(number)) for x in ids], device=device)  # (B,)
        same = ids[:, None] == ids[None, :]  # (B, B)
        masked = same if masked is None else masked | same
    return None if masked is None else masked.fill_diagonal_(False)


def check_scales(temperature, hardness):
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature={temperature} must be a finite number above 0; 0.01 to 0.1 is usual")
    if not (hardness >= 0 and math.isfinite(hardness)):
        raise ValueError(
            f"hardness={hardness} must be a finite number >= 0; the paper's is 5, and 0 switches it off"
        )


def check_hard_negatives(hard_negatives):
    if hard_negatives not in HARD_NEGATIVES:
        raise ValueError(f"hard_negatives={hard_negatives!r} is not one of {', '.join(HARD_NEGATIVES)}")
