"""The task prompts t of EmbeddingGemma: E(t, x) embeds the string t + x (arXiv:2509.20354, Eq. 1)."""

_SEARCH = "task: search result | query: "
_SIMILARITY = "task: sentence similarity | query: "
_CLASSIFICATION = "task: classification | query: "
_CODE = "task: code retrieval | query: "


def document_prompt(title=None):
    """The prompt that stands before a document: its title where it has one, the word none where it has not.

    A real title helps retrieval; an empty or blank one counts as none.

    >>> document_prompt()
    'title: none | text: '
    >>> document_prompt("Mars")
    'title: Mars | text: '
    """
    if title is not None and not isinstance(title, str):
        raise TypeError(f"a title is a string or None, not {type(title).__name__}")
    return f"title: {title if title and title.strip() else 'none'} | text: "


# Name -> prompt. The first fourteen ship with google/embeddinggemma-300m (config_sentence_transformers.json);
# that InstructionRetrieval asks for code is no slip made here. The last three stand in its model card only.
PROMPTS = {
    "query": _SEARCH,
    "document": document_prompt(),
    "Retrieval": _SEARCH,
    "Retrieval-query": _SEARCH,
    "Retrieval-document": document_prompt(),
    "BitextMining": _SEARCH,
    "Reranking": _SEARCH,
    "Clustering": "task: clustering | query: ",
    "Classification": _CLASSIFICATION,
    "MultilabelClassification": _CLASSIFICATION,
    "PairClassification": _SIMILARITY,
    "STS": _SIMILARITY,
    "Summarization": "task: summarization | query: ",
    "InstructionRetrieval": _CODE,
    "QuestionAnswering": "task: question answering | query: ",
    "FactVerification": "task: fact checking | query: ",
    "CodeRetrieval": _CODE,
}
