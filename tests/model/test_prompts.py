import pytest

from egemma_lab.model import PROMPTS, document_prompt


def test_every_prompt_of_the_released_model():
    search = "task: search result | query: "
    expected = {
        "query": search,
        "document": "title: none | text: ",
        "Retrieval": search,
        "Retrieval-query": search,
        "Retrieval-document": "title: none | text: ",
        "BitextMining": search,
        "Reranking": search,
        "Clustering": "task: clustering | query: ",
        "Classification": "task: classification | query: ",
        "MultilabelClassification": "task: classification | query: ",
        "PairClassification": "task: sentence similarity | query: ",
        "STS": "task: sentence similarity | query: ",
        "Summarization": "task: summarization | query: ",
        "InstructionRetrieval": "task: code retrieval | query: ",
        "QuestionAnswering": "task: question answering | query: ",
        "FactVerification": "task: fact checking | query: ",
        "CodeRetrieval": "task: code retrieval | query: ",
    }
    assert dict(PROMPTS) == expected


def test_each_ends_in_one_space():
    assert all(prompt.endswith(" ") and not prompt.endswith("  ") for prompt in PROMPTS.values())


@pytest.mark.parametrize("title", [None, "", "  \n"])
def test_no_title_is_none(title):
    assert document_prompt(title) == PROMPTS["document"]


def test_title_that_is_no_string():
    with pytest.raises(TypeError, match="a title is a string or None, not int"):
        document_prompt(3)
