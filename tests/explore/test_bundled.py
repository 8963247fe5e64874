from egemma_lab.explore import topics


def test_topics_are_balanced_and_every_text_is_there_once():
    table = topics()
    assert table["topic"].value_counts().nunique() == 1
    assert table["text"].is_unique
    assert table["text"].str.len().between(30, 160).all()
    assert (table["text"] == table["text"].str.strip()).all()


def test_texts_do_not_simply_name_their_topic():
    table = topics()
    named = [topic.split()[0] in text.lower().split() for topic, text in zip(table["topic"], table["text"])]
    assert sum(named) < 0.05 * len(table)
