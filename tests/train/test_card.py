"""The model card: readable for the Hub, and no number in it that the inputs do not have."""

import dataclasses
import re

import pandas as pd
import pytest
from runs import run_it

from egemma_lab.model import folder as folder_module
from egemma_lab.train.card import model_card
from egemma_lab.train.card_facts import implied_licence, stage_facts
from egemma_lab.train.shipping import Shipment

# Numbers of the card's own prose: the two-byte type's name and the level of the intervals.
OWN_NUMBERS = {"95"}
COLUMNS = ["model", "task", "metric", "value", "width", "n", "low", "high"]
RESULTS = [
    ("tiny", "stsb", "spearman", 0.76543, 64, 1379, 0.74321, 0.78766),
    ("tiny", "stsb", "spearman", 0.71111, 32, 1379, 0.69222, 0.73333),
    ("tiny", "scifact", "ndcg@10", 0.41414, 64, 300, 0.36363, 0.46464),
    ("teacher", "stsb", "spearman", 0.82828, 384, 1379, 0.80808, 0.84848),
    ("bm25", "scifact", "ndcg@10", 0.55555, None, 300, 0.51515, 0.59595),
]
SOURCES = [
    {"name": "definitions", "rows": 105_664, "what": "term -> definition", "licence": "CC BY 4.0"},
    {
        "name": "trivia",
        "rows": 41_394,
        "what": "question | answer",
        "licence": "CC BY-SA 4.0",
        "hub": "some/trivia",
    },
    {"name": "teacher", "what": "its vectors are the targets", "licence": "Apache 2.0"},
]
SHIPMENT = Shipment(
    folder="anywhere", storage="float16", parameters=1, bytes=16_345_678, cosine=0.99999981, texts=500
)


@pytest.fixture(scope="module")
def folder(make_micro, tiny_pairs, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "first"
    run_it(make_micro(), tiny_pairs[:40], output, learning_rate=2.5e-4, seed=17)
    return output


@pytest.fixture
def arguments(folder, micro_model):
    return {
        "model": micro_model,
        "stages": [
            stage_facts(folder, "Pre-finetuning", "pairs without hard negatives"),
            {"name": "Soup", "what": "the plain mean of the weights"},
        ],
        "sources": SOURCES,
        "results": pd.DataFrame(RESULTS, columns=COLUMNS),
        "recipe": "experiments/tiny/recipe.yaml",
        "command": "python -m experiments.tiny",
        "limits": ["English only.", "Short texts: it was trained on up to 24 tokens."],
        "shipment": SHIPMENT,
    }


def card_of(text):
    from huggingface_hub import ModelCard

    return ModelCard(text)


def test_the_hub_reads_the_front_matter(arguments):
    data = card_of(model_card("tiny", **arguments)).data
    assert (data.license, data.language, data.library_name) == ("cc-by-sa-4.0", "en", "sentence-transformers")
    assert data.pipeline_tag == "sentence-similarity"
    assert data.base_model is None
    assert data.datasets == ["some/trivia"]
    assert data.model_name == "tiny"
    assert {"sentence-transformers", "matryoshka"} <= set(data.tags)
    found = [
        (
            r.task_type,
            r.dataset_name,
            r.metric_type,
            r.metric_value,
            r.metric_args["width"],
            r.metric_args["n"],
        )
        for r in data.eval_results
    ]
    assert found == [
        ("semantic-similarity", "stsb", "spearman", 0.7654, 64, 1379),
        ("semantic-similarity", "stsb", "spearman", 0.7111, 32, 1379),
        ("information-retrieval", "scifact", "ndcg@10", 0.4141, 64, 300),
    ]
    assert data.eval_results[0].metric_args["low"] == 0.7432
    assert data.eval_results[0].metric_args["high"] == 0.7877


def test_a_missing_bound_is_left_out_not_written_as_nan(arguments):
    results = arguments["results"].copy()
    results.loc[0, "low"] = float("nan")
    text = model_card("tiny", **{**arguments, "results": results})
    assert ".nan" not in text
    assert "low" not in card_of(text).data.eval_results[0].metric_args


def numbers(text):
    return set(re.findall(r"(?<![\w.@])\d+(?:,\d{3})*(?:\.\d+)*", text))


def test_every_number_in_the_card_is_one_of_its_inputs(arguments):
    model, stage = arguments["model"], arguments["stages"][0]
    content = card_of(model_card("tiny", **arguments)).text
    prose = re.sub(r"```.*?```", "", content, flags=re.DOTALL).replace("arXiv:2509.20354", "")
    prose = prose.replace("https://arxiv.org/abs/2509.20354", "")
    allowed = {*OWN_NUMBERS, *(str(width) for width in model.widths)}
    for _, _, _, value, width, n, low, high in RESULTS:
        allowed |= {f"{value:.3f}", f"{low:.3f}", f"{high:.3f}", f"{n:,}", str(width)}
    allowed |= {f"{source['rows']:,}" for source in SOURCES if "rows" in source}
    text = model.config.text
    parameters = sum(tensor.numel() for tensor in model.parameters())
    allowed |= {f"{value:,}" for value in (parameters, text.num_hidden_layers, text.hidden_size)}
    allowed |= {f"{value:,}" for value in (text.vocab_size, model.max_seq_length)}
    allowed |= {f"{stage['steps']:,}", f"{stage['minutes']:,.1f}", str(stage["batch"]), str(stage["seed"])}
    allowed |= {f"{stage['learning_rate']:g}", f"{sum(stage['sources'].values()):,}"}
    allowed |= {"16,345,678", "500", "0.999999"}
    given = [arguments["recipe"], stage["machine"], *arguments["limits"], *stage["versions"].values()]
    given += [word for source in SOURCES for word in (source["what"], source["licence"])]
    for words in (*given, *SOURCES[1].values()):
        allowed |= numbers(str(words))
    assert numbers(prose) <= allowed, numbers(prose) - allowed
    # and the inputs are there
    assert {"0.765", "0.743", "0.788", "0.828", "0.556", "1,379", "105,664", "16,345,678"} <= numbers(prose)
    assert content.index("| stsb    | spearman | 1,379 | teacher |") < content.index("| scifact |")
    for limit in arguments["limits"]:
        assert f"- {limit}\n" in content
    assert arguments["command"] in content
    assert f"torch {stage['versions']['torch']}" in content


def test_a_cosine_is_never_rounded_up(arguments):
    assert "below 0.999999 between" in model_card("tiny", **arguments)  # 0.99999981, not 1.000000


def test_the_same_arguments_give_the_same_card(arguments):
    assert model_card("tiny", **arguments) == model_card("tiny", **arguments)


def test_tables_keep_their_columns_whatever_the_cells_hold(arguments):
    lines = model_card("tiny", **arguments).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    widths = {
        len(re.findall(r"(?<!\\)\|", line)) for line in tables if "question" in line or "definitions" in line
    }
    assert widths == {5}  # four columns, though one text has a bar in it


def test_a_column_that_no_source_fills_is_left_out(arguments):
    sources = [{name: source[name] for name in source if name != "rows"} for source in arguments["sources"]]
    lines = model_card("tiny", **{**arguments, "sources": sources}).splitlines()
    assert "| source | what | licence, as its source states it |" in lines


def test_the_code_in_the_card_runs(arguments, micro_model, tmp_path, monkeypatch, capsys):
    folder = micro_model.save_pretrained(tmp_path / "tiny")
    monkeypatch.setattr(folder_module, "bundled_models", lambda: {"tiny": folder})
    blocks = re.findall(r"```python\n(.*?)```", model_card("tiny", **arguments), flags=re.DOTALL)
    first, second = blocks
    exec(compile(first, "card", "exec"), {})
    assert "files(" in second
    # the folder is this test's, the rest as a reader would paste it
    exec(compile(re.sub(r"str\(files.*\)\)?\n", f"{str(folder)!r})\n", second), "card", "exec"), {})
    own, library = capsys.readouterr().out.strip().split("\n")
    assert own.startswith("[[")
    assert [float(x) for x in re.findall(r"-?\d\.\d+", library)] == pytest.approx(
        [float(x) for x in re.findall(r"-?\d\.\d+", own)], abs=1e-3
    )


def test_the_prompts_are_the_models(arguments, micro_model):
    text = model_card("tiny", **arguments)
    for prompt in micro_model.prompts.values():
        assert f"- `{prompt}`: " in text


def test_a_card_without_what_it_must_say_is_refused(arguments):
    with pytest.raises(ValueError, match=r"no row of the model 'other'; it has: tiny, teacher, bm25"):
        model_card("other", **arguments)
    with pytest.raises(ValueError, match=r"sources\[0\] lacks licence"):
        model_card("tiny", **{**arguments, "sources": [{"name": "a", "what": "b"}]})
    with pytest.raises(ValueError, match=r"stages\[1\] lacks what"):
        model_card("tiny", **{**arguments, "stages": [arguments["stages"][0], {"name": "Soup"}]})


def test_stage_facts_are_the_runs(folder):
    from egemma_lab.train import load_run

    run, facts = load_run(folder), stage_facts(folder, "One", "first")
    assert facts["steps"] == run.history["step"].iloc[-1] == 6
    assert facts["minutes"] == run.history["seconds"].iloc[-1] / 60
    assert (facts["seed"], facts["learning_rate"], facts["batch"]) == (17, 2.5e-4, 8)
    assert sum(facts["sources"].values()) == 40
    assert facts["teacher"] is None
    assert facts["status"] == "finished"
    assert facts["versions"] == run.info["versions"]
    assert f"{run.info['machine']['cores']} cores" in facts["machine"]
    with pytest.raises(FileNotFoundError, match="holds no run"):
        stage_facts(folder / "final", "One")


def test_an_unfinished_stage_is_called_so(arguments):
    stage = {**arguments["stages"][0], "status": "interrupted"}
    text = model_card("tiny", **{**arguments, "stages": [stage]})
    assert "did not run to its end: its status is interrupted" in text
    assert "did not run to its end" not in model_card("tiny", **arguments)


@pytest.mark.parametrize(
    ("licences", "identifier", "named"),
    [
        (["public domain", "MIT"], "apache-2.0", "Apache 2.0"),
        (["WordNet licence + CC BY 4.0", "public domain, as its source states"], "cc-by-4.0", "s0"),
        (["CC BY 4.0", "CC BY-SA 4.0 (origin of the questions not stated)"], "cc-by-sa-4.0", "s1"),
        (["CC BY-SA 4.0", "CC BY-NC 4.0"], "other", "s1 may not be used commercially"),
        (["CC BY-SA 4.0", "as is"], "other", "s1 came under terms"),
        (["open-source licences of the packages", "Apache-2.0"], "apache-2.0", "Apache 2.0"),
    ],
)
def test_weights_take_the_strictest_licence_of_their_data(licences, identifier, named):
    sources = [{"name": f"s{i}", "licence": licence} for i, licence in enumerate(licences)]
    found, sentence = implied_licence(sources)
    assert found == identifier
    assert named in sentence
    assert "not settled" in sentence


def test_a_licence_given_is_the_one_in_the_front_matter_and_the_datas_stay_visible(arguments):
    text = model_card("tiny", **arguments, license="cc-by-nc-4.0")
    assert card_of(text).data.license == "cc-by-nc-4.0"
    assert "The weights: cc-by-nc-4.0." in text
    assert "CC BY-SA 4.0 (that of trivia)" in text


def test_without_a_shipment_nothing_is_said_of_storage(arguments):
    text = model_card("tiny", **{**arguments, "shipment": None})
    assert "## Storage" not in text
    assert "## Storage" in model_card("tiny", **{**arguments, "shipment": dataclasses.replace(SHIPMENT)})
