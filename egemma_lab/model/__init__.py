"""The encoder, its prompts and tokenizer, loading and saving, the teacher.

Each name is imported from its module when it is first used.
"""

import importlib

# public name -> module in this package that defines it (no name equals a module's name, so neither hides the
# other)
_PUBLIC = {
    "EmbeddingGemma": "embedding_gemma",
    "EmbeddingGemmaConfig": "embedding_gemma",
    "new_model": "presets",
    "fresh_model": "presets",
    "preset_config": "presets",
    "PRESETS": "presets",
    "load_model": "folder",
    "load_teacher": "teacher",
    "Teacher": "teacher",
    "nearest_rotation": "teacher",
    "pca_rotation": "teacher",
    "warm_start": "token_table",
    "change_tokenizer": "new_tokenizer",
    "doctor": "diagnosis",
    "PROMPTS": "prompts",
    "document_prompt": "prompts",
    "train_tokenizer": "tokenizer",
    "teacher_tokenizer": "piece_tokenizer",
    "words_as_texts": "word_list",
    "pad_batch": "batching",
    "token_budget_batches": "batching",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'egemma_lab.model' has no attribute {name!r}; it offers {', '.join(__all__)}"
        )
    value = getattr(importlib.import_module(f"egemma_lab.model.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])
