"""Texts to search, with questions and what answers them: the topical corpus, Python functions, one's own."""

from egemma_lab.explore.bundled import topic_corpus, topic_queries


def topical():
    """The bundled corpus as four lists: texts, topics, questions, and each question's answers, {row: grade}."""
    corpus, queries = topic_corpus(), topic_queries()
    row_of = {name: row for row, name in enumerate(corpus["id"])}
    answers = [{row_of[name]: grade for name, grade in relevant.items()} for relevant in queries["relevant"]]
    return corpus["text"].tolist(), corpus["topic"].tolist(), queries["query"].tolist(), answers


def judgements(questions, answers, n):
    """Which of n texts answer which question, as `evaluate.retrieval.measure` wants it; None without questions.

    answers: of each question the rows of texts that answer it, as a list or as {row: grade}. Questions and texts are
    named by their numbers, as strings. ValueError where answers are missing or name no text.

    >>> judgements(["where?", "who?"], [[0], {1: 2}], 3)
    {'0': {'0': 1}, '1': {'1': 2}}
    """
    if not questions and not answers:
        return None
    if answers is None or len(answers) != len(questions):
        given = "none" if answers is None else str(len(answers))
        raise ValueError(
            f"{len(questions)} questions and {given} answers: give for each question the rows of texts that answer "
            "it, as a list or as {row: grade}"
        )
    qrels = {}
    for i, rows in enumerate(answers):
        graded = dict(rows) if hasattr(rows, "items") else dict.fromkeys(rows, 1)
        wrong = [row for row in graded if not 0 <= row < n]
        if wrong or not graded:
            raise ValueError(
                f"answers[{i}] names {wrong or 'no rows'}: rows of texts lie between 0 and {n - 1}"
            )
        qrels[str(i)] = {str(row): int(grade) for row, grade in graded.items()}
    return qrels


def python_docs(limit=1000, ask=200):
    """Functions of installed packages kept out of training, as `topical` gives its texts; packages stand for topics.

    limit: functions; ask: of how many the docstring's sentence is offered as a question. Mined when it is first used,
    which takes up to a minute (`lab.data.load_python_docs`).
    """
    from egemma_lab.data.python_docs import load_python_docs

    rows = load_python_docs("test", limit=limit, show_progress_bar=False)
    questions = list(rows["anchor"][:ask])
    return list(rows["positive"]), list(rows["package"]), questions, [{i: 1} for i in range(len(questions))]


def corpus_of(texts=None, questions=None, answers=None):
    """Texts, questions and qrels (see `judgements`) from None (the topical corpus), "python-docs", or texts."""
    if isinstance(texts, str) and texts != "python-docs":
        raise ValueError(
            f'texts={texts!r}: give a list of strings, "python-docs", or None for the topical corpus'
        )
    if texts is None or isinstance(texts, str):
        if questions is not None or answers is not None:
            raise ValueError("questions and answers belong to texts of your own: give texts= as a list")
        texts, _, questions, answers = topical() if texts is None else python_docs()
    texts, questions = list(texts), [] if questions is None else list(questions)
    if len(texts) < 2:
        raise ValueError(f"{len(texts)} texts: there is nothing to choose among, give at least 2")
    return texts, questions, None if answers is None else judgements(questions, answers, len(texts))
