"""How a run begins: the folder, the data, the model, the teacher; or how an earlier one is taken up again."""

import dataclasses

from egemma_lab.train.callbacks import Checkpoints, History, ProgressBar, check_callback, truncate_history
from egemma_lab.train.checkpoint import load_checkpoint, newest_checkpoint
from egemma_lab.train.evaluation import Evaluation
from egemma_lab.train.folder import RunFolder
from egemma_lab.train.machine import best_precision, machine_and_versions
from egemma_lab.train.model_choice import choose_model, describe_model, read_start
from egemma_lab.train.optimizer import make_optimizer
from egemma_lab.train.probe import SnapshotTaker, check_probe, draw_probe
from egemma_lab.train.recipe import Recipe
from egemma_lab.train.run import Run
from egemma_lab.train.state import TrainState
from egemma_lab.train.storage import write_json
from egemma_lab.train.teacher_choice import fit_teacher, learn_rotation, open_teacher


@dataclasses.dataclass
class Given:
    """The arguments of `train`."""

    model: object
    pairs: object
    teacher: object
    recipe: Recipe
    output: object
    resume: bool
    callbacks: tuple
    probe: object
    vocab_size: int | None
    show_progress_bar: bool | None


def set_up(given, stack):
    """A `TrainState` ready for its next step; the run's folder stays locked until `stack` closes."""
    from accelerate import Accelerator

    from egemma_lab.data.batch_plan import BatchPlan
    from egemma_lab.data.mixture import as_mixture
    from egemma_lab.data.passing_teacher import PassingTeacher
    from egemma_lab.data.teacher_cache import TeacherCache
    from egemma_lab.losses import RecipeLoss
    from egemma_lab.losses.own_terms import term_fingerprints

    recipe = given.recipe
    for callback in given.callbacks:
        check_callback(callback)
    # before anything that takes time: they may not be registered
    own_terms = term_fingerprints(recipe.own_terms)
    probe = None if given.probe is None else check_probe(given.probe)
    # precision is the recipe's: "no" keeps the launcher's own setting, float16 perhaps, out of it
    accelerator = Accelerator(mixed_precision="no")
    if recipe.batch_size % accelerator.num_processes:
        raise ValueError(
            f"batch_size={recipe.batch_size} cannot be shared by {accelerator.num_processes} processes; "
            "make it a multiple of their number"
        )
    files = RunFolder(given.output)
    if accelerator.is_main_process:
        claim(files, given.resume, stack)
    accelerator.wait_for_everyone()
    resumed = files.holds_a_run
    if resumed:
        _refuse_other_recipe(files, recipe)

    with accelerator.main_process_first():  # the first process fills the caches, the others find them
        mixture = as_mixture(given.pairs)
    _refuse_texts_without_matching(mixture, recipe, given.teacher)
    _refuse_words_without_texts(mixture, recipe, given.teacher)
    share = accelerator.process_index, accelerator.num_processes
    plan = BatchPlan(mixture, recipe.batch_size, recipe.seed, share)
    # a resumed run keeps the precision it began with, wherever it is resumed
    precision = (
        files.read_info()["precision"] if resumed else best_precision(recipe.precision, accelerator.device)
    )
    teacher = open_teacher(given.teacher, recipe.replace(precision=precision), accelerator.device)
    rotation = learn_rotation(teacher, recipe, mixture, files, accelerator)
    model = choose_model(given, files, mixture, accelerator, resumed, teacher, rotation)
    targets = None
    if teacher is not None:
        keep = PassingTeacher if mixture.streamed else TeacherCache
        targets = keep(fit_teacher(teacher, model.config.output_width, rotation))
    about = {
        "seed": recipe.seed,
        "model": describe_model(given, model),
        "data": {
            "fingerprint": mixture.fingerprint,
            "sources": {source.name: None if source.streamed else len(source) for source in mixture.sources},
            **({"processes": accelerator.num_processes} if mixture.streamed else {}),
        },
        "teacher": None
        if teacher is None
        else {"name": teacher.name, "width": targets.width, "fingerprint": targets.teacher.fingerprint},
        "own_terms": own_terms,
    }
    if resumed:
        _refuse_other_inputs(files, about, given)
    elif accelerator.is_main_process:
        recipe.to_yaml(files.recipe)
        files.write_status("running", 0)
        write_json(files.info, {**about, "precision": precision, **machine_and_versions(accelerator)})
    accelerator.wait_for_everyone()

    state = TrainState(
        run=Run(files.path, model=model),
        recipe=recipe,
        model=model,
        optimizer=make_optimizer(model, recipe, recipe.table_rate),
        plan=plan,
        mixture=mixture,
        teacher=targets,
        loss=RecipeLoss(
            recipe.weights,
            temperature=recipe.temperature,
            hardness=recipe.hardness,
            dims=recipe.dims or model.widths,
            dim_weights=recipe.dim_weights,
            distance=recipe.distance,
            hard_negatives=recipe.hard_negatives,
            match=recipe.match,
            own_terms=recipe.own_terms,
        ),
        accelerator=accelerator,
        precision=precision,
    )
    if resumed:
        _take_up(state, files)
    if accelerator.is_main_process:
        state.callbacks = [
            # first those that may add columns to the row that History writes
            *([] if recipe.evaluate_every is None else [Evaluation(recipe.evaluate_every)]),
            *given.callbacks,
            History(),
            SnapshotTaker(draw_probe(mixture, recipe.seed) if probe is None else probe),
            Checkpoints(),
            *([] if given.show_progress_bar is False else [ProgressBar()]),
        ]
    return state


def _refuse_texts_without_matching(mixture, recipe, teacher):
    alone = [source.name for source in mixture if not source.has_positives]
    if alone and not recipe.own_terms and (teacher is None or recipe.weights["matching"] == 0):
        raise ValueError(
            f"source {alone[0]!r} has single texts, which only a teacher says something about: give a teacher "
            "and weights['matching'] above 0 (or a loss term of your own), or leave the source out"
        )


def _refuse_words_without_texts(mixture, recipe, teacher):
    if not recipe.words:
        return
    pairs = [source.name for source in mixture if source.has_positives]
    if pairs or teacher is None:
        raise ValueError(
            f"words={recipe.words:g} matches single texts to a teacher word by word: "
            + (
                "give a teacher"
                if teacher is None
                else f"source {pairs[0]!r} holds pairs, open it with load_texts"
            )
            + ", or set words=0"
        )


def claim(files, resume, stack):
    """Lock the folder for this run, with an earlier run in it or out of the way."""
    files.refuse_foreign_files()
    if files.holds_a_run and not resume:
        with files.lock():  # nobody is writing to it
            pass
        files.move_aside()
    stack.enter_context(files.lock())
    files.clean()


def _refuse_other_recipe(files, recipe):
    differences = Recipe.from_yaml(files.recipe).differences(recipe)
    if differences:
        shown = ", ".join(f"{name} was {old!r} and is {new!r}" for name, (old, new) in differences.items())
        raise ValueError(
            f"the run in {files.path} has another recipe: {shown}. Give that one to continue it, another "
            "output for a new run, or resume=False to begin anew here"
        )


def _refuse_other_inputs(files, about, given):
    info = files.read_info()
    old, new = dict(info["model"]), dict(about["model"])
    if not isinstance(given.model, str):  # a model object may be called anything
        old["name"] = new["name"]
    wrong = [f"model ({name})" for name in old if old[name] != new[name]]
    if info["data"]["fingerprint"] != about["data"]["fingerprint"]:
        wrong.append(f"data (pairs were {info['data']['sources']}, now {about['data']['sources']})")
    elif info["data"].get("processes") != about["data"].get("processes"):
        were, are = info["data"]["processes"], about["data"]["processes"]
        wrong.append(f"processes (a stream's rows were dealt to {were}, now to {are})")
    if info["teacher"] != about["teacher"]:
        names = [where["teacher"] and where["teacher"]["name"] for where in (info, about)]
        wrong.append(f"teacher (was {names[0]}, now {names[1]})")
    before = info.get("own_terms", {})  # runs from before there were any
    wrong += [
        f"loss term {name} (another source)"
        for name, x in about["own_terms"].items()
        if before.get(name) != x
    ]
    if wrong:
        raise ValueError(
            f"the run in {files.path} was started with other inputs, different in: {'; '.join(wrong)}. Give "
            "the same ones to continue it, another output for a new run, or resume=False to begin anew here"
        )


def _take_up(state, files):
    """Go back to the newest undamaged checkpoint, or to the start where there is none yet."""
    status, step = files.read_status()
    newest = newest_checkpoint(files.checkpoints)
    if newest is None or state.recipe.lora is not None:
        # the model in memory may have been trained already, by the call that failed before its first
        # checkpoint; and a checkpoint of adapters holds no other weights
        state.model.load_state_dict(read_start(files, state.recipe).state_dict())
    if newest is not None:
        path, saved = newest
        load_checkpoint(path, state.model, state.optimizer)
        state.step, state.elapsed_before = saved["step"], saved["elapsed"]
    if status == "finished" and state.step == step:
        state.status = status
    elif state.accelerator.is_main_process:
        files.write_status("running", state.step)
        state.history_rows = truncate_history(files.history, state.step)
