"""Written out with the letters of a textbook, in NumPy where no gradient is needed."""

import numpy as np
import torch


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _softmax(A, axis=-1):
    E = np.exp(A - A.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


def _numpy(*tensors):
    return [t.detach().numpy() for t in tensors]


def embedding(idx, E, pad):
    one_hot = torch.zeros(*idx.shape, len(E), dtype=E.dtype).scatter_(-1, idx.unsqueeze(-1), 1.0)
    keep = torch.ones(len(E), 1, dtype=E.dtype)
    keep[pad] = 0.0
    return one_hot @ (E * keep)


def rnn_cell(X, H, W_xh, W_hh, b_x, b_h):
    X, H, W_xh, W_hh, b_x, b_h = _numpy(X, H, W_xh, W_hh, b_x, b_h)
    return torch.from_numpy(np.tanh(X @ W_xh.T + H @ W_hh.T + b_x + b_h))


def gru_cell(X, H, W, U, b, d):
    X, H, W, U, b, d = _numpy(X, H, W, U, b, d)
    k = H.shape[1]
    A, B = X @ W.T + b, H @ U.T + d
    R, Z = _sigmoid(A[:, :k] + B[:, :k]), _sigmoid(A[:, k : 2 * k] + B[:, k : 2 * k])
    N = np.tanh(A[:, 2 * k :] + R * B[:, 2 * k :])
    return torch.from_numpy(N + Z * (H - N))


def lstm_cell(X, H, C, W, U, b, d):
    X, H, C, W, U, b, d = _numpy(X, H, C, W, U, b, d)
    I, F, G, O = np.split(np.concatenate([X, H], 1) @ np.concatenate([W, U], 1).T + b + d, 4, axis=1)
    C = _sigmoid(F) * C + _sigmoid(I) * np.tanh(G)
    return torch.from_numpy(_sigmoid(O) * np.tanh(C)), torch.from_numpy(C)


def additive_attention(q, K, V, M, W, U, v):
    q, K, V, M, W, U, v = _numpy(q, K, V, M, W, U, v)
    out = []
    for n in range(len(q)):
        real = M[n].astype(bool)
        e = np.tanh(W @ q[n] + K[n][real] @ U.T) @ v
        out.append(_softmax(e) @ V[n][real])
    return torch.from_numpy(np.stack(out))


def scaled_dot_product_attention(Q, K, V, M):
    Q, K, V, M = _numpy(Q, K, V, M)
    S = np.einsum("nqd,nkd->nqk", Q, K) / np.sqrt(Q.shape[-1])
    S = S + (1 - M.astype(S.dtype)).reshape(len(S), 1, -1) * -1e9
    A = _softmax(S)
    return torch.from_numpy(A), torch.from_numpy(np.einsum("nqk,nkd->nqd", A, V))


def causal_mask(T):
    return torch.from_numpy(1 - np.triu(np.ones((T, T)), 1))


def causal_attention(Q, K, V):
    out = torch.zeros_like(V)
    for t in range(Q.shape[1]):
        for n in range(len(Q)):
            a = torch.softmax(K[n, : t + 1] @ Q[n, t] / Q.shape[-1] ** 0.5, dim=0)
            out[n, t] = a @ V[n, : t + 1]
    return out


def multi_head_attention(Q, K, V, h):
    heads = []
    for q, k, v in zip(Q.chunk(h, -1), K.chunk(h, -1), V.chunk(h, -1)):
        heads.append(torch.softmax(q @ k.mT / np.sqrt(q.shape[-1]), -1) @ v)
    return torch.cat(heads, -1)


def positional_encoding(T, d):
    P = np.zeros((1, T, d))
    X = np.arange(T)[:, None] / np.power(10000, np.arange(0, d, 2) / d)
    P[:, :, 0::2], P[:, :, 1::2] = np.sin(X), np.cos(X)
    return torch.tensor(P)


def last_state(O, L):
    O, L = _numpy(O, L)
    return torch.from_numpy(np.stack([O[n, L[n] - 1] for n in range(len(O))]))


def bidirectional_state(O, L):
    O, L = _numpy(O, L)
    k = O.shape[2] // 2
    return torch.from_numpy(np.stack([np.r_[O[n, L[n] - 1, :k], O[n, 0, k:]] for n in range(len(O))]))


def last_layer_state(H):
    return torch.from_numpy(np.concatenate(H.numpy()[-2:], axis=1))


class Encoder(torch.nn.Module):
    """A bidirectional tanh network in a loop: the state stays where a word is a pad."""

    def __init__(self, V, pad):
        super().__init__()
        self.E = torch.nn.Parameter(torch.randn(V, 4))
        self.W = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(4, 4) / 2) for _ in range(4)])

    def run(self, X, M, W, U, steps):
        H = torch.zeros(len(X), 4)
        for t in steps:
            H = torch.where(M[:, t, None], torch.tanh(X[:, t] @ W + H @ U), H)
        return H

    def forward(self, tokens, lengths):
        X, T = self.E[tokens], tokens.shape[1]
        M = torch.arange(T)[None] < lengths[:, None]
        forward = self.run(X, M, self.W[0], self.W[1], range(T))
        backward = self.run(X, M, self.W[2], self.W[3], reversed(range(T)))
        return X, torch.cat([forward, backward], 1)


def inputs_and_targets(S):
    S = S.numpy()
    return torch.from_numpy(S[:, :-1].copy()), torch.from_numpy(S[:, 1:].copy())


def sequence_loss(Z, Y, pad):
    loss, count = 0.0, 0
    for n in range(Y.shape[0]):
        for t in range(Y.shape[1]):
            if Y[n, t] != pad:
                loss = loss + torch.logsumexp(Z[n, t], 0) - Z[n, t, Y[n, t]]
                count += 1
    return loss / count


def decode(f, s, Y, p):
    Z = []
    for t in range(Y.shape[1] - 1):
        x = Y[:, t] if t == 0 or p > 0.5 else Z[-1].argmax(-1)
        z, s = f(x, s)
        Z.append(z)
    return Z


def greedy_decode(f, s, bos, eos, T):
    X = [[bos] for _ in range(len(s))]
    for _ in range(T - 1):
        z, s = f(torch.tensor([x[-1] for x in X]), s)
        for x, w in zip(X, z.numpy().argmax(1)):
            x.append(int(w))
    return X


def batchify(S, B):
    S = S.numpy()
    T = len(S) // B
    return torch.from_numpy(np.stack([S[b * T : (b + 1) * T] for b in range(B)]))


def train_tbptt(f, opt, S, k):
    H = None
    for a in range(0, S.shape[1] - 1, k):
        X, Y = S[:, a : a + k], S[:, a + 1 : a + k + 1]
        Z, H = f(X[:, : Y.shape[1]], H)
        P = Z.log_softmax(-1).gather(-1, Y.unsqueeze(-1))
        opt.zero_grad()
        (-P.mean()).backward()
        opt.step()
        H = H.data.clone()


def nats_per_token(f, S, k):
    f.eval()
    H, nats = None, []
    for a in range(0, S.shape[1] - 1, k):
        Y = S[:, a + 1 : a + k + 1]
        Z, H = f(S[:, a : a + Y.shape[1]], H)
        P = _softmax(Z.detach().numpy())
        nats += list(-np.log(np.take_along_axis(P, Y.numpy()[..., None], -1)).ravel())
    return np.mean(nats)


def bleu(C, R):
    """Sentences are strings."""
    C, R = [c.split(" ") for c in C], [r.split(" ") for r in R]
    p = []
    for n in (1, 2, 3, 4):
        hits = total = 0
        for c, r in zip(C, R):
            grams = [" ".join(r[i : i + n]) for i in range(len(r) - n + 1)]
            for i in range(len(c) - n + 1):
                total += 1
                if " ".join(c[i : i + n]) in grams:
                    grams.remove(" ".join(c[i : i + n]))
                    hits += 1
        p.append(hits / total)
    c, r = sum(map(len, C)), sum(map(len, R))
    return np.prod(p) ** 0.25 * (np.exp(1 - r / c) if c < r else 1)
