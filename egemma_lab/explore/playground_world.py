"""The playground's world: few texts as points, in pairs with hard negatives, and what a teacher thinks of them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

# name -> where the four topics lie before they are turned (corners of a square, of a tetrahedron), and what all
# vectors have in common at the start: up on the circle, towards the reader on the sphere
SPACES = {
    "circle": ([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [0.0, 1.0]),
    "sphere": ([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]], [0.0, -0.9, 0.43]),
}
TEXTS, COPIES = 2, 2  # pairs of each of the four topics; pairs that stand there twice
ROWS = 4 * TEXTS + COPIES

APART = 0.5  # how far texts of a topic lie from its centre, and a hard negative from its positive
NARROW = 6.0  # the untrained cone: how much all vectors have in common, against 1 of their own
LEAN = 0.8  # the same of the teacher: it uses a part of the space only, as real ones do
WORDING = 0.5  # noise that tells a query from its positive before training
TEACHER_WORDING = 0.1  # the same to the teacher
DROPOUT = 0.01  # noise between two copies of one text


@dataclass(frozen=True)
class World:
    """start, teacher: (3, n, d) unit rows of queries, positives and hard negatives; ids (n,), equal where rows are
    copies of one pair; the copies come last, so `ids[:originals]` are 0, 1, 2, ...
    """

    space: str
    seed: int
    start: torch.Tensor
    teacher: torch.Tensor
    ids: torch.Tensor

    @property
    def originals(self):
        return len(self.ids) - COPIES


def make_world(space="circle", seed=0):
    """A world on the "circle" (d = 2) or the "sphere" (d = 3), its random places drawn from `seed`.

    Training starts in a narrow cone, as the vectors of an untrained network do. The two copies are one text each,
    that dropout makes unequal: every copy is a point of its own.

    >>> world = make_world("sphere")
    >>> world.start.shape, world.ids[-2:].tolist()
    (torch.Size([3, 10, 3]), [0, 2])
    """
    if space not in SPACES:
        raise ValueError(f"space={space!r} is not one of {', '.join(map(repr, SPACES))}")
    corners, common = (F.normalize(torch.tensor(given), dim=-1) for given in SPACES[space])  # (4, d), (d,)
    d, n = corners.shape[1], TEXTS * len(corners)
    draw = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(*shape, d, generator=draw)

    turn = torch.linalg.qr(noise(d)).Q  # a random rotation or reflection
    topics = (corners @ turn).repeat_interleave(TEXTS, dim=0)  # (n, d)
    means = F.normalize(topics + APART * noise(n), dim=-1)  # (n, d) what a pair says
    hard = F.normalize(means + APART * F.normalize(noise(n), dim=-1), dim=-1)
    said = torch.stack([means, means, hard])  # (3, n, d)
    begin = F.normalize(said + WORDING * noise(3, n) + NARROW * common, dim=-1)
    teacher = F.normalize(said + TEACHER_WORDING * noise(3, n) + LEAN * common, dim=-1)
    ids = torch.cat([torch.arange(n), torch.arange(0, n, TEXTS)[:COPIES]])
    begin = begin[:, ids]
    begin[:, n:] = F.normalize(begin[:, n:] + DROPOUT * noise(3, COPIES), dim=-1)
    return World(space, seed, begin, teacher[:, ids], ids)
