"""The losses of the EmbeddingGemma recipe, on plain tensors; one loss a file, `RecipeLoss` composes them, and yours."""

from .contrastive import contrastive_loss
from .matching import embedding_matching_loss
from .matryoshka import matryoshka_loss
from .own_terms import Vectors, register_term
from .recipe import RecipeLoss, RecipeOutput
from .spread_out import spread_out_loss
from .words import word_matching_loss, word_means

__all__ = [
    "RecipeLoss",
    "RecipeOutput",
    "Vectors",
    "contrastive_loss",
    "embedding_matching_loss",
    "matryoshka_loss",
    "register_term",
    "spread_out_loss",
    "word_matching_loss",
    "word_means",
]
