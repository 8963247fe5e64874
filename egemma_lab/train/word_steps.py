"""A step of matching word by word: the student's vectors of texts and of words pulled to the teacher's.

Every text's loss is its own, so a step adds up gradients one micro-batch at a time: its memory is that of one of them.
The teacher speaks of tokens, of which there are too many to keep: it reads each batch as it comes.
"""

import dataclasses

import torch
import torch.nn.functional as F

from egemma_lab.losses import RecipeOutput, embedding_matching_loss, word_matching_loss
from egemma_lab.model.batching import pad_batch
from egemma_lab.model.shared_words import shared_words
from egemma_lab.train.out_of_memory import Fitting, cut
from egemma_lab.train.processes import shared_sum


@dataclasses.dataclass
class Targets:
    """What the teacher says of one text: `text` (d,), `tokens` (U, d), and which words both sides' tokens belong to."""

    text: torch.Tensor
    tokens: torch.Tensor
    words: torch.Tensor  # (U,), of the teacher's tokens
    student_words: torch.Tensor  # (L,), of the student's
    count: int


class WordSteps:
    """Called with a step's `TokenBatch`: leaves the gradient of w_D L_D + w_W L_W in the parameters.

    L_D is the matching loss of the texts, L_W that of their words (`word_matching_loss`). The teacher is the one that
    `fit_teacher` gives: as wide as the student.
    """

    def __init__(self, state, parameters):
        pooling = state.model.config.pooling
        if pooling != "mean":
            raise ValueError(
                f"words={state.recipe.words:g} needs a student that pools by the mean, and this one pools by "
                f"{pooling!r}: only a mean says something of each token; set words=0"
            )
        self.state, self.parameters = state, parameters
        self.fitting = Fitting(retry=state.accelerator.num_processes == 1)
        self.token_states = state.model.token_states
        if state.recipe.compile:
            self.token_states = torch.compile(self.token_states, dynamic=True)

    def __call__(self, tokens):
        """`tokens.ids` hold `TextTokens`; returns the terms of the loss."""
        state, recipe = self.state, self.state.recipe
        targets = word_targets(state.teacher.teacher, tokens.batch.anchors, tokens.ids)
        texts = shared_sum(state.accelerator, len(targets))
        words = max(1, shared_sum(state.accelerator, sum(target.count for target in targets)))

        def step():
            sums = torch.zeros(2, dtype=torch.float64)
            for chunk in (piece for whole in tokens.order for piece in cut(whole, self.fitting.parts)):
                text, word = self._losses([tokens.ids[i] for i in chunk], [targets[i] for i in chunk])
                state.accelerator.backward(
                    recipe.weights["matching"] * text / texts + recipe.words * word / words
                )
                sums += torch.stack([text.detach(), word.detach()]).double().cpu()
            return sums

        sums = self.fitting.attempt(step, max(map(len, tokens.order)), self.parameters)
        share = state.accelerator.num_processes  # terms are averaged over processes
        matching, of_words = (share * sums / torch.tensor([texts, words])).unbind()
        total = recipe.weights["matching"] * matching + recipe.words * of_words
        terms = {"loss": total, "matching": matching, "matching/query": matching, "words": of_words}
        return RecipeOutput(total, terms)

    def _losses(self, tokens, targets):
        """Sums over texts and over words of one micro-batch."""
        model, distance = self.state.model, self.state.recipe.distance
        input_ids, mask = pad_batch([text.ids for text in tokens], device=model.device)
        with torch.autocast(
            model.device.type, dtype=torch.bfloat16, enabled=self.state.precision == "bfloat16"
        ):
            states = self.token_states(input_ids, mask)  # (b, L, h)
        device = states.device
        texts = model.project(model.pool(states, mask))  # (b, d)
        wanted = torch.stack([target.text for target in targets]).to(device)
        vectors = states[mask.bool()].float() @ model.merged_dense().T  # (T, d)
        counts = [target.count for target in targets]
        mine, theirs = (
            _numbered([getattr(target, side) for target in targets], counts).to(device)
            for side in ("student_words", "words")
        )
        said = torch.cat([target.tokens for target in targets]).to(device)  # (U, d)
        words = word_matching_loss(vectors, mine, said, theirs, sum(counts), distance)
        return len(targets) * embedding_matching_loss(texts, wanted, distance), sum(counts) * words


def word_targets(teacher, texts, student_tokens, role="query"):
    """`Targets` of each text: what the teacher says of it and of its tokens, and the words both sides see."""
    tokens, vectors = teacher.encode_tokens(texts, role)
    found = []
    for mine, theirs, said in zip(student_tokens, tokens, vectors.split([len(text) for text in tokens])):
        student_words, words, count = shared_words(mine.ends, theirs.ends)
        text = F.normalize(said.mean(dim=0), dim=-1)
        found.append(Targets(text, said, torch.from_numpy(words), torch.from_numpy(student_words), count))
    return found


def _numbered(words, counts):
    """Word numbers of several texts, one after the other, made into those of the batch; -1 stays."""
    moved, before = [], 0
    for numbers, count in zip(words, counts):
        moved.append(torch.where(numbers >= 0, numbers + before, numbers))
        before += count
    return torch.cat(moved)
