# %% [markdown]
# # Judge and ship: is it any good, and how do others come to use it?
#
# [![Open this notebook in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/egemma-lab/blob/main/notebooks/10_judge_and_ship.ipynb)
#
# A model is trained. Now comes what a user sees of it: how good it is, and how sure that is; how many bytes a vector may
# cost; an index, a service that answers, a card that says what it can and cannot do, and the ways into other programs.
# Everything is done on texts that come with the package, with the bundled `nano`; put your own model and texts in their
# place.
#
# **Afterwards you will be able to**
#
# - judge a model on tasks of your own, with intervals, and say whether two models can be told apart;
# - run the same model in MTEB, and know why its numbers there mean the same;
# - choose width and precision for a number of bytes, from a measurement;
# - put vectors into faiss, and a search behind an address;
# - write a card from what is on record, publish a model, and use it from sentence-transformers and llama.cpp;
# - build four things on one model: search, recommendation, clustering and a classifier from a few examples.
#
# | | |
# |---|---|
# | Time | about 2 minutes on two CPU cores, about 1 on a T4 or an H200 (all estimated) |
# | Memory | about 1.5 GB |
# | Needs | nothing but this machine: no token, no GPU, no download |
#
# The last cell prints what it really took; a busy machine takes longer. It helps to have seen [00](00_start_here.ipynb)
# and [01](01_embeddings_and_their_geometry.ipynb). Words that are linked lead to the [glossary](../docs/glossary.md),
# symbols stand in [notation](../docs/notation.md).

# %%
# In Colab only: install the lab beside the numpy, torch, plotly and ipywidgets that Colab ships.
import subprocess
import sys
from importlib.metadata import version

if "google.colab" in sys.modules:
    kept = [f"{name}=={version(name)}" for name in ("numpy", "torch", "plotly", "ipywidgets")]
    package = "egemma-lab[plots] @ git+https://github.com/OWNER/egemma-lab"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package, *kept], check=True)

# %%
# In Colab only: what this notebook uses besides (elsewhere `make lab` and `make setup` bring it).
if "google.colab" in sys.modules:
    further = ["mteb", "faiss-cpu", "gguf", "xllamacpp"]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *further, *kept], check=True)

# %%
import json
import logging
import shutil
import time
import urllib.request
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import transformers

import egemma_lab as lab
from egemma_lab.explore import Table, say, show
from egemma_lab.settings import sized

logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()
work = Path("runs/10_judge_and_ship")
shutil.rmtree(work, ignore_errors=True)  # running the notebook again begins anew
work.mkdir(parents=True)
clock = lab.explore.start()
clock

# %% [markdown]
# ## 1. Result first: an index that answers
#
# 800 short texts, forty on each of twenty topics, in an index that keeps one *bit* a number, its sign
# ([binary vectors](../docs/glossary.md#int8-binary-vectors), notebook [07](07_quantization.ipynb)). A question goes in, texts
# come out.

# %%
nano = lab.load_model("nano")
corpus, questions = lab.explore.topic_corpus(), lab.explore.topic_queries()
corpus = corpus.groupby("topic").head(sized(40, 5)).reset_index(drop=True)  # all, but for a quick run
texts, topics = corpus["text"].tolist(), corpus["topic"].to_numpy()
vectors = nano.encode_document(texts)  # (n, 256)
index = lab.quantize.Index.build(nano, vectors, precision="binary")


def answers(question, k=3):
    """The k best texts, by bits first and then by the question's own numbers."""
    scores, ids = index.search(question, k=k)
    found = pd.DataFrame({"cosine": scores, "topic": topics[ids], "text": [texts[i] for i in ids]})
    return Table(found, question)


say(f"{index}: {vectors.nbytes / index.nbytes:.0f} times smaller than the float32 vectors it was made from.")
answers("How do I keep slugs away from my vegetables?")

# %% [markdown]
# Something about slugs is there, and not everything beside it belongs to the question. So how good is that? Three answers prove
# nothing either way; the next three sections are about what does.
#
# ## 2. Judge it: tasks of your own
#
# A public benchmark says how a model does on the benchmark. Whether it is good for *your* texts, only your texts can say, and
# forty questions with their right answers are an afternoon's work. A task is a folder of plain files, in one of three
# layouts ([docs/evaluation.md](../docs/evaluation.md)). From the bundled texts we make one of each kind:
#
# - **everyday** (retrieval): 40 questions, each with the texts that answer it, measured by
#   [nDCG@10](../docs/glossary.md#ndcg10), how good the first ten results are;
# - **topics** (classification): the topic of a text, from eight examples of each topic, measured by accuracy;
# - **rephrased** (similarity): pairs of texts, of which some say the same in other words, measured by Spearman's correlation
#   of the cosines with what is true.
#
# The cell is long because it writes three folders of files. You need not read it to go on.


# %%
def write_lines(path, rows):
    """JSON Lines: an object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


there = set(corpus["id"])
everyday = work / "everyday"
write_lines(everyday / "corpus.jsonl", [{"_id": i, "text": t} for i, t in zip(corpus["id"], texts)])
write_lines(
    everyday / "queries.jsonl", [{"_id": f"q{i}", "text": text} for i, text in enumerate(questions["query"])]
)
grades = [
    f"q{i}\t{key}\t{grade}"
    for i, relevant in enumerate(questions["relevant"])
    for key, grade in relevant.items()
    if key in there
]
(everyday / "qrels.tsv").write_text("\n".join(grades), encoding="utf-8")

within = corpus.groupby("topic").cumcount().to_numpy()  # 0 for a topic's first text, 1 for its second
for name, rows in (("train", (within < 16) & (within % 2 == 0)), ("test", (within < 16) & (within % 2 == 1))):
    write_lines(
        work / "topics" / f"{name}.jsonl",
        [{"text": text, "label": topic} for text, topic in zip(corpus["text"][rows], topics[rows])],
    )

probe, pairs = lab.explore.probe_texts(), lab.explore.probe_pairs()
same = pairs[pairs["relation"] == "paraphrase"]
rng = np.random.default_rng(0)
said = probe["text"].to_numpy()
rephrased = [(said[a], said[b], 1.0) for a, b in zip(same["first"], same["second"])]
for a in rng.permutation(same["first"]):  # as many pairs of two texts on one topic that say different things
    others = np.flatnonzero((probe["label"] == probe["label"][a]) & (probe["role"] == "document"))[:20]
    rephrased.append((said[a], said[rng.choice(others[others != a])], 0.0))
write_lines(
    work / "rephrased" / "test.jsonl",
    [dict(zip(("sentence1", "sentence2", "score"), row)) for row in rephrased],
)
tasks = [str(work / name) for name in ("everyday", "topics", "rephrased")]

# %% [markdown]
# A score alone says little. Beside the nano stand the larger model that taught it, the same architecture with random
# weights ("untrained"), and, where words can be searched, keyword search ([BM25](../docs/glossary.md#bm25)).

# %%
guess = lab.explore.predict(
    "The nano cut to 32 of its 256 numbers: what share of its own nDCG@10 on the everyday questions will it keep?",
    ...,
)
guess

# %%
teacher = lab.load_teacher()
widths = sized(nano.widths, nano.widths[::3])
frame = lab.evaluate(
    nano,
    tasks,
    dims=widths,
    baselines=[teacher, "untrained", "bm25"],
    show_progress_bar=False,
)
main = lab.evaluate.main_metrics(frame)
full = main.loc[
    main.groupby(["model", "task"])["width"].transform("max").fillna(0) == main["width"].fillna(0)
]
wide = full.pivot_table(index="model", columns="task", values="value", sort=False)
Table(
    wide.map(lambda value: "-" if pd.isna(value) else f"{value:.3f}"),
    caption="Each task's main metric at full width: nDCG@10, accuracy, Spearman",
)

# %%
by_width = (
    main[main["model"] == nano.name].pivot_table(index="width", columns="task", values="value").iloc[::-1]
)
kept_of = by_width.loc[min(nano.widths)] / by_width.loc[max(nano.widths)]
guess.reveal(
    kept_of["everyday"],
    f"With {len(questions)} questions this is a rough number; section 3 says how rough. Of the other tasks it keeps "
    + ", ".join(f"{kept_of[name]:.2f} ({name})" for name in ("topics", "rephrased"))
    + ".",
)
Table(by_width, caption="The nano, cut", digits=3)

# %% [markdown]
# Look at the row of random weights. It is not at zero: a token that two texts share gets the same vector in both,
# whether or not anybody has learnt what it means. What a model has above *that* row it has learnt.
#
# ### Exercise 1

# %%
ndcg_exercise = lab.explore.exercise("judge_and_ship/ndcg_of_a_third_place")
ndcg_exercise

# %%
ndcg_exercise.check(...)

# %% [markdown]
# ## 3. How sure is that?
#
# The questions are a sample. With forty others the mean would be another. The **bootstrap** asks how different, without
# forty others: draw forty of these forty with replacement, many times, and see how much the mean moves. The middle 95% of
# the means are the [confidence interval](../docs/glossary.md#confidence-interval). By hand, and what the table says:

# %%
each = lab.evaluate(nano, tasks[:1], baselines=[teacher, "bm25"], per_query=True, show_progress_bar=False)
ours = each[(each["model"] == nano.name) & (each["metric"] == "nDCG@10")][
    "value"
].to_numpy()  # one a question
draws = np.random.default_rng(0).choice(ours, size=(2000, len(ours)))  # (2000, n), with replacement
low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
told = full[(full["model"] == nano.name) & (full["task"] == "everyday")].iloc[0]
say(
    f"nDCG@10 of the nano: {ours.mean():.3f}. By hand the 95% interval is {low:.3f} to {high:.3f}; `lab.evaluate` says "
    f"{told['low']:.3f} to {told['high']:.3f}."
)

# %% [markdown]
# ### Exercise 2

# %%
interval_exercise = lab.explore.exercise("judge_and_ship/questions_for_a_narrow_interval")
interval_exercise

# %%
interval_exercise.check(...)

# %% [markdown]
# Intervals of two models often overlap although one is plainly better. What makes a question hard is hard for both, and
# *that* part of the spread cancels when the difference is taken question by question. So compare pairs, not intervals. First
# the intervals, then the pairs:

# %%
intervals = full[full["task"] == "everyday"].set_index("model")[["value", "low", "high"]]
compared = lab.evaluate.compare(each, metrics=["nDCG@10"])
Table(intervals, caption="Each model by itself, nDCG@10 with its 95% interval", digits=3)

# %%
Table(
    compared[["a", "b", "difference", "low", "high", "better"]],
    caption="The same questions, one difference each",
    digits=3,
)


# %%
def overlap_of(other):
    """Whether the two models' own intervals overlap."""
    a, b = intervals.loc[nano.name], intervals.loc[other]
    return a["low"] <= b["high"] and b["low"] <= a["high"]


lines = []
for row in compared.itertuples():
    lines.append(
        f"Against {row.b}: the own intervals {'overlap' if overlap_of(row.b) else 'do not overlap'}; paired, "
        + ("nothing can be said." if row.better == "undecided" else f"{row.better} is better.")
    )
say("\n\n".join(lines))

# %% [markdown]
# Where the intervals lie apart both ways agree; the pairs are for the cases where they do not. All of this is about
# other *questions*. Another training run with another seed is another matter, which no bootstrap over questions can
# see; for that there are several runs ([11_the_paper_in_miniature](11_the_paper_in_miniature.ipynb)).
#
# ## 4. The public benchmark: MTEB
#
# To be compared with others a model must take the test that the others took.
# [MTEB](https://github.com/embeddings-benchmark/mteb) is that test, and `lab.evaluate.as_mteb` makes of a model what it
# asks for: prompts by the kind of task, titles apart, a fingerprint of the weights as the revision. With a network, all
# that is needed is
#
# ```python
# import mteb
#
# benchmark = mteb.get_benchmark("MTEB(eng, v2)")  # the paper: also MTEB(Multilingual, v2) and MTEB(Code, v1)
# mteb.evaluate(lab.evaluate.as_mteb(nano), benchmark)
# ```
#
# Here is the same without a download: mteb's own code for one of its tasks, SciFact, on our everyday questions instead of its
# data. The number should be the one of section 2, because `lab.evaluate` follows mteb's protocols:

# %%
import mteb
from datasets import Dataset
from mteb.tasks.retrieval.eng.sci_fact_retrieval import SciFact

task = SciFact()
relevant = {}
for line in grades:
    query, document, grade = line.split("\t")
    relevant.setdefault(query, {})[document] = int(grade)
in_play = [(f"q{i}", text) for i, text in enumerate(questions["query"]) if f"q{i}" in relevant]
task.dataset = {
    "default": {
        "test": {
            "corpus": Dataset.from_dict({"id": corpus["id"], "title": [""] * len(texts), "text": texts}),
            "queries": Dataset.from_dict(dict(zip(("id", "text"), map(list, zip(*in_play))))),
            "relevant_docs": relevant,
            "top_ranked": None,
        }
    }
}
task.data_loaded = True
result = mteb.evaluate(
    lab.evaluate.as_mteb(nano), task, cache=None, co2_tracker=False, show_progress_bar=False
)
[theirs] = result.task_results[0].scores["test"]
say(f"mteb says nDCG@10 = {theirs['ndcg_at_10']:.5f}; `lab.evaluate` says {told['value']:.5f}.")

# %% [markdown]
# A number from a benchmark leaves one more question open: was the test in the training data
# ([test set](../docs/glossary.md#test-set))? Look for it before you believe a score, your own first. The nano was not trained
# on these texts; they were written for this laboratory.
#
# ## 5. What may a vector cost?
#
# Fewer numbers a vector (a [width](../docs/glossary.md#prefix-width), notebook [06](06_matryoshka.ipynb)) and fewer bits a
# number (a *precision*, notebook [07](07_quantization.ipynb)) make an index smaller and a search faster. What it costs on
# your questions is a table, here drawn: `64d` is the first 64 numbers, "binary rescored" takes a second look at the candidates
# that the bits propose ([rescoring](../docs/glossary.md#rescoring)).

# %%
frontier = lab.evaluate.frontier(nano, tasks[0], show_progress_bar=False)
show(
    lab.explore.quality_frontier(frontier, title="Everyday questions: what a vector's bytes buy"),
    "Share of the full quality over bytes a vector, a line a precision through the widths. "
    + "; ".join(
        f"{row.precision} at {row.bytes} bytes {row.share:.2f}"
        for row in frontier[frontier["width"] == max(nano.widths)].itertuples()
    )
    + ".",
)


# %%
def cheapest(table, keep=0.95):
    """The row of fewest bytes that keeps at least `keep` of the quality of float32 at full width."""
    good = table[table["share"] >= keep]
    return good.sort_values(["bytes", "share"], ascending=[True, False]).iloc[0]


def best_within(table, documents, gigabytes):
    """The best row whose vectors fit: `documents` of them in `gigabytes` (10⁹ bytes)."""
    fitting = table[table["bytes"] * documents <= gigabytes * 1e9]
    return fitting.sort_values(["value", "bytes"], ascending=[False, True]).iloc[0]


rows = {
    "keeps 95% of the quality": cheapest(frontier),
    "10 million documents in 1 GB": best_within(frontier, 10_000_000, 1),
    "10 million documents in 10 GB": best_within(frontier, 10_000_000, 10),
}
columns = ["width", "precision", "bytes", "value", "share", "share_low", "share_high"]
Table(pd.DataFrame(rows).T[columns].convert_dtypes(), caption="Three budgets", digits=3)

# %% [markdown]
# The interval of the share stands beside it for a reason: of many rows the best *looking* one is partly the luckiest. Where two
# rows cannot be told apart, take the plainer one. The same over four larger tasks, with thousands of questions, is in
# notebook [07](07_quantization.ipynb), section 4.
#
# ### Exercise 3

# %%
weight_exercise = lab.explore.exercise("judge_and_ship/weight_of_ten_million")
weight_exercise

# %%
weight_exercise.check(...)

# %% [markdown]
# ## 6. Two ways to search, side by side
#
# Before a setting is chosen, look at what it does to single questions. The first list is what the others are compared with;
# marked are the texts that are known to answer. (Without a kernel you see one question; with the notebook running you can
# ask your own.)

# %%
lab.explore.search(nano, texts if len(texts) < 800 else None, k=5)

# %% [markdown]
# Three things to try:
#
# 1. **Ask in words that no text uses**, "my bank balance is always empty" say. What does each list make of it?
# 2. **Compare binary with and without the second look.** What does it mend, and what can it not?
# 3. **Take the prompts away.** How many of the results change?
#
# ## 7. An index in faiss, and a service
#
# The package's own index is made to be understood. For millions of vectors one takes a library made for that, and
# [faiss](https://faiss.ai) is the usual one; what goes in are the same arrays ([docs/index.md](../docs/index.md)). Three
# indexes: floats, compared one by one; bits, by Hamming distance, the number of bits that differ; and a graph (HNSW), which
# links every vector to some of its neighbours and walks along these links towards the question, so that it looks at a few
# vectors only and may miss some.

# %%
import faiss

faiss.omp_set_num_threads(1)
asked = nano.encode_query(questions["query"].tolist())  # (40, 256)
exact = faiss.IndexFlatIP(vectors.shape[1])
exact.add(vectors)
bits = faiss.IndexBinaryFlat(vectors.shape[1])
bits.add(lab.quantize.quantize_vectors(vectors, "ubinary"))
graph = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
graph.add(vectors)

truth = exact.search(asked, 10)[1]  # (40, 10)
found = {
    "flat, float32": truth,
    "bits, Hamming": bits.search(lab.quantize.quantize_vectors(asked, "ubinary"), 10)[1],
    "graph (HNSW), float32": graph.search(asked, 10)[1],
}
assert (lab.quantize.search(asked, vectors, 10, precision="float32")[1] == truth).mean() > 0.99
kept = {name: np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, truth)]) for name, ids in found.items()}
Table(
    pd.DataFrame({"of the exact ten, found": kept}),
    caption="Three indexes, ten results for each question: bits alone, without a second look",
)

# %% [markdown]
# Among so few vectors a graph has nothing to save. What it loses grows with their number: measure it at your own size
# before you trust it.
#
# A service is an index with an address. It is loaded once; a request brings a question and takes a list. Python's own server
# is enough to show it (put a real one before it when strangers come):

# %%
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Search(BaseHTTPRequestHandler):
    """POST {"query": ..., "k": ...} -> {"results": [{"score", "id", "text"}, ...]}."""

    def do_POST(self):
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scores, ids = index.search(str(asked["query"]), k=int(asked.get("k", 5)))
            status, answer = (
                200,
                {
                    "results": [
                        {"score": round(float(score), 4), "id": corpus["id"][int(i)], "text": texts[int(i)]}
                        for score, i in zip(scores, ids)
                    ]
                },
            )
        except (KeyError, TypeError, ValueError) as error:  # the question is wrong, not the server
            status, answer = 400, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """No line a request."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Search)  # port 0: any that is free
Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"


def request(**question):
    """Ask the service, as another program would."""
    body = json.dumps(question).encode()
    call = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(call, timeout=60))["results"]


Table(
    pd.DataFrame(request(query="What helps against a squeaking door?", k=3)), "Through the network, to itself"
)

# %%
waits, reading = [], []
for question in questions["query"][: sized(20, 5)]:
    began = time.perf_counter()
    request(query=question, k=5)
    waits.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    nano.encode_query([question])
    reading.append(1000 * (time.perf_counter() - began))
began = time.perf_counter()
for _ in range(20):
    index.search(asked[0], k=5)
alone = 1000 * (time.perf_counter() - began) / 20
server.shutdown()
server.server_close()
say(
    f"An answer takes {np.median(waits):.0f} ms (the middle of {len(waits)}). Here, without the service, the model reads a question in "
    f"{np.median(reading):.0f} ms and the index finds its answer in {alone:.1f} ms; the rest is the way there and back, and the "
    "thread that the server starts for each request. With few documents the search is the least of it."
)

# %% [markdown]
# ## 8. Ship it
#
# ### The card
#
# A model without a card is a file that nobody can trust. `lab.train.model_card` writes one from what is on record: the table of
# results with intervals, the data with their licences, how it was trained, where it fails. It states no number of its own
# making. Its beginning, as it would stand on the Hub:

# %%
from egemma_lab.train import model_card

results = frame[frame["model"].isin([nano.name, "bm25", teacher.name])]
card = model_card(
    "nano",
    model=nano,
    stages=[{"name": "bundled", "what": "as it comes with egemma-lab; its own card names every stage"}],
    sources=[
        {"name": "the nano's training data", "what": "as its own card lists them", "licence": "CC BY-SA 4.0"},
    ],
    results=results,
    recipe="experiments/nano/recipe.yaml",
    command="make nano DATA=folder",
    limits=[
        "English alone; short texts were most of what it learnt from.",
        f"Judged here on {len(questions)} questions and {len(texts)} texts of one author.",
    ],
)
front_matter, _, body = card.partition("\n---\n")
lines = body.strip().splitlines()
shown = sized(60, 12)
print("\n".join(lines[:shown]), f"\n\n... and {len(lines) - shown} lines more")

# %% [markdown]
# ### Into sentence-transformers
#
# A saved folder *is* a sentence-transformers model. Same vectors?

# %%
from sentence_transformers import SentenceTransformer

folder = work / "my-encoder"
nano.save_pretrained(folder)
(folder / "README.md").write_text(card, encoding="utf-8")
served = SentenceTransformer(str(folder), device="cpu")
few = questions["query"].tolist()[:5]
difference = np.abs(served.encode(few, prompt_name="query") - nano.encode_query(few)).max()
forgotten = np.sum(served.encode(few) * nano.encode_query(few), axis=1).mean()
say(
    f"Largest difference in a number of a vector: {difference:.0e}. Without `prompt_name` sentence-transformers puts no prompt before "
    f"a text, as the released model would have it; the mean cosine to the right vector is then {forgotten:.3f}."
)

# %% [markdown]
# ### Into llama.cpp
#
# One file in the format GGUF, with the tokenizer in it, for machines without Python. It is compared with the model before it
# is kept. Eight bits a weight:

# %%
export = lab.quantize.export(nano, work / "nano-Q8_0.gguf", format="gguf", precision="Q8_0")
say(f"`{export.path.name}`, {export.size / 1e6:.1f} MB. Compared by {export.agreement}.")

# %% [markdown]
# ```bash
# llama-server -m nano-Q8_0.gguf --embedding -c 2048 -b 2048 -ub 2048 --port 8080
# ```
#
# llama.cpp knows no [prompts](../docs/glossary.md#prompt). Who calls the server must put them there:
#
# ### Exercise 4

# %%
prompt_exercise = lab.explore.exercise("judge_and_ship/what_the_server_must_be_sent")
prompt_exercise

# %%
prompt_exercise.check(...)

# %%
from egemma_lab.quantize.llama_cpp import llama_server

prompt = nano.prompts["query"]
with llama_server(work / "nano-Q8_0.gguf") as llama:
    with_prompt, without = llama.embed([prompt + text for text in few]), llama.embed(few)
right = nano.encode_query(few)
say(
    f"llama.cpp's vectors have a mean cosine of {np.sum(with_prompt * right, axis=1).mean():.5f} to the nano's; without the prompt "
    f"{np.sum(without * right, axis=1).mean():.5f}"
    + (
        ": the nano hardly heeds its prompts, EmbeddingGemma does ([12](12_mistakes_everyone_makes.ipynb), section 2)"
        if np.sum(without * right, axis=1).mean() > 0.98
        else ""
    )
    + ". [docs/serving.md](../docs/serving.md) has the same for onnxruntime."
)

# %% [markdown]
# ### To the Hub
#
# Publishing is one command. Here it stays dry: the cell lists what would go there, and sends nothing.

# %%
files = sorted(path for path in folder.rglob("*") if path.is_file())
kinds = {path.suffix for path in files}
assert not kinds & {".bin", ".pt", ".pkl", ".py"}, "weights are safetensors, and no code travels with them"
print(f"hf upload YOUR_NAME/my-encoder {folder.as_posix()} . --commit-message 'A small text encoder'")
Table(
    pd.DataFrame(
        [(str(path.relative_to(folder).as_posix()), path.stat().st_size / 1e6) for path in files],
        columns=["file", "MB"],
    ),
    caption=f"What would be uploaded: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB",
)

# %% [markdown]
# Before it: `hf auth login` with a token that may write, and `hf repo create YOUR_NAME/my-encoder --private` if nobody
# is to see it yet. After it anybody can `lab.load_model("YOUR_NAME/my-encoder")`. Two questions first. Do the licences
# of your data allow it? And if the model was made from `google/embeddinggemma-300m`: the Gemma Terms of Use bind it
# too, and must go with it.
#
# ## 9. Four things to build
#
# **Semantic search** was section 1. Three more, each with the prompt that belongs to it.
#
# ### Recommendation: more like these
#
# Somebody liked three texts. What they have in common is, roughly, their mean; what lies nearest to the mean is recommended.
# Two things of one kind are compared here, so both get the similarity prompt.

# %%
alike = nano.encode(texts, prompt_name="STS")  # (n, 256)
liked = np.flatnonzero(topics == "gardening")[:2].tolist() + np.flatnonzero(topics == "cooking")[:1].tolist()
taste = alike[liked].mean(axis=0)
closeness = alike @ (taste / np.linalg.norm(taste))
closeness[liked] = -1  # they are known already
best = np.argsort(-closeness)[:4]
print("liked:\n" + "\n".join(f"- {texts[i]}" for i in liked))
Table(
    pd.DataFrame({"cosine": closeness[best], "topic": topics[best], "text": [texts[i] for i in best]}),
    "recommended",
)

# %% [markdown]
# The mean of very different things is near to none of them. With many liked texts, cluster them first and recommend by group.
#
# ### Clustering: what is all this about?
#
# Group the texts without being told the topics, and let each group be named by the text nearest to its middle. Because the
# topics are known, the grouping can be judged: v-measure is 1 if groups and topics are the same, near 0 if they have nothing
# to do with each other (what shuffled groups get stands beside it).

# %%
from sklearn.cluster import KMeans
from sklearn.metrics import v_measure_score

grouped = nano.encode(texts, prompt_name="Clustering")
means = KMeans(n_clusters=20, n_init=4, random_state=0).fit(grouped)
rows = []
for group, size in pd.Series(means.labels_).value_counts().head(5).items():
    members = np.flatnonzero(means.labels_ == group)
    middle = members[np.argmax(grouped[members] @ means.cluster_centers_[group])]
    shares = pd.Series(topics[members]).value_counts(normalize=True)
    rows.append((size, texts[middle], f"{shares.index[0]} ({shares.iloc[0]:.0%})"))
shuffled = v_measure_score(topics, rng.permutation(means.labels_))
Table(
    pd.DataFrame(rows, columns=["texts", "nearest to the middle", "most frequent topic"]),
    caption=f"The five largest of 20 groups. V-measure {v_measure_score(topics, means.labels_):.3f}; with shuffled groups {shuffled:.3f}",
)

# %% [markdown]
# ### Classification from a few examples: is it spam?
#
# Ten messages of each kind, and a straight line between their vectors (logistic regression). The test messages are others.

# %%
SPAM = """You have won a brand new phone, claim your prize within 24 hours
Lose ten kilos in a week with this secret pill
Your account is locked, confirm your password here at once
Earn five thousand a week from home, no experience needed
Cheap watches, luxury brands, ninety percent off today only
Dear friend, I need your help to transfer a large sum of money
Hot singles in your area want to meet you tonight
Congratulations, you have been selected for a free cruise
Get a loan in five minutes without any checks
Act now, this investment doubles every month, guaranteed
Final notice: your parcel is held, pay the small fee to release it
Unlock unlimited followers for your profile instantly
Claim your free gift card before midnight
You are the lucky visitor of the day, click to collect your reward
Reduce your debts overnight, our experts are waiting for your call
Verify your bank details now to avoid suspension
Miracle cream removes all wrinkles, order now and save
Double your bitcoin in a day, limited places""".splitlines()
HAM = """Are we still meeting for lunch on Thursday?
I have attached the minutes of yesterday's meeting
Could you water the plants while we are away?
The train is late, I will be there at half past eight
Thanks for the photos, the one of grandma is lovely
Please review the second chapter before Monday
The plumber can come on Tuesday morning, is that fine?
Happy birthday, I hope you have a wonderful day
I left the keys with the neighbour on the first floor
Shall I bring dessert or a salad on Saturday?
The children have football practice until six
Your book is ready to be collected at the library
I pushed the fix, the tests are green again
Mum asks if you arrived well
Can you send me the recipe for that soup?
The lecture moved to room twelve, same time
Sorry I missed your call, I was on my bike
We are out of milk, could you get some on the way?""".splitlines()

from sklearn.linear_model import LogisticRegression

messages, is_spam = [*SPAM, *HAM], np.repeat([True, False], [len(SPAM), len(HAM)])
message_vectors = nano.encode(messages, prompt_name="Classification")
examples = np.tile(np.arange(len(SPAM)) < 10, 2)  # the first ten of each kind
line = LogisticRegression(C=10).fit(message_vectors[examples], is_spam[examples])
said_spam = line.predict(message_vectors[~examples])
right = said_spam == is_spam[~examples]
spread = np.quantile(rng.choice(right, size=(2000, len(right))).mean(axis=1), [0.025, 0.975])
wrong = [messages[i] for i in np.flatnonzero(~examples)[~right]]
say(
    f"{right.sum()} of {len(right)} test messages are told right ({spread[0]:.0%} to {spread[1]:.0%} with so few). "
    + ("Wrong: " + "; ".join(f"“{text}”" for text in wrong) + "." if wrong else "None is wrong.")
    + " These messages were written to be told apart; spam that is meant to get through is not so kind."
)

# %% [markdown]
# Intents of a chat, departments for a letter, languages of a page: the same three lines, more labels. The suite's
# `banking77` is such a task with 77 intents; the nano's accuracy there, with its interval, stands in the
# [README](../README.md).
#
# ## 10. What the paper found, and what we found
#
# How much of the quality is left when vectors are cut: the paper's means over the retrieval and the classification tasks of
# MTEB (English, v2; Table 7 of [arXiv:2509.20354](https://arxiv.org/abs/2509.20354)), beside the nano on the tasks above.

# %%
published = pd.DataFrame(
    {"retrieval": [55.7, 54.0, 51.4, 46.0], "classification": [87.6, 87.4, 86.9, 85.9]},
    index=["1/1", "2/3", "1/3", "1/6"],
)
published.index.name = "share of the width"
ours = by_width[["everyday", "topics"]] / by_width[["everyday", "topics"]].iloc[0]
ours.index = [f"1/{max(nano.widths) // width}" for width in ours.index]
ours.index.name = "share of the width"
Table(
    published / published.iloc[0], caption="Paper, 768 numbers and less: share of the full quality", digits=3
)

# %%
Table(
    ours.rename(columns={"everyday": "retrieval", "topics": "classification"}),
    caption=f"Here, {max(nano.widths)} numbers and less: share of the full quality",
    digits=3,
)

# %%
retrieval_lost, classes_lost = 1 - ours.iloc[-1]
say(
    "In the paper retrieval loses far more than classification when vectors get short. "
    + ("The same order here: " if retrieval_lost > classes_lost else "Here it is not to be seen: ")
    + f"at the shortest width the nano loses {retrieval_lost:.0%} of its retrieval and {classes_lost:.0%} of its classification, on small "
    "tasks with wide intervals."
)

# %% [markdown]
# ## Summary
#
# - A score needs neighbours (random weights, keyword search, a stronger model) and an interval. Two models are compared question
#   by question.
# - `lab.evaluate` and MTEB give the same number for the same data.
# - Width and precision are bought, with bytes; the table of your own questions says at what price.
# - A service is an index with an address; with few documents the search is the least of what one waits for.
# - A folder opens in sentence-transformers, a GGUF file in llama.cpp, and neither puts the prompt there for you unless told.
# - One model searches, recommends, groups and classifies, each with its own prompt.
#
# ## Where next
#
# - Your own texts: write a folder as in section 2, and judge `nano`, your model of
#   [09_train_on_a_gpu](09_train_on_a_gpu.ipynb), and the teacher on it.
# - [docs/index.md](../docs/index.md) and [docs/serving.md](../docs/serving.md) go on where this notebook ends.

# %%
clock.report()
