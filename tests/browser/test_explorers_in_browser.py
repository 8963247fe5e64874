"""The explorers, as a learner meets them: in one notebook, moved by mouse and by keyboard, and photographed."""

import re

from playwright.sync_api import expect


def test_loss_playground(explore):
    notebook = explore("lab.explore.loss_playground('the paper\\'s', 'collapse')")
    figure = notebook.figure()
    start = figure.shown()
    notebook.play.focus()
    reached = notebook.tabbed()
    assert {"Step", "Reset", "A", "B", "contrastive weight", "temperature", "negatives", "pace"} <= set(
        reached
    )
    notebook.press("Step")
    figure.wait_for_change(start)
    expect(notebook.place.get_by_text("After 1 step").first).to_be_visible()
    step = figure.settled()

    notebook.slider("temperature").press("End")  # that of A, whose look ahead changes and nothing else
    figure.wait_for_change(step)
    ahead = figure.settled()
    changed = [i for i, (a, b) in enumerate(zip(step["traces"], ahead["traces"])) if a != b]
    assert [ahead["traces"][i]["name"] for i in changed] == ["next 10 steps"]

    notebook.play.press("Enter")
    playing = figure.wait_for_change(ahead)
    notebook.page.wait_for_timeout(1000)
    assert figure.wait_for_change(playing)["traces"] != playing["traces"]
    notebook.play.press("Enter")
    expect(notebook.place.get_by_text(re.compile("After (?!1 )"))).to_have_count(
        2
    )  # the words follow the pause
    notebook.look("loss_playground")

    played = figure.shown()
    notebook.choose("B", "too cold")  # both start anew
    fresh = figure.wait_for_change(played)
    notebook.choose("space", "sphere")
    sphere = figure.wait_for_change(fresh)
    notebook.slider("tilt").press("End")
    figure.wait_for_change(sphere)
    notebook.look("loss_playground_sphere")


def test_width_and_precision(explore):
    notebook = explore(
        "space = lab.explore.matryoshka(nano, texts, labels=labels)\n"
        "display(space, lab.explore.precision(space))"
    )
    space, costs = notebook.figure(0), notebook.figure(1)
    whole, whole_costs = space.shown(), costs.shown()
    notebook.look("matryoshka")
    notebook.slider("width").press("Home")
    narrow, narrow_costs = space.wait_for_change(whole), costs.wait_for_change(whole_costs)
    assert "Width 32" in narrow["title"]
    moved = [a["x"] != b["x"] for a, b in zip(whole["traces"], narrow["traces"])]
    assert all(moved[:-1])  # every group on the map
    assert whole["traces"][-1]["z"] != narrow["traces"][-1]["z"]  # the cosines
    assert "here: 128 bytes a vector" in narrow_costs["title"]
    marks = [each["traces"][-1]["x"] for each in (whole_costs, narrow_costs)]
    assert marks == [[1024], [128]]  # you are here
    expect(notebook.place.get_by_text("128 bytes a vector").first).to_be_visible()
    notebook.choose("vectors", "binary")
    assert "binary" in space.wait_for_change(narrow)["title"]
    expect(notebook.place.get_by_text("4 bytes a vector").first).to_be_visible()
    notebook.look("matryoshka_moved")


def test_flips(explore):
    notebook = explore(
        "vectors = nano.encode(texts, show_progress_bar=False)\n"
        "widths = {f'width {width}': vectors[:, :width] for width in (128, 64, 32)}\n"
        "lab.explore.flips(vectors, widths, texts)"
    )
    figure = notebook.figure()
    start = figure.shown()
    notebook.look("flips")
    notebook.choose("change", "width 32")
    narrow = figure.wait_for_change(start)
    assert "width 32" in narrow["title"]
    notebook.slider("neighbours").press("Home")
    nearest = figure.wait_for_change(narrow)
    assert nearest["traces"][3]["x"] == [0, 1]  # of one neighbour none is lost, or one
    words = notebook.place.locator("caption").inner_text()
    notebook.write("text", "bread")
    figure.wait_for_change(nearest)
    expect(notebook.place.locator("caption")).not_to_have_text(words)
    assert "bread" in notebook.place.locator("caption").inner_text().lower()

    notebook.write("text", "no text holds this")
    expect(notebook.place.get_by_role("alert")).to_contain_text("no text contains")
    notebook.write("text", "bread")
    expect(notebook.place.get_by_role("alert")).to_have_count(0)
    notebook.look("flips_moved")


def test_search(explore):
    notebook = explore("lab.explore.search(nano, texts, k=5)")
    rows = notebook.place.locator("tbody tr")
    expect(rows).to_have_count(5)
    notebook.look("search")
    notebook.write("question (Enter to ask)", "How is bread made?")
    expect(notebook.place.locator("caption")).to_contain_text("“How is bread made?”")
    notebook.choose("list 2", "no prompts")
    expect(notebook.place.locator("thead")).to_contain_text("no prompts")
    notebook.slider("results").press("ArrowRight")
    expect(rows).to_have_count(6)
    notebook.choose("list 4", "(none)")
    expect(notebook.place.locator("thead th")).to_have_count(4)
    notebook.look("search_moved")


def test_anatomy(explore):
    notebook = explore(
        "lab.explore.anatomy(nano, 'How do plants drink water from the soil?', prompt_name='query', layer=2)"
    )
    figure = notebook.figure()
    second = figure.shown()
    assert "layer 2" in second["title"].lower()
    notebook.look("anatomy")
    notebook.slider("layer").press("ArrowRight")
    third = figure.wait_for_change(second)
    assert "layer 3" in third["title"].lower()
    assert [each["z"] for each in third["traces"]] != [each["z"] for each in second["traces"]]
    notebook.choose("mask", "causal: only what stands before")
    causal = figure.wait_for_change(third)
    expect(notebook.place.get_by_text("under the model's own masks")).to_be_visible()
    notebook.write("text (Enter to apply)", "A red planet")
    shorter = figure.wait_for_change(causal)
    rows = [max(len(each["z"] or []) for each in shown["traces"]) for shown in (shorter, causal)]
    assert rows[0] < rows[1]
    notebook.look("anatomy_moved")


def test_teacher_student(explore):
    notebook = explore("lab.explore.teacher_student()")
    figure = notebook.figure()
    end = figure.shown()
    assert "Spearman" in end["title"]
    notebook.look("teacher_student")
    notebook.slider("moment").press("Home")
    start = figure.wait_for_change(end)
    assert "step 0" in start["title"]
    notebook.choose("pairs of", "query and document")
    assert "pairs of query and document" in figure.wait_for_change(start)["title"]
    expect(notebook.place.get_by_text("queries look for the documents")).to_be_visible()


def test_training_replay(explore):
    notebook = explore("lab.explore.training_replay()")
    figure = notebook.figure()
    end = figure.shown()
    assert "finetuning" in end["title"]
    notebook.look("training_replay")

    notebook.slider("moment").press("Home")
    start = figure.wait_for_change(end)
    assert "matching, step 0, fixed plane" in start["title"]
    moved = [one["x"] != other["x"] for one, other in zip(start["traces"], end["traces"])]
    assert sum(moved) > 12  # the points of every label, the lines between neighbours, the marks

    notebook.play.press("Enter")
    played = figure.wait_for_change(start)
    later = figure.wait_for_change(played)
    assert start["title"] != played["title"] != later["title"]
    notebook.play.press("Enter")  # it pauses
    notebook.page.wait_for_timeout(1500)
    paused = figure.shown()

    notebook.choose("map", "UMAP made anew each time")
    umap = figure.wait_for_change(paused)
    assert "UMAP made anew" in umap["title"]
    expect(notebook.place.get_by_text("need not have moved")).to_be_visible()
    notebook.look("training_replay_umap")

    notebook.place.locator(".js-plotly-plot .scatterlayer .trace .points path").nth(40).click(force=True)
    clicked = figure.wait_for_change(umap)
    assert clicked["traces"][-9]["x"] != umap["traces"][-9]["x"]  # the star
    text = notebook.place.locator("input[type=text]").first.input_value()
    expect(notebook.place.get_by_text(f"Nearest to “{text}”")).to_be_visible()


def test_exercise(explore):
    asked = "right_angle = lab.explore.exercise('geometry/alignment_at_a_right_angle')\n"
    notebook = explore(asked + "display(right_angle, right_angle.check(...))")
    page = notebook.place
    expect(page.get_by_text("Your turn: put your answer in place of the three dots")).to_be_visible()
    solution = page.locator("details")
    expect(solution).not_to_have_attribute("open", "")
    page.locator("summary").focus()
    notebook.page.keyboard.press("Enter")
    expect(solution).to_have_attribute("open", "")
    notebook.look("exercise")

    notebook.rerun(asked + "right_angle.check(1.414)")
    expect(page.get_by_text("Not yet. That is the distance")).to_be_visible()
    notebook.rerun(asked + "right_angle.check(2)")
    expect(page.get_by_text(re.compile("^Right. "))).to_be_visible()
    notebook.rerun("lab.explore.progress()")
    row = page.locator("tr", has_text="geometry/alignment_at_a_right_angle")
    expect(row).to_contain_text("right")

    notebook.rerun(
        "guess = lab.explore.predict('What cosine do two random texts have?', 0.5)\n"
        "display(guess, guess.reveal(0.1, 'They are nearly at right angles.'))"
    )
    expect(page.get_by_text("Noted: 0.5. The answer comes below.")).to_be_visible()
    expect(page.get_by_text("You wrote 0.5; the answer is 0.1.")).to_be_visible()
    notebook.look("predict")
