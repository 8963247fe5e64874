"""A recipe of several stages at micro size: one command, resumable, every stage's kind."""

import gzip
import json
import shutil

import numpy as np
import pytest
import yaml
from fake_teacher import FakeTeacher
from safetensors.numpy import load_file
from wordpiece import wordpiece

from egemma_lab.model import load_model, teacher_tokenizer
from egemma_lab.model.saving import computed_weights
from egemma_lab.quantize import fake_quantize
from egemma_lab.train import load_run
from egemma_lab.train.stage_data import StageData
from egemma_lab.train.staged_recipe import StagedRecipe
from egemma_lab.train.stages import run_stages
from egemma_lab.train.table_fit import FIT

QUICK = {"batch_size": 8, "max_tokens": 24, "token_budget": 1024, "precision": "float32", "save_every": 2}
QUANTIZE = {"name": "a", "kind": "quantize", "format": "int4_block", "sources": ["pairs"]}


@pytest.fixture
def data_dir(tmp_path, tiny_pairs, tiny_texts):
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"anchor": row["anchor"], "positive": row["positive"]} for row in tiny_pairs]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    # the two sources must have no text in common
    others = [{"anchor": f"And {r['anchor']}", "positive": f"{r['positive']} # too"} for r in rows]
    (folder / "others.jsonl").write_text("\n".join(map(json.dumps, others)))
    blocks = [" ".join(tiny_texts[start : start + 4]) for start in range(0, len(tiny_texts), 4)]
    (folder / "books.jsonl").write_text("\n".join(json.dumps({"text": block}) for block in blocks))
    return folder


@pytest.fixture
def recipe():
    return {
        "name": "tiny",
        "preset": "micro",
        "teacher": {"name": "fake", "rotation": "pca"},
        "data": {
            "pairs": {"file": "pairs.jsonl", "hold_out": 20, "licence": "none"},
            "others": {"file": "others.jsonl", "hold_out": 20},
            "books": {"file": "books.jsonl", "rows_from": "texts"},
        },
        "texts": [
            {"of": "books", "as": "sentences", "column": "anchor"},
            {"of": "pairs", "as": "texts", "column": ["anchor", "positive"]},
        ],
        "tokenizer": {"vocab_size": 500, "texts": 400},
        "development": {"sets": ["pairs"], "texts": ["others"], "queries": 10},
        "stages": [
            {
                "name": "matching",
                "sources": [{"of": "books", "as": "sentences", "column": "anchor", "anchor_prompt": None}],
                "recipe": {**QUICK, "steps": 4, "weights": {"contrastive": 0, "spread_out": 0}},
            },
            {
                "name": "mixtures",
                "kind": "search",
                "trials": 3,
                "initial": 1,
                "sources": [{"of": "pairs", "negatives": "mined", "mining": {"ranks": [1, 20]}}, "others"],
                "recipe": {**QUICK, "steps": 3},
            },
            {"name": "average", "kind": "soup", "of": "mixtures", "best": 2, "method": "uniform"},
        ],
    }


@pytest.fixture
def make(tmp_path, data_dir, monkeypatch):
    teacher = FakeTeacher(64)
    monkeypatch.setattr("egemma_lab.model.load_teacher", lambda name, **options: teacher)

    def made(recipe, output="out", **options):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe))
        options = {
            "data_dir": data_dir,
            "probe": ["a text", "another"],
            "show_progress_bar": False,
            **options,
        }
        return run_stages(path, tmp_path / output, **options)

    return made


def weights(folder):
    return {name: value.numpy() for name, value in load_model(folder).state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.filterwarnings("ignore:for .* no candidate passes")
def test_all_stages_in_one_call_and_in_several_give_the_same_model(make, recipe, tmp_path):
    model = make(recipe)
    assert model.name == "tiny"
    assert model.encode(["a text"]).shape == (1, 64)
    out = tmp_path / "out"
    assert load_run(out / "1-matching").status == "finished"
    trials = [json.loads(line) for line in (out / "2-mixtures" / "trials.jsonl").read_text().splitlines()]
    assert [trial["kind"] for trial in trials][:2] == ["uniform", "dirichlet"]
    assert all(set(trial["weights"]) == {"pairs", "others"} for trial in trials)
    assert trials[0]["score"] == pytest.approx(
        np.mean([trials[0]["pairs score"], trials[0]["others (texts) score"]])
    )
    soup = json.loads((out / "3-average" / "soup.json").read_text())
    best = sorted(trials, key=lambda trial: -trial["score"])[:2]
    assert soup["ingredients"] == [trial["folder"] for trial in best]
    parts = [weights(out / "2-mixtures" / name / "final") for name in soup["ingredients"]]
    final = weights(out / "final")
    for name, value in final.items():
        assert np.allclose(value, (parts[0][name] + parts[1][name]) / 2, atol=1e-6)
    assert soup["gain"]["gain"] == pytest.approx(
        soup["gain"]["soup"] - np.mean([trial["score"] for trial in best]), abs=1e-6
    )

    make(recipe, "parts", until="matching")  # stopped after a stage, and gone on with
    assert equal(weights(tmp_path / "parts" / "final"), weights(out / "1-matching" / "final"))
    make(recipe, "parts")
    assert equal(weights(tmp_path / "parts" / "final"), final)


def test_what_is_finished_is_not_done_again(make, recipe, tmp_path):
    recipe["stages"] = recipe["stages"][:1]
    make(recipe)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    make(recipe)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    kept = [path for path in before if "final" not in path.parts or path.parts[-2] != "final"]
    assert kept
    assert all(before[path] == after[path] for path in kept if path.parts[-4:-1] != ("out", "final"))


@pytest.mark.parametrize("kind", ["random", "decoder", "encoder_decoder"])
def test_every_start_gives_a_model_to_go_on_with(make, recipe, kind, tmp_path):
    recipe["stages"] = recipe["stages"][:1]
    language = {"steps": 2, "batch_blocks": 2, "block_tokens": 32, "precision": "float32"}
    recipe["start"] = {"kind": kind, "decoder": language, "denoising": language}
    model = make(recipe)
    assert np.isfinite(model.encode(["a text"])).all()
    assert (tmp_path / "out" / "0-start" / "decoder").exists() == (kind != "random")


def test_a_model_that_goes_on_is_turned_towards_the_teacher_and_keeps_its_cosines(make, recipe, tmp_path):
    recipe["stages"] = recipe["stages"][:1]
    make(recipe, "first")
    first = load_model(tmp_path / "first" / "final")
    recipe["start"] = {"kind": "model", "model": str(tmp_path / "first" / "final")}
    recipe["stages"][0]["recipe"]["learning_rate"] = 1e-9  # leaves the turned start as it is
    make(recipe, "second")
    start = load_model(tmp_path / "second" / "0-start" / "model")
    assert start.tokenizer.get_vocab() == first.tokenizer.get_vocab()
    texts = [f"text number {n} of many" for n in range(40)]
    before, after = first.encode_document(texts), start.encode_document(texts)
    np.testing.assert_allclose(before @ before.T, after @ after.T, atol=1e-5)
    rotation = load_file(tmp_path / "second" / "0-start" / "rotation.safetensors")["rotation"]
    target = FakeTeacher(64).encode(texts) @ rotation
    assert (after * target).sum() > (before * target).sum() + 0.1


def test_a_model_goes_on_with_a_tokenizer_that_counts_in_the_teachers_words(
    make, recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr(FakeTeacher, "words", ["bicycle", "lunch"], raising=False)
    monkeypatch.setattr("egemma_lab.model.new_tokenizer.FEWEST", 5)  # few sentences, few words
    recipe["stages"] = recipe["stages"][:1]
    make(recipe, "first")
    first = load_model(tmp_path / "first" / "final")
    recipe["start"] = {"kind": "new_tokenizer", "model": str(tmp_path / "first" / "final")}
    recipe["tokenizer"]["words"] = 0.5
    second = make(recipe, "second")
    assert not {"▁bicycle", "▁lunch"} & set(first.tokenizer.get_vocab())
    assert {"▁bicycle", "▁lunch"} <= set(second.tokenizer.get_vocab())
    layer, other = (model.text_model.layers[0].mlp.up_proj.weight for model in (first, second))
    assert 0 < (layer - other).abs().max() < 0.1  # trained on, not begun anew


def test_a_soup_of_stages_is_their_average(make, recipe, tmp_path):
    first = recipe["stages"][0]
    recipe["stages"] = [
        first,
        {**first, "name": "longer"},
        {"name": "average", "kind": "soup", "of": ["matching", "longer"], "method": "uniform"},
    ]
    make(recipe)
    out = tmp_path / "out"
    one, two, mixed = (
        weights(out / folder) for folder in ("1-matching/final", "2-longer/final", "3-average/model")
    )
    for name in mixed:
        np.testing.assert_allclose(mixed[name], (one[name] + two[name]) / 2, atol=1e-6)
    written = json.loads((out / "3-average" / "soup.json").read_text())
    assert written["ingredients"] == ["matching", "longer"]
    assert np.isfinite(written["gain"]["gain"])


def test_a_soup_goes_into_another(make, recipe, tmp_path):
    matching = recipe["stages"][0]
    recipe["stages"] = [
        matching,
        {**matching, "name": "longer", "recipe": {**matching["recipe"], "seed": 3}},
        {"name": "average", "kind": "soup", "of": ["matching", "longer"], "method": "uniform"},
        {**matching, "name": "last", "recipe": {**matching["recipe"], "seed": 4}},
        {"name": "both", "kind": "soup", "of": ["average", "last"], "method": "uniform"},
    ]
    make(recipe, "made")
    one, two, mixed = (
        weights(tmp_path / "made" / name) for name in ("3-average/model", "4-last/final", "5-both/model")
    )
    for name in mixed:
        np.testing.assert_allclose(mixed[name], (one[name] + two[name]) / 2, atol=1e-6)


def test_the_shape_may_differ_from_the_presets(make, recipe, tmp_path):
    recipe["stages"] = recipe["stages"][:1]
    recipe["shape"] = {"intermediate_size": 96, "num_hidden_layers": 12}
    model = make(recipe)
    assert [layer.mlp.up_proj.weight.shape for layer in model.text_model.layers] == 12 * [(96, 64)]
    assert model.encode(["a text"]).shape == (1, 64)


def test_a_tokenizer_may_be_another_models_and_the_pooling_another(make, recipe, tmp_path):
    recipe["stages"] = recipe["stages"][:1]
    first = make(recipe, "first")
    recipe["tokenizer"] = {"of": str(tmp_path / "first" / "final")}
    recipe["pooling"] = "last"
    model = make(recipe, "second")
    assert model.tokenizer.get_vocab() == first.tokenizer.get_vocab()
    assert model.config.pooling == "last"


@pytest.fixture
def pieces_of_the_teacher(monkeypatch, tiny_texts):
    """Gives the fake teacher a WordPiece tokenizer: the words of the tiny texts, and letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = sorted({word.strip(".").lower() for text in tiny_texts for word in text.split()} - set(letters))
    theirs = wordpiece([*letters, *(f"##{letter}" for letter in letters), *words, ".", "ø", "øre"])

    def student_tokenizer(self, texts, vocab_size=None):
        return teacher_tokenizer(theirs, texts, vocab_size)

    monkeypatch.setattr(FakeTeacher, "student_tokenizer", student_tokenizer, raising=False)
    return [*letters, *(f"##{letter}" for letter in letters), *words, "."]


def test_a_student_begins_with_the_teachers_pieces_and_a_fitted_table(
    make, recipe, tmp_path, tiny_texts, pieces_of_the_teacher, monkeypatch
):
    recipe["stages"] = recipe["stages"][:1]
    recipe["stages"][0]["recipe"]["table_rate"] = 0
    recipe["tokenizer"] = {"of": "teacher", "vocab_size": 500, "texts": 400}
    make(recipe, "plain")
    fit = {"texts": 300, "steps": 40, "batch_size": 64, "pairs": ["pairs", "others"], "pair_batch_size": 16}
    recipe["start"] = {"kind": "warm_start", "table": fit}
    model = make(recipe, "fitted")
    fitted = tmp_path / "fitted"
    assert model.tokenizer.convert_ids_to_tokens(range(len(model.tokenizer)))[4:] == pieces_of_the_teacher
    assert load_model(fitted / "final").tokenizer("Mars, orbits.").input_ids[2] == 3  # the comma is unknown

    rotation = load_file(fitted / "0-start" / "rotation.safetensors")["rotation"]
    target = FakeTeacher(64).encode(tiny_texts) @ rotation
    plain, start = (load_model(tmp_path / name / "0-start" / "model") for name in ("plain", "fitted"))
    near, nearer = ((each.encode(tiny_texts) * target).sum(axis=1).mean() for each in (plain, start))
    assert nearer > near + 0.05
    first, last = weights(fitted / "0-start" / "model"), weights(fitted / "final")
    changed = {name for name in first if not np.array_equal(first[name], last[name])}
    assert "text_model.embed_tokens.weight" not in changed  # table_rate: 0
    assert "dense_up.weight" in changed

    # killed before the start was kept: the fit is repeated bit for bit, with the vectors that lie on disk
    asked = []
    encode = FakeTeacher.encode

    def listening(self, texts, *arguments, **options):
        asked.extend(texts)
        return encode(self, texts, *arguments, **options)

    monkeypatch.setattr(FakeTeacher, "encode", listening)
    shutil.rmtree(fitted / "0-start" / "model")
    shutil.rmtree(fitted / "1-matching")
    make(recipe, "fitted")
    assert equal(weights(fitted / "0-start" / "model"), first)
    assert equal(weights(fitted / "final"), last)
    assert "orbits" in asked  # the warm start's pieces
    assert not set(asked) & set(tiny_texts)
    make(recipe, "fitted")  # finished: nothing changes
    assert equal(weights(fitted / "final"), last)


def test_the_table_is_fitted_only_where_the_recipe_says_so_and_as_it_says(
    make, recipe, tmp_path, pieces_of_the_teacher, monkeypatch
):
    calls = []
    monkeypatch.setattr(
        "egemma_lab.train.stage_start.fit_token_table",
        lambda model, texts, targets, **settings: calls.append((texts, targets, settings)),
    )
    recipe["stages"] = recipe["stages"][:1]
    recipe["tokenizer"] = {"of": "teacher", "vocab_size": 60}
    make(recipe, "plain")
    assert calls == []
    fit = {"texts": 40, "learning_rate": 0.5, "contrastive": 0.1}
    for name, pairs, names in (("fitted", {}, []), ("to pairs", {"pairs": ["others"]}, ["others"])):
        recipe["start"] = {"table": {**fit, **pairs}}
        model = make(recipe, name, seed=7)
        assert len(model.tokenizer) == 60
        texts, targets, settings = calls.pop()
        assert not calls
        assert 0 < len(texts) <= 40
        assert targets.shape == (len(texts), 64)
        sources = settings.pop("pairs")
        assert [source.name for source in sources or []] == names
        expected = {**FIT, "learning_rate": 0.5, "contrastive": 0.1, "seed": 7, "show_progress_bar": False}
        assert settings == {name: value for name, value in expected.items() if name not in ("texts", "pairs")}


def test_a_stage_quantizes_beside_what_goes_on(make, recipe, tmp_path):
    quantize = {"kind": "quantize", "format": "int4_block", "sources": recipe["stages"][0]["sources"]}
    quantize["recipe"] = {**recipe["stages"][0]["recipe"], "learning_rate": 1e-3}
    recipe["stages"] = [recipe["stages"][0], {"name": "int4", **quantize}]
    make(recipe, until="matching")
    make(recipe)
    out = tmp_path / "out"
    first, stage = weights(out / "1-matching" / "final"), out / "2-int4"
    assert equal(weights(out / "final"), first)  # rounding is no start for anything
    assert load_run(stage).recipe.fake_quantize == "int4_block"
    assert equal(weights(stage / "start"), first)
    assert equal(weights(stage / "packed"), weights(stage / "final"))
    rounded = fake_quantize(load_model(out / "1-matching" / "final"), "int4_block")
    assert equal(weights(stage / "rounded"), {n: v.numpy() for n, v in computed_weights(rounded).items()})
    assert not equal(weights(stage / "packed"), weights(stage / "rounded"))

    before = (stage / "rounded" / "packing.json").stat().st_mtime_ns
    shutil.rmtree(stage / "packed")  # killed before it was written: the same call goes on
    make(recipe)
    assert equal(weights(stage / "packed"), weights(stage / "final"))
    assert (stage / "rounded" / "packing.json").stat().st_mtime_ns == before


def test_scale_shortens_every_stage(recipe):
    recipe["start"] = {"kind": "decoder", "decoder": {"steps": 1000}}
    recipe["stages"][0]["recipe"].update(steps=1000, snapshot_every=100)
    short = StagedRecipe(**recipe).scaled(0.01)
    assert short.stages[0]["recipe"]["steps"] == 10
    assert "snapshot_every" not in short.stages[0]["recipe"]
    assert short.stages[1]["recipe"]["steps"] == 2
    assert short.start["decoder"]["steps"] == 10
    assert StagedRecipe(**recipe).scaled(20).stages[0]["recipe"]["steps"] == 20_000
    recipe["start"] = {"table": {"texts": 2000, "steps": 500}}
    assert StagedRecipe(**recipe).scaled(0.01).start["table"] == {"texts": 20, "steps": 5}
    assert StagedRecipe(**recipe).scaled(20).start["table"] == {"texts": 2000, "steps": 500}
    assert StagedRecipe(**{**recipe, "start": {}}).scaled(0.01).start["table"] == {}
    with pytest.raises(ValueError, match="scale=0 must be a number above 0"):
        StagedRecipe(**recipe).scaled(0)


def test_another_seed_is_another_draw_of_the_same_recipe(make, recipe, tmp_path):
    recipe["stages"] = recipe["stages"][:1]
    for output, seed in (("a", None), ("b", 3), ("c", 3)):
        make(recipe, output, seed=seed)
    models = [weights(tmp_path / output / "final") for output in "abc"]
    assert load_run(tmp_path / "b" / "1-matching").recipe.seed == 3
    assert not equal(models[0], models[1])
    assert equal(models[1], models[2])
    with pytest.raises(ValueError, match="seed"):  # the finished stages are seed 3's
        make(recipe, "b", seed=4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": -1}, "seed=-1 is not possible"),
        ({"stages": []}, "there is no section stages"),
        ({"stage": []}, "no field 'stage'; did you mean 'stages'"),
        ({"preset": "giant"}, "preset='giant' is not one of 300m, nano, double, micro"),
        (
            {"shape": {"intermediate_sise": 96}},
            "shape: no field 'intermediate_sise'; did you mean 'intermediate_size'",
        ),
        ({"shape": {"vocab_size": 500}}, "shape: no field 'vocab_size'"),
        ({"shape": {"intermediate_size": 0}}, "shape: intermediate_size=0 is not possible"),
        ({"shape": 96}, "shape: expected 'name: value' lines, not 96"),
        ({"pooling": "max"}, "pooling='max' is not one of mean,"),
        ({"teacher": {"nam": "x"}}, "teacher: no field 'nam'"),
        ({"start": {"kind": "warm"}}, "start: kind='warm' is not one of"),
        ({"start": {"kind": "model"}}, "start: kind='model' with model=None"),
        (
            {"start": {"kind": "random", "table": {"texts": 9}}},
            "table is for kind: warm_start; with kind='random'",
        ),
        ({"start": {"model": "nano"}}, "start: kind='warm_start' with model='nano'"),
        ({"start": {"kind": "new_tokenizer"}}, "start: kind='new_tokenizer' with model=None"),
        ({"tokenizer": {"words": -1}}, "tokenizer: words=-1 must be a number from 0 upwards"),
        ({"tokenizer": {"words": 1}, "teacher": {}}, "ask a teacher for its words"),
        ({"tokenizer": {"of": "teacher"}, "teacher": {}}, "of: teacher .* ask a teacher .* its pieces"),
        ({"start": {"table": {"step": 3}}}, "start: table: no field 'step'; did you mean 'steps'"),
        ({"start": {"table": {"texts": 0}}}, "start: table: texts=0 is not possible"),
        ({"start": {"table": True}}, "start: table: expected 'name: value' lines, not True"),
        ({"start": {"decoder": {"step": 3}}}, "no field 'step'"),
        ({"stages": [{"name": "a", "kind": "soap"}]}, "kind='soap'; did you mean 'soup'"),
        ({"stages": [{"name": "a", "sources": []}]}, "'a': there are no sources"),
        ({"stages": [{"name": "a/b", "sources": ["pairs"]}]}, "needs a name of its own"),
        ({"stages": [{"name": "a", "sources": ["pairs"], "recipe": {"step": 3}}]}, "'a': recipe: .*'step'"),
        ({"stages": [{"name": "a", "kind": "soup", "of": "b"}]}, "of='b' is no search before it"),
        (
            {"stages": [{"name": "a", "kind": "soup", "of": ["b", "c"]}]},
            "must list two or more stages of kind 'train'",
        ),
        ({"stages": [{"name": "a", "kind": "quantize", "sources": ["pairs"]}]}, "'a': .* needs a format"),
        ({"stages": [{**QUANTIZE, "format": "int5"}]}, "'a': recipe: fake_quantize='int5' is not possible"),
        ({"stages": [{**QUANTIZE, "recipe": {"fake_quantize": None}}]}, "beside its recipe and not in it"),
        ({"stages": [{**QUANTIZE, "kind": "train"}]}, "'a': no field 'format'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_runs(make, recipe, change, words, tmp_path):
    with pytest.raises(ValueError, match=f"recipe.yaml.*{words}"):
        make({**recipe, **change})
    assert not (tmp_path / "out").exists()


def test_rows_held_out_are_in_no_source(data_dir):
    data = StageData({"pairs": {"file": "pairs.jsonl", "hold_out": 20}}, data_dir, seed=1)
    held = set(data.held_out("pairs")["positive"])
    assert len(held) == 20
    assert len(data.rows("pairs")) == 100
    for view in ("pairs", {"of": "pairs", "as": "texts", "column": ["positive"]}):
        (source,) = data.sources([view])
        column = "positive" if source.has_positives else "anchor"
        assert not held & set(source.dataset[column])
    again = StageData({"pairs": {"file": "pairs.jsonl", "hold_out": 20}}, data_dir, seed=1)
    assert set(again.held_out("pairs")["positive"]) == held


def test_a_set_that_cannot_be_had_is_left_out_aloud_and_all_of_them_refused(data_dir):
    data = StageData({"pairs": {"file": "pairs.jsonl"}, "gone": {"file": "gone.jsonl"}}, data_dir)
    with pytest.warns(UserWarning, match="gone: its file is not in"):
        assert [source.name for source in data.sources(["pairs", "gone"])] == ["pairs"]
    with pytest.raises(ValueError, match="none of the sets"), pytest.warns(UserWarning, match="left out"):
        data.sources(["gone"])
    with pytest.raises(ValueError, match="no set 'pair'; did you mean 'pairs'"):
        data.sources(["pair"])


def test_the_hub_stands_in_for_files(data_dir, monkeypatch):
    entries = {"pairs": {"file": "pairs.jsonl", "hub": "owner/name"}}
    assert StageData(entries, data_dir).origin("pairs").endswith("pairs.jsonl")
    assert StageData(entries, None).origin("pairs") == "owner/name"
    (data_dir / "packed.jsonl.gz").write_bytes(gzip.compress((data_dir / "pairs.jsonl").read_bytes()))
    packed = StageData({"packed": {"file": "packed.jsonl"}}, data_dir)
    assert len(packed.rows("packed")) == 120
    assert StageData({"python": {"mined": "python-docs"}}).origin("python") == "python-docs"
