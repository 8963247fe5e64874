"""GradCache: the gradient of a loss over a whole batch, in the memory of one micro-batch.

A contrastive loss couples all rows of a batch, so its backward pass seems to need every activation at once.
It does not: the loss sees the network only through the vectors. Three passes give the same gradient
(Gao et al., 2021, arXiv:2101.06983):

1. encode every chunk without a graph, keeping vectors and the state of the random generators;
2. compute the loss on the vectors and its gradient dL/dv with respect to them;
3. encode every chunk again, with a graph and the same random numbers, and back-propagate its part of dL/dv.
"""

import torch


def encode_and_backward(encode, chunks, loss, *, cache=False, backward=torch.Tensor.backward):
    """Encode all chunks, compute one loss over all their vectors, leave its gradient in the parameters.

    encode: chunk -> (n, d) vectors, with whatever randomness (dropout) it likes.
    chunks: anything `encode` takes; their vectors are stacked in this order.
    loss: (N, d) vectors of all chunks -> an object whose `total` is the scalar loss.
    cache: False keeps every chunk's graph until the backward pass; True replays each chunk instead
        (GradCache): equal gradients up to rounding, constant memory, about one forward pass more of time.
    backward: called as torch.Tensor.backward(tensor, gradient=None); Accelerator.backward fits.

    Returns what `loss` returned.

    >>> from types import SimpleNamespace
    >>> w = torch.tensor([[2.0]], requires_grad=True)
    >>> square = lambda v: SimpleNamespace(total=v.sum() ** 2)
    >>> chunks = [torch.ones(1, 1), torch.ones(2, 1)]
    >>> encode_and_backward(lambda x: x @ w, chunks, square, cache=True).total.detach()
    tensor(36.)
    >>> w.grad  # d (3w)^2 / dw = 18 w
    tensor([[36.]])
    """
    if not cache:
        output = loss(torch.cat([encode(chunk) for chunk in chunks]))
        backward(output.total)
        return output

    states, parts = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(random_states())
            parts.append(encode(chunk))

    vectors = torch.cat(parts).requires_grad_()  # (N, d), a leaf: the graph begins here
    output = loss(vectors)
    backward(output.total)

    after = random_states()
    gradients = vectors.grad.split([len(part) for part in parts])
    for chunk, state, gradient in zip(chunks, states, gradients, strict=True):
        restore_random(state)
        backward(encode(chunk), gradient=gradient)
    restore_random(after)
    return output


def random_states():
    """The states of the generators that a forward pass may draw from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random(states):
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
