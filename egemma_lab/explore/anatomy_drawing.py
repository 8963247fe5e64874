"""A text under glass, drawn: one head's attention, and beside each token its share of the vector."""

import numpy as np
import plotly.graph_objects as go

from egemma_lab.explore.anatomy_data import KINDS, matched_shares
from egemma_lab.explore.style import INK, OKABE_ITO, QUIET, heading, styled

HIDDEN = "#bdbdbd"  # what a mask hides: neither white, which is a weight of 0, nor a blue
BLUES = [[0, "#ffffff"], [0.35, "#9ecae1"], [0.7, OKABE_ITO["blue"]], [1, "#08306b"]]
MARKS = {
    "text": ("blue", ""),
    "prompt": ("orange", "/"),
    "ends": ("black", "x"),
}  # colour and hatching of bars
NAMES = {"text": "token of the text", "prompt": "token of the prompt", "ends": "BOS, EOS"}
SUBTITLE = "left: colour is the attention weight, grey may not look; right: all shares sum to 100%"
SHORT = 12  # tokens up to which the weights stand in their cells


def anatomy_figure(anatomy, layer, head=None, *, without=None, title=None):
    """Left: who looks at whom in one head (row: the token that looks). Right: what each token adds to the vector.

    anatomy: from `dissect`; layer, head: counted from 1, head None the mean of the layer's heads; without: the
    `Anatomy` of the same text without its prompt, whose shares are then marked beside the bars; title: None says
    the layer and the head.

    A figure of the same six traces for every text and setting: hidden places, weights, bars of the three kinds of
    tokens, shares without the prompt.

    >>> import numpy as np
    >>> from egemma_lab.explore.anatomy_data import Anatomy
    >>> weights = np.array([[[[1.0, 0.0], [0.5, 0.5]]]])
    >>> found = Anatomy(["a", "b"], ["text", "text"], [1, 2], ["full_attention"], weights[0] > 0, weights, np.eye(2))
    >>> fig = anatomy_figure(found, layer=1, head=1)
    >>> fig.data[1].z.tolist(), fig.data[2].x.tolist()
    ([[1.0, None], [0.5, 0.5]], [0.5, 0.5])
    """
    fig = _empty()
    redraw_anatomy(fig, anatomy, layer, head, without=without, title=title)
    return fig


def redraw_anatomy(fig, anatomy, layer, head=None, *, without=None, title=None):
    """Bring a figure of `anatomy_figure` to another text or setting; only what moves is touched, which is fast."""
    tokens, weights = shown_tokens(anatomy.tokens), anatomy.head(layer, head)
    place, kinds = np.arange(len(tokens)), np.array(anatomy.kinds)
    hidden = ~anatomy.allowed[layer - 1]
    pairs = np.stack(np.meshgrid(*[np.array(tokens, dtype=object)] * 2, indexing="ij"), axis=-1)  # (L, L, 2)
    grid, attention, *bars, before = fig.data
    # None and not NaN where nothing is drawn: grids travel to the widget as JSON, which knows no NaN
    grid.update(x=place, y=place, z=np.where(hidden, 1.0, None), customdata=pairs)
    attention.update(x=place, y=place, z=np.where(hidden, None, weights), customdata=pairs)
    attention.update(zmax=float(weights.max()), texttemplate="%{z:.2f}" if len(tokens) <= SHORT else "")
    attention.colorbar.update(y=1 - 106 / height(len(tokens)))
    for bar, kind in zip(bars, KINDS):
        mine = kinds == kind
        bar.update(
            x=np.where(mine, anatomy.shares, np.nan), y=place, customdata=tokens, showlegend=bool(mine.any())
        )
    shares = np.full(len(tokens), np.nan) if without is None else matched_shares(anatomy, without)
    before.update(x=shares, y=place, customdata=tokens, showlegend=without is not None)

    edges, tall = [-0.5, len(tokens) - 0.5], height(len(tokens))
    size = 13 if len(tokens) <= 24 else max(7, 13 * 24 // len(tokens))
    axis = {"tickvals": place, "ticktext": tokens, "tickfont": {"size": size}}
    kind = "full" if anatomy.layer_types[layer - 1] == "full_attention" else "sliding"
    name = title or f"Layer {layer} ({kind}), {_who(head)}, and each token's share"
    fig.update_layout(
        title={"text": heading(name, SUBTITLE)},
        height=tall,
        legend={"y": 1 - 58 / tall},  # in every height the same pixels below the title
        xaxis={"range": edges, **axis},
        yaxis={"range": edges[::-1], **axis},  # the first token on top
    )


def height(tokens):
    """Layout pixels for so many tokens: rows that can be read, and a picture that is no poster."""
    return int(np.clip(290 + 22 * tokens, 460, 1000))


def shown_tokens(tokens):
    """Pieces as they are printed: line breaks and tabs as signs.

    >>> shown_tokens(["▁a", "\\n"])
    ['▁a', '⏎']
    """
    return [token.replace("\n", "⏎").replace("\t", "⇥") for token in tokens]


def describe_anatomy(anatomy, layer, head=None):
    """The figure in words, for who cannot see it.

    >>> import numpy as np
    >>> from egemma_lab.explore.anatomy_data import Anatomy
    >>> weights = np.array([[[[0.9, 0.1], [0.6, 0.4]]]])
    >>> found = Anatomy(["a", "b"], ["text"] * 2, [1, 2], ["full_attention"], weights[0] > 0, weights, np.eye(2))
    >>> describe_anatomy(found, 1, 1)
    'Attention of 2 tokens in layer 1, head 1: most is taken from a (75%). Largest shares of the vector: a 50%, b 50%.'
    """
    tokens = [token.strip("▁") or token for token in shown_tokens(anatomy.tokens)]
    taken = anatomy.head(layer, head).mean(axis=0)
    top = int(taken.argmax())
    largest = np.argsort(-anatomy.shares, kind="stable")[:3]
    return (
        f"Attention of {len(tokens)} tokens in layer {layer}, {_who(head)}: most is taken from {tokens[top]} "
        f"({taken[top]:.0%}). Largest shares of the vector: "
        + ", ".join(f"{tokens[i]} {anatomy.shares[i]:.0%}" for i in largest)
        + "."
    )


def _who(head):
    return "mean of its heads" if head is None else f"head {head}"


def _empty():
    """The figure without a text: all that never moves."""
    fig = go.Figure()
    fig.add_heatmap(
        colorscale=[[0, HIDDEN], [1, HIDDEN]],
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="%{customdata[0]} may not look at %{customdata[1]}<extra></extra>",
    )
    # placed against the container: a colour bar placed against the axes pushes the title out of the picture
    bar = {"orientation": "h", "thickness": 10, "len": 0.3, "x": 0, "xanchor": "left", "yref": "container"}
    fig.add_heatmap(
        zmin=0,
        colorscale=BLUES,
        colorbar={**bar, "yanchor": "top", "nticks": 4},
        xgap=1,
        ygap=1,
        hovertemplate="%{customdata[0]} takes %{z:.1%} from %{customdata[1]}<extra></extra>",
    )
    for kind in KINDS:
        colour, pattern = MARKS[kind]
        fig.add_bar(
            xaxis="x2",
            orientation="h",
            name=NAMES[kind],
            marker={
                "color": OKABE_ITO[colour],
                "pattern": {"shape": pattern, "fillmode": "overlay", "size": 6},
            },
            hovertemplate="%{customdata} adds %{x:.1%} of the squared length<extra></extra>",
        )
    fig.add_scatter(
        xaxis="x2",
        mode="markers",
        name="the same, without the prompt",
        marker={"symbol": "diamond-open", "size": 10, "color": INK, "line": {"width": 2}},
        hovertemplate="%{customdata} without the prompt: %{x:.1%}<extra></extra>",
    )
    styled(fig, "A text under glass")
    return fig.update_layout(
        barmode="overlay",
        bargap=0.25,
        legend={"x": 0.63, "xanchor": "left", "yref": "container", "yanchor": "top"},
        margin={"t": 140, "b": 90, "r": 30},
        xaxis={
            "domain": [0, 0.6],
            "title": {"text": "token it looks at"},
            "tickangle": -90,
            "showgrid": False,
        },
        xaxis2={
            "domain": [0.63, 1],
            "title": {"text": "share of the vector"},
            "tickformat": ".0%",
            "nticks": 6,
            "zeroline": True,
            "zerolinecolor": QUIET,
        },
        yaxis={"title": {"text": "token that looks"}, "showgrid": False},
    )


def mask_figure(masks, tokens, *, title="Who may look at whom", subtitle="row: the token that looks"):
    """Masks beside each other: a dot where the row's token may look at the column's.

    masks: {name: bool (L, L)}; tokens: L short names.

    >>> fig = mask_figure({"causal": np.tri(2, dtype=bool), "all": np.ones((2, 2), dtype=bool)}, ["a", "b"])
    >>> [int(panel.z.sum()) for panel in fig.data]
    [3, 4]
    """
    from plotly.subplots import make_subplots

    fig = make_subplots(1, len(masks), subplot_titles=list(masks), shared_yaxes=True, horizontal_spacing=0.04)
    place = np.arange(len(tokens))
    for column, (name, may) in enumerate(masks.items(), start=1):
        may = np.asarray(may, dtype=bool)
        if may.shape != (len(tokens),) * 2:
            raise ValueError(
                f"the mask {name!r} has the shape {may.shape}; {len(tokens)} tokens need a square of them"
            )
        fig.add_heatmap(
            z=may.astype(int),
            text=np.where(may, "●", ""),
            texttemplate="%{text}",
            zmin=0,
            zmax=1,
            colorscale=[[0, HIDDEN], [1, "#9ecae1"]],
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate=f"{name}: %{{y}} looks at %{{x}}: %{{z}}<extra></extra>",
            row=1,
            col=column,
        )
    axis = {
        "tickvals": place,
        "ticktext": shown_tokens(tokens),
        "showgrid": False,
        "range": [-0.5, len(tokens) - 0.5],
    }
    fig.update_xaxes(tickangle=-90, **axis)
    fig.update_yaxes(**(axis | {"range": axis["range"][::-1]}))
    return styled(fig, title, subtitle, height=210 + 26 * len(tokens)).update_layout(margin={"t": 110})
