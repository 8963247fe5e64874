"""What a running training run is made of: what callbacks see, and what has to be saved to go on."""

import dataclasses
import time

from egemma_lab.train.checkpoint import save_checkpoint
from egemma_lab.train.folder import RunFolder
from egemma_lab.train.lora import merged
from egemma_lab.train.storage import sync_file


@dataclasses.dataclass
class TrainState:
    """A run in memory. `step` counts finished steps; `status` is running, interrupted, failed or finished."""

    run: object  # Run
    recipe: object  # Recipe
    model: object  # EmbeddingGemma, in training mode
    optimizer: object
    plan: object  # BatchPlan
    mixture: object  # Mixture
    teacher: object  # TeacherCache or None
    loss: object  # RecipeLoss
    accelerator: object
    precision: str  # "float32" or "bfloat16"
    step: int = 0
    elapsed_before: float = 0.0  # training seconds of earlier executions
    status: str = "running"
    callbacks: list = dataclasses.field(default_factory=list)
    history_rows: list = dataclasses.field(default_factory=list)
    stopping: bool = False
    clock: float = 0.0  # the main process's `elapsed` when the step began
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def steps(self):
        """Steps of the whole run, or None where the budget is time."""
        return self.recipe.steps

    @property
    def elapsed(self):
        """Training seconds, those of earlier executions included."""
        return self.elapsed_before + time.monotonic() - self.started

    @property
    def progress(self):
        """Share of the budget that is used up, 0 to 1."""
        if self.steps is not None:
            return self.step / self.steps
        return min(1.0, self.elapsed / (60.0 * self.recipe.minutes))

    def stop(self):
        """Ask the loop to end the run after this step, as Ctrl-C does."""
        self.stopping = True

    def emit(self, event, *arguments):
        """Call every callback that hears `event`."""
        for callback in self.callbacks:
            heard = getattr(callback, event, None)
            if heard is not None:
                heard(self, *arguments)

    def save(self):
        """Write a checkpoint, after what a resumed run must find as it was: teacher's vectors and history."""
        if self.teacher is not None:
            self.teacher.flush()
        if not self.accelerator.is_main_process:
            return
        files = RunFolder(self.run.folder)
        if files.history.exists():
            sync_file(files.history)
        path = save_checkpoint(
            files.checkpoints,
            self.step,
            self.model,
            self.optimizer,
            elapsed=self.elapsed,
            keep=self.recipe.keep_checkpoints,
        )
        self.emit("on_save", path)

    def close(self, status):
        """Save checkpoint and final model, and say in the folder how the run ended."""
        self.model.eval()
        self.save()
        self.status = status
        if self.accelerator.is_main_process:
            files = RunFolder(self.run.folder)
            plain = self.model if self.recipe.lora is None else merged(self.model)
            plain.save_pretrained(files.final)
            files.write_status(status, self.step)
        self.accelerator.wait_for_everyone()  # nobody looks at the folder before it is complete

    def fail(self):
        """Say in the folder that the run ended with an error; the last checkpoint stays."""
        self.status = "failed"
        if self.accelerator.is_main_process:
            RunFolder(self.run.folder).write_status("failed", self.step)
