"""What comes before the first stage: the teacher's rotation, the tokenizer, and a model to begin with."""

from pathlib import Path

from safetensors.torch import load_file, save

from egemma_lab.train.language_recipe import LanguageRecipe
from egemma_lab.train.samples import some_texts
from egemma_lab.train.staged_recipe import GO_ON
from egemma_lab.train.storage import new_file, new_folder
from egemma_lab.train.table_fit import check_fit, fit_token_table
from egemma_lab.train.teacher_choice import fit_teacher

ROTATION_TEXTS = 8192


def open_stage_teacher(recipe, data, folder):
    """(teacher at its full width, rotation or None) as the recipe's section `teacher` says; (None, None) without.

    The rotation is learnt once, from texts of all views, and kept in `folder`: all stages match one target.
    """
    given = recipe.teacher
    if given["name"] is None:
        return None, None
    from egemma_lab.model import load_teacher, pca_rotation

    teacher = load_teacher(given["name"], dtype=given["dtype"], max_seq_length=given["max_seq_length"])
    if given["rotation"] is None:
        return teacher, None
    if given["rotation"] != "pca":
        raise ValueError(f"teacher: rotation={given['rotation']!r} is not 'pca' or left out")
    path = Path(folder) / "rotation.safetensors"
    if not path.exists():
        import torch

        path.parent.mkdir(parents=True, exist_ok=True)
        texts = _texts(recipe, data, ROTATION_TEXTS)
        rotation = torch.from_numpy(pca_rotation(teacher.encode(texts, role="document")))
        with new_file(path) as file:
            file.write(save({"rotation": rotation}))
    return teacher, load_file(path)["rotation"].numpy()


def make_start(recipe, data, teacher, rotation, folder, show_progress_bar=None):
    """`folder/model`: the model before the first stage; made once, found again after a kill.

    The start's kind "model" goes on from one that exists, with its tokenizer; "new_tokenizer" from one that exists,
    with a tokenizer trained on texts of all views. The others begin anew, with such a tokenizer too: "warm_start"
    needs a teacher; "decoder" and "encoder_decoder" train a language model in `folder` first (runs of their own,
    resumable).
    """
    folder = Path(folder)
    model_folder = folder / "model"
    if model_folder.exists():
        return
    from egemma_lab.model import change_tokenizer, load_model, warm_start

    kind = recipe.start["kind"]
    if kind in GO_ON:
        model = load_model(recipe.start["model"])
        if kind == "new_tokenizer":
            model = change_tokenizer(model, _tokenizer(recipe, data, teacher), teacher)
        if rotation is not None:
            _turn(
                model,
                fit_teacher(teacher, model.config.output_width, rotation),
                _texts(recipe, data, ROTATION_TEXTS),
            )
    else:
        model = _fresh(recipe, data, teacher, folder / "fresh")
        if kind == "warm_start":
            if teacher is None:
                raise ValueError("start: kind: warm_start needs a teacher; name one, or take kind: random")
            warm_start(model, teacher if rotation is None else teacher.cut(teacher.width, rotation))
            if recipe.start["table"]:
                _fit_table(model, recipe, data, teacher, rotation, show_progress_bar)
        elif kind != "random":
            model = _language_start(recipe, data, model, folder, show_progress_bar)
    with new_folder(model_folder) as unfinished:
        model.save_pretrained(unfinished)


def _fit_table(model, recipe, data, teacher, rotation, show_progress_bar):
    """The warm model's token table fitted to texts of all views and to pairs; the teacher's vectors of the texts are
    kept on disk."""
    from egemma_lab.data import TeacherCache

    settings = check_fit(recipe.start["table"])
    texts, views = _texts(recipe, data, settings.pop("texts")), settings.pop("pairs")
    teacher = fit_teacher(teacher, model.config.output_width, rotation)
    with TeacherCache(teacher) as cache:
        cache.fill(texts, "document", show_progress_bar=show_progress_bar)
        targets = cache.vectors(texts, "document")
    pairs = None if views is None else data.sources(views, teacher)
    options = {"seed": recipe.seed, "show_progress_bar": show_progress_bar, **settings}
    fit_token_table(model, texts, targets, pairs=pairs, **options)


def _fresh(recipe, data, teacher, folder):
    """`folder`: the preset with fresh weights and the recipe's tokenizer; made once."""
    from egemma_lab.model import load_model, new_model

    if not folder.exists():
        tokenizer = _tokenizer(recipe, data, teacher)
        with new_folder(folder) as unfinished:
            fresh = new_model(
                recipe.preset, tokenizer, seed=recipe.seed, pooling=recipe.pooling, **recipe.shape
            )
            fresh.save_pretrained(unfinished)
    return load_model(folder)


def _tokenizer(recipe, data, teacher):
    """The tokenizer as the recipe's section says: the teacher's, a model's, or trained on texts of all views."""
    from egemma_lab.model import load_model, train_tokenizer, words_as_texts

    given = recipe.tokenizer
    if given["of"] == "teacher":
        return teacher.student_tokenizer(_texts(recipe, data, given["texts"]), given["vocab_size"])
    if given["of"] is not None:
        return load_model(given["of"]).tokenizer
    texts = _texts(recipe, data, given["texts"])
    if given["words"]:
        texts = texts + words_as_texts(teacher.words, texts, given["words"])
    return train_tokenizer(texts, vocab_size=given["vocab_size"])


def _turn(model, teacher, texts):
    """Turn the model's vectors, by its last Dense layer, to where they lie nearest to the teacher's.

    No cosine changes at full width; short prefixes hold what the teacher's do from the first step on.
    """
    import torch

    from egemma_lab.model import nearest_rotation

    rotation = nearest_rotation(model.encode_document(texts), teacher.encode(texts, role="document"))
    with torch.no_grad():
        weight = model.dense_down.weight  # (d, 4h)
        weight.copy_(torch.from_numpy(rotation).T @ weight)


def _language_start(recipe, data, model, folder, show_progress_bar):
    """Stage 0: a decoder trained on next tokens; adapted to an encoder where the kind asks for it."""
    from egemma_lab.train.decoder import train_decoder
    from egemma_lab.train.encoder_decoder import adapt_to_encoder
    from egemma_lab.train.language_run import to_embedding_model

    texts = [text for source in data.sources(recipe.texts) for text in source.dataset["anchor"]]
    shared = {"show_progress_bar": show_progress_bar}
    settings = {"seed": recipe.seed, **recipe.start["decoder"]}
    run = train_decoder(model, texts, recipe=LanguageRecipe(**settings), output=folder / "decoder", **shared)
    if recipe.start["kind"] == "encoder_decoder":
        settings = {"seed": recipe.seed, **recipe.start["denoising"]}
        run = adapt_to_encoder(
            run, texts, recipe=LanguageRecipe(**settings), output=folder / "denoising", **shared
        )
    return to_embedding_model(run, seed=recipe.seed)


def _texts(recipe, data, most):
    from egemma_lab.data import Mixture

    return some_texts(Mixture(data.sources(recipe.texts)), recipe.seed, most)
