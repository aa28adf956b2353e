"""The losses of the papers."""

import torch
from torch import Tensor
from torch.nn import functional

#: Of similarities that are all the same.
_LEAST_VARIANCE = 1e-6


def triplet_likelihood(
    codes: Tensor, labels: Tensor, *, margin: float, quantisation: float
) -> Tensor:
    """Negative log likelihood of all triplets in a batch (Wang et al., ACCV 2016, section 3).

    For query q, positive p and negative n, with theta_ij = <u_i, u_j> / 2:
        -(theta_qp - theta_qn - margin - log(1 + exp(theta_qp - theta_qn - margin)))
    which is softplus(-(theta_qp - theta_qn - margin)); plus `quantisation` times the mean
    squared distance of a number to its sign. The Meta4 paper prints a sum over pairs whose
    indices do not fit its own figure of triplets; the loss here is that of the paper which it
    says it takes it from ([15] there).

    Args:
        codes: (n, n_bits) float, relaxed codes.
        labels: (n,) integers.
        margin: half the code length in the paper.
        quantisation: weight of the second term.
    """
    theta = codes @ codes.T / 2
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=codes.device)
    gap = theta[:, :, None] - theta[:, None, :] - margin
    triplets = (same & ~itself)[:, :, None] & ~same[:, None, :]
    likelihood = functional.softplus(-gap)[triplets]
    loss = likelihood.mean() if len(likelihood) else codes.sum() * 0.0
    return loss + quantisation * (codes - codes.sign().detach()).square().mean()


def neural_proxy(
    proxies: Tensor, codes: Tensor, *, n_queries: int, k: int, temperature: float
) -> Tensor:
    """KL between similarities of embeddings and of codes (NPHash, section 3).

    p_i is a softmax over the true k nearest proxies of the cosine, q_i one of the normalised
    Hamming similarity <f, f'> / (2 n_bits) + 1/2. As the paper prints it, codes must give
    differences as large as those of cosines. But it is by their order that codes are searched, so
    both are first brought to mean 0 and deviation 1 among the k, as distillation does with
    logits (Sun et al., "Logit standardization in knowledge distillation", CVPR 2024).

    Args:
        proxies: (m, dims) of length 1.
        codes: (m, n_bits) in [-1, 1], theirs.
        n_queries: the first so many are compared with the others.
        k: proxies compared with, the nearest.
        temperature: under both softmaxes.
    """
    cosines = proxies[:n_queries] @ proxies.T
    own = torch.arange(len(cosines), device=cosines.device)
    cosines[own, own] = -2.0
    cosine, nearest = cosines.topk(k, dim=1)
    inner = (codes[:n_queries] @ codes.T).gather(1, nearest)
    hamming = inner / (2 * codes.shape[1]) + 0.5
    target = functional.log_softmax(_standardised(cosine) / temperature, dim=1)
    found = functional.log_softmax(_standardised(hamming) / temperature, dim=1)
    divergence: Tensor = functional.kl_div(found, target, reduction="batchmean", log_target=True)
    return divergence


def straight_through_signs(numbers: Tensor, beta: float) -> Tensor:
    """Signs whose gradient is that of tanh(beta x) (Bengio, Léonard & Courville, 2013)."""
    relaxed = torch.tanh(beta * numbers)
    return relaxed + (numbers.sign() - relaxed).detach()


def _standardised(similarities: Tensor) -> Tensor:
    centred = similarities - similarities.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + _LEAST_VARIANCE).sqrt()


def spreading(anchors: Tensor, positives: Tensor, negatives: Tensor, *, weight: float) -> Tensor:
    """Triplet rank loss plus KoLeo (Sablayrolles et al., ICLR 2019, section 3).

    Args:
        anchors: (n, d) on the sphere.
        positives: (n, d) images of near neighbours.
        negatives: (n, d) images of points that should lie further away.
        weight: λ of the spreading term, the mean of -log of the distance to the nearest other.
    """
    rank = functional.relu(
        (anchors - positives).norm(dim=1) - (anchors - negatives).norm(dim=1)
    ).mean()
    products = anchors @ anchors.T
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    nearest = products.masked_fill(itself, -2.0).argmax(dim=1)
    koleo = -((anchors - anchors[nearest]).norm(dim=1) + 1e-8).log().mean()
    loss: Tensor = rank + weight * koleo
    return loss
