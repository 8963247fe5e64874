"""What the README of an ONNX folder says. Its code is run by the tests."""

README = """# {name}, ONNX, {precision}

`model.onnx` takes token ids to unit vectors: text model, pooling, both dense layers and the normalisation are in it.
`tokenizer.json` adds BOS and EOS, cuts where the model does, and pads. `egemma_lab.json` has the prompts. Run this
in the folder; it needs `pip install onnxruntime tokenizers`:

```python
import json

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

settings = json.load(open("egemma_lab.json", encoding="utf-8"))
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.encode_special_tokens = settings["special_tokens_are_text"]
session = onnxruntime.InferenceSession("model.onnx")


def encode(texts, prompt_name=None, width=None):
    prompt = settings["prompts"][prompt_name] if prompt_name else ""
    batch = tokenizer.encode_batch([prompt + text for text in texts])
    ids = np.array([row.ids for row in batch], dtype=np.int64)
    mask = np.array([row.attention_mask for row in batch], dtype=np.int64)
    (vectors,) = session.run(["vectors"], dict(input_ids=ids, attention_mask=mask))
    vectors = vectors[:, :width]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


query = encode(["how do plants drink?"], "query")
documents = encode(["Roots take up water from the soil.", "The match ended in a draw."], "document")
print(query @ documents.T)
```

Without its prompt a text gets another, worse vector. Widths it may be cut to: {widths}.
"""
