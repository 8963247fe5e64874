"""The widget over `dissect` and `anatomy_figure`: text, prompt, masks, layer and head to be moved."""

import functools

from egemma_lab.explore.anatomy_data import dissect, prompt_effect
from egemma_lab.explore.anatomy_drawing import anatomy_figure, describe_anatomy, redraw_anatomy
from egemma_lab.explore.live_figure import live_figure
from egemma_lab.explore.panel import Panel

LONGEST = 64  # tokens: more rows than that nobody reads
REACHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # tokens to each side
OWN, MEAN = "own", "mean"  # values of sliders, which take no None


def anatomy(model, text, *, prompt_name=None, causal=False, reach=None, layer=None, head=None):
    """One text under glass: attention of each layer and head, and what each token adds to the vector.

    Move the text, the prompt, the masks (bidirectional or causal; how far sliding layers see), the layer and the
    head. The line of words says what the setting does to the vector, and that the two Dense layers are one matrix.

    model : an `EmbeddingGemma` that pools by the mean, left as it was. text : to begin with; at most 64 tokens are
    looked at, prompt counted. prompt_name, causal, reach : to begin with, as in `dissect`. layer : to begin with,
    from 1; None: the last. head : from 1; None: the mean of the layer's heads.

    Returns a panel that shows itself; `.box` is its ipywidgets box, `.found` the `Anatomy` on show.

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["red planet", "a red star"], vocab_size=400))
    >>> panel = anatomy(model, "a red star")
    >>> panel.text.value = "star"
    >>> panel.found.tokens
    ['<bos>', 's', 't', 'a', 'r', '<eos>']
    """
    return AnatomyPanel(model, text, prompt_name, causal, reach, layer, head)


class AnatomyPanel(Panel):
    """See `anatomy`. Controls: `text`, `prompt`, `direction`, `window`, `layer`, `head`; `live`: the figure."""

    def __init__(self, model, text, prompt_name, causal, reach, layer, head):
        self.model = model
        most = min(LONGEST, model.max_seq_length)
        # of the last few settings, so that moving layer or head computes nothing anew
        self._dissect = functools.lru_cache(maxsize=8)(functools.partial(dissect, model, max_tokens=most))
        layer = model.text_model.config.num_hidden_layers if layer is None else layer
        found = self._dissect(text, prompt_name, causal, reach)
        alt = describe_anatomy(found, layer, head)  # before any widget: it refuses what the model has not
        super().__init__(alt)
        rows = self._controls(text, prompt_name, causal, reach, layer, head)
        figure = anatomy_figure(found, layer, head, without=self.without)
        self.live = live_figure(figure)
        for control in (self.text, self.prompt, self.direction, self.window, self.layer, self.head):
            control.observe(self.guard(self._redraw), names="value")
        self.lay_out(figure, rows, self.live)
        self._tell()

    @property
    def found(self):
        """The `Anatomy` on show."""
        return self._dissect(self.text.value, self.prompt.value, *self.masks)

    @property
    def without(self):
        """The same without its prompt, under the same masks; None where there is no prompt."""
        return None if self.prompt.value is None else self._dissect(self.text.value, None, *self.masks)

    @property
    def masks(self):
        """`causal` and `reach` of `dissect`."""
        return self.direction.value, None if self.window.value == OWN else self.window.value

    @property
    def shown(self):
        """Layer, and head or None."""
        return self.layer.value, None if self.head.value == MEAN else self.head.value

    def _controls(self, text, prompt_name, causal, reach, layer, head):
        """The six controls, at their start; returns a box with them in three rows."""
        import ipywidgets as widgets

        config, style = self.model.text_model.config, {"description_width": "initial"}
        wide = widgets.Layout(width="98%")
        self.text = widgets.Text(
            text, description="text (Enter to apply)", continuous_update=False, layout=wide, style=style
        )
        choices = {
            "prompt": (
                widgets.Dropdown,
                _prompt_choices(self.model.prompts, prompt_name),
                prompt_name,
                "auto",
            ),
            "mask": (
                widgets.Dropdown,
                [("bidirectional: all see all", False), ("causal: only what stands before", True)],
                bool(causal),
                "auto",
            ),
            "window, tokens to each side": (
                widgets.SelectionSlider,
                [
                    *(
                        (str(tokens), tokens)
                        for tokens in sorted({*REACHES, *([] if reach is None else [reach])})
                    ),
                    (f"own, {config.sliding_window - 1}", OWN),
                ],
                OWN if reach is None else reach,
                "440px",
            ),
            "layer": (
                widgets.SelectionSlider,
                [(f"{i}, {kind.partition('_')[0]}", i) for i, kind in enumerate(config.layer_types, start=1)],
                layer,
                "300px",
            ),
            "head": (
                widgets.SelectionSlider,
                [MEAN, *range(1, config.num_attention_heads + 1)],
                MEAN if head is None else head,
                "240px",
            ),
        }
        self.prompt, self.direction, self.window, self.layer, self.head = (
            kind(
                options=options,
                value=value,
                description=name,
                style=style,
                layout=widgets.Layout(width=width, max_width="100%"),
            )
            for name, (kind, options, value, width) in choices.items()
        )
        wrapping = widgets.Layout(flex_flow="row wrap")
        return widgets.VBox(
            [
                self.text,
                widgets.HBox([self.prompt, self.direction], layout=wrapping),
                widgets.HBox([self.window, self.layer, self.head], layout=wrapping),
            ]
        )

    def _redraw(self, _change):
        with self.live.batch_update():
            redraw_anatomy(self.live, self.found, *self.shown, without=self.without)
        self._tell()

    def _tell(self):
        """Say what the figure cannot show: the vector under these masks, the prompt's effect, the Dense layers."""
        found, tokens, said = self.found, len(self.found.tokens), []
        prompt = self.model.prompt_text(self.prompt.value)
        whole = len(self.model.tokenize([self.text.value], prompt)[0])
        if whole > tokens:
            said.append(f"The first {tokens} of {whole} tokens; the rest is left out here.")
        said.append(f"On average a token looks {found.distance(*self.shown):.1f} tokens away here.")
        if self.masks != (False, None):
            used = self._dissect(self.text.value, self.prompt.value, False, None)
            said.append(
                f"Cosine to the vector under the model's own masks: {used.vector @ found.vector:.3f}."
            )
        if self.without is not None:
            effect = prompt_effect(self.without, found)
            said.append(
                f"The prompt is {found.kinds.count('prompt')} of {tokens} tokens and {effect['share']:.1%} of the "
                f"squared length; cosine with and without it {effect['cosine']:.3f}."
            )
        up, down = self.model.dense_up.weight, self.model.dense_down.weight
        said.append(
            f"Two Dense layers ({up.numel() + down.numel():,} weights) or their product "
            f"({down.shape[0] * up.shape[1]:,}): the same {len(found.vector)} numbers, but for "
            f"{abs(found.vector - found.two_steps).max():.0e}."
        )
        self.say(" ".join(said))


def _prompt_choices(prompts, chosen):
    """(what stands in the menu, name) of each distinct prompt; of names with one prompt the first, or the chosen."""
    names = {}
    for name in [*([] if chosen is None else [chosen]), *prompts]:
        names.setdefault(prompts[name], name)
    return [("none", None), *((f"{name}: {prompt}", name) for prompt, name in names.items())]
