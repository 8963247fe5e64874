"""The model card: everything a reader must know before using a model, written from what is on record."""

import math

from egemma_lab.train.card_facts import implied_licence
from egemma_lab.train.card_front_matter import front_matter


def model_card(
    name, *, model, stages, sources, results, recipe, command, limits, shipment=None, license=None
):
    """The text of README.md in the Hub's format: YAML front matter with the results, then prose and tables.

    Parameters: `name`, of the model, as in `results` and as `load_model` knows it; `model`, an
    EmbeddingGemma, for its shape and prompts; `stages`, mappings as `stage_facts` makes them of run folders,
    in the order they ran (of a stage without a run, a soup say, "name" and "what" are enough); `sources`,
    mappings with "name", "what", "licence" and perhaps "rows" and "hub" (its name there), the teacher among
    them; `results`, the table of `lab.evaluate` for this model and any others to compare it with; `recipe`,
    where the recipe file lies; `command`, the line that repeats it all; `limits`, sentences; `shipment`, what
    `ship` returned or gives to a card that is a function; `license`, an identifier of the Hub's (default:
    what the data's licences imply, see `implied_licence`).

    The same arguments give the same text. No number comes from anywhere else. ValueError where the results
    have no row of this model, or a stage or source lacks what the card must say.

    >>> import pandas as pd
    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> text = model_card(
    ...     "micro",
    ...     model=new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400)),
    ...     stages=[{"name": "none", "what": "fresh weights, nothing learnt"}],
    ...     sources=[{"name": "two texts", "what": "for the tokenizer", "licence": "public domain"}],
    ...     results=pd.DataFrame(
    ...         [("micro", "stsb", "spearman", 0.25, 64, 100, 0.2, 0.3)],
    ...         columns=["model", "task", "metric", "value", "width", "n", "low", "high"],
    ...     ),
    ...     recipe="recipe.yaml",
    ...     command="egemma-lab train",
    ...     limits=["It knows nothing."],
    ... )
    >>> [line for line in text.splitlines() if line.startswith(("#", "license"))][:3]
    ['license: apache-2.0', '# micro', '## Use']
    """
    rows = _own_rows(results, name)
    for number, stage in enumerate(stages):
        _require(stage, ("name", "what"), f"stages[{number}]")
    for number, source in enumerate(sources):
        _require(source, ("name", "what", "licence"), f"sources[{number}]")
    identifier, meaning = implied_licence(sources)
    parts = [
        f"---\n{front_matter(name, license or identifier, sources, rows)}\n---\n",
        f"# {name}\n",
        _what_it_is(name, model),
        _usage(name, model),
        _figures(results),
        _training(stages),
        _data(sources),
        f"## Licence\n\n{meaning if license in (None, identifier) else f'The weights: {license}. {meaning}'}\n",
        "## Limits\n\n" + "".join(f"- {limit}\n" for limit in limits),
        _repeating(stages, recipe, command),
        *([] if shipment is None else [_storage(shipment)]),
    ]
    return "\n".join(parts)


def _require(mapping, keys, where):
    missing = [key for key in keys if not mapping.get(key)]
    if missing:
        raise ValueError(
            f"{where} lacks {', '.join(missing)}: the card must say it; given were {dict(mapping)}"
        )


def _own_rows(results, name):
    rows = results[results["model"] == name].to_dict("records")
    if not rows:
        found = ", ".join(results["model"].unique()) or "none"
        raise ValueError(f"results has no row of the model {name!r}; it has: {found}")
    return rows


def _what_it_is(name, model):
    text, count = model.config.text, sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{name} turns a text into a unit vector. It has the architecture of EmbeddingGemma (Vera et al., "
        f"[arXiv:2509.20354](https://arxiv.org/abs/2509.20354)) in small: {count:,} parameters, "
        f"{text.num_hidden_layers} layers, hidden width {text.hidden_size}, a vocabulary of {text.vocab_size:,} "
        f"pieces, texts of up to {model.max_seq_length:,} tokens, vectors of width {_listed(model.widths)}. It was "
        "trained for egemma_lab, a laboratory in which one can see how such a model comes about: none of Google's "
        "weights are in it.\n"
    )


def _usage(name, model):
    widths = model.widths
    narrow = widths[len(widths) // 2]
    return f"""## Use

```python
import egemma_lab as lab

model = lab.load_model("{name}")
queries = model.encode_query(["how do plants drink?"])
documents = model.encode_document(["Roots take up water from the soil.", "The match ended in a draw."])
print(model.similarity(queries, documents))
small = model.encode_document(["Roots take up water."], truncate_dim={narrow})
```

In sentence-transformers:

```python
from importlib.resources import files
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(str(files("egemma_lab") / "assets" / "{name}"))
queries = model.encode_query(["how do plants drink?"])
documents = model.encode_document(["Roots take up water from the soil.", "The match ended in a draw."])
print(model.similarity(queries, documents))
```

The model was trained with prompts before its texts and expects them. `encode_query` and `encode_document` put them
there; for anything else name one, as in `model.encode(texts, prompt_name="STS")`:

{_prompts(model.prompts)}"""


def _prompts(prompts):
    names = {}
    for key, prompt in prompts.items():
        names.setdefault(prompt, []).append(key)
    return "".join(f"- `{prompt}`: {', '.join(keys)}\n" for prompt, keys in names.items())


def _figures(results):
    from egemma_lab.evaluate.table import markdown, width_table

    table = width_table(results).rename(columns={"-": "no width"})
    order = {task: number for number, task in enumerate(results["task"].unique())}
    table = table.sort_values("task", key=lambda tasks: tasks.map(order), kind="stable")
    counts = {(row["task"], row["metric"], row["model"]): row["n"] for row in results.to_dict("records")}
    table.insert(
        2, "n", [f"{int(counts[key]):,}" for key in zip(table["task"], table["metric"], table["model"])]
    )
    return (
        "## Figures\n\nOne column a width, the widest first. Behind each figure its 95% interval by bootstrap over "
        "the task's n examples: how far it would move with other examples of the same kind. It knows nothing of "
        f"other seeds in training.\n\n{markdown(table)}\n"
    )


def _training(stages):
    columns = {
        "stage": lambda s: s["name"],
        "what": lambda s: s["what"],
        "steps": lambda s: _number(s.get("steps")),
        "minutes": lambda s: _number(s.get("minutes")),
        "rows a step": lambda s: _number(s.get("batch")),
        "learning rate": lambda s: "-" if s.get("learning_rate") is None else f"{s['learning_rate']:g}",
        "precision": lambda s: s.get("precision") or "-",
        "machine": lambda s: s.get("machine") or "-",
    }
    lines = ["## How it was made\n", _table(columns, stages)]
    for stage in stages:
        if stage.get("sources"):
            counts = ", ".join(
                f"{name} {'streamed' if rows is None else format(rows, ',')}"
                for name, rows in stage["sources"].items()
            )
            lines.append(f"\n{stage['name']} drew from (rows): {counts}.")
        if stage.get("status") not in (None, "finished"):
            lines.append(f"\n{stage['name']} did not run to its end: its status is {stage['status']}.")
    return "\n".join(lines) + "\n"


def _data(sources):
    columns = {
        "source": lambda s: s["name"],
        "rows": lambda s: _number(s.get("rows")),
        "what": lambda s: s["what"],
        "licence, as its source states it": lambda s: s["licence"],
    }
    if not any("rows" in source for source in sources):
        del columns["rows"]  # what each stage drew is listed there
    return "## Data\n\n" + _table(columns, sources) + "\n"


def _repeating(stages, recipe, command):
    versions, seeds = {}, []
    for stage in stages:
        for package, version in (stage.get("versions") or {}).items():
            versions.setdefault(package, dict.fromkeys([version])).update({version: None})
        if stage.get("seed") is not None:
            seeds.append(f"{stage['name']} {stage['seed']}")
    lines = [f"## How to repeat it\n\n```bash\n{command}\n```\n\nThe recipe is `{recipe}`."]
    if seeds:
        lines.append(f" Seeds: {', '.join(seeds)}.")
    if versions:
        listed = ", ".join(f"{package} {' and '.join(found)}" for package, found in versions.items())
        lines.append(f" Versions: {listed}. Numbers repeat exactly on an equal machine only.")
    return "".join(lines) + "\n"


def _storage(shipment):
    cosine = math.floor(shipment.cosine * 1e6) / 1e6  # rounded up, the sentence would not be true
    return (
        f"## Storage\n\nThe weights are stored as {shipment.storage} and used in float32; the folder takes "
        f"{shipment.bytes:,} bytes besides this card. Of {shipment.texts:,} texts, each as query and as document, "
        f"none has a cosine below {cosine:.6f} between its vector before and after.\n"
    )


def _table(columns, rows):
    lines = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
    return "\n".join([lines[0], "|" + " --- |" * len(columns), *lines[1:]])


def _number(value):
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _listed(values):
    return ", ".join(map(str, values[:-1])) + (" or " if len(values) > 1 else "") + str(values[-1])
