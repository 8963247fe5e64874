"""One choice of width, vectors and weights, and what the weights weigh."""

import dataclasses

from egemma_lab.quantize import FORMATS
from egemma_lab.quantize.formats import BLOCK, scheme_bits
from egemma_lab.quantize.weights import matrix_schemes

UNROUNDED = "unrounded"  # weights as the model has them
WEIGHTS = (UNROUNDED, *FORMATS)


@dataclasses.dataclass(frozen=True)
class Setting:
    """`width` of the vectors; `vectors`, how they are stored and searched, a key of `WAYS`; `weights`, "unrounded" or
    one of `quantize.FORMATS`."""

    width: int
    vectors: str = "float32"
    weights: str = UNROUNDED

    def __str__(self):
        return f"width {self.width}, {self.vectors} vectors, {self.weights} weights"


def weight_bytes(model, weights=UNROUNDED):
    """Bytes of a model's weights as a file holds them: in float32, or packed in a format (norms stay in float32).

    >>> from egemma_lab.model import new_model, train_tokenizer
    >>> model = new_model("micro", train_tokenizer(["a text", "another text"], vocab_size=400))
    >>> weight_bytes(model) / weight_bytes(model, "int8_block") > 3.5
    True
    """
    schemes = {} if weights == UNROUNDED else matrix_schemes(model, weights)
    total = 0
    for name, weight in model.named_parameters():
        if name not in schemes:
            total += 4 * weight.numel()
            continue
        rows, columns = weight.shape
        groups = columns // BLOCK if schemes[name].endswith("_block") else 1
        total += rows * (columns * scheme_bits(schemes[name]) // 8 + 2 * groups)  # a scale is a float16
    return total
