import re

from egemma_lab.explore import topics


def test_topics_are_balanced_and_every_text_is_there_once():
    table = topics()
    assert table["topic"].value_counts().nunique() == 1
    assert table["text"].is_unique
    assert table["text"].str.len().between(30, 160).all()
    assert (table["text"] == table["text"].str.strip()).all()


def test_texts_of_one_topic_share_few_words():
    # otherwise a map of them would show spelling, not meaning
    table = topics()
    words = [set(re.findall("[a-z]{4,}", text.lower())) for text in table["text"]]
    for topic in table["topic"].unique():
        own = [words[i] for i in table.index[table["topic"] == topic]]
        overlaps = [len(a & b) / len(a | b) for i, a in enumerate(own) for b in own[:i]]
        assert sum(overlaps) / len(overlaps) < 0.1, topic
