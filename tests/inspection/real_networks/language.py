"""Networks for text and other sequences, small, each written in its usual style."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS, WIDTH, LENGTH = 31, 16, 12


def tokens(*shape: int) -> Tensor:
    return torch.randint(1, WORDS, shape or (1, LENGTH))


class CausalAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.c_attn, self.c_proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.register_buffer("bias", torch.tril(torch.ones(LENGTH, LENGTH)).view(1, 1, LENGTH, LENGTH))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.size()
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (y.view(n, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf"))
        y = self.drop(F.softmax(att, dim=-1)) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(n, t, c))


class GPT2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.h = nn.ModuleList([self.block() for _ in range(2)])
        self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS, bias=False)
        self.lm_head.weight = self.wte.weight

    @staticmethod
    def block() -> nn.ModuleDict:
        mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        return nn.ModuleDict(
            {"ln_1": nn.LayerNorm(WIDTH), "attn": CausalAttention(WIDTH, 2), "ln_2": nn.LayerNorm(WIDTH), "mlp": mlp}
        )

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1), device=idx.device))
        for block in self.h:
            x = x + block["attn"](block["ln_1"](x))
            x = x + block["mlp"](block["ln_2"](x))
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


class Bert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word, self.position, self.kind = (nn.Embedding(n, WIDTH) for n in (WORDS, LENGTH, 2))
        self.norm = nn.LayerNorm(WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 32, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.pooler = nn.Linear(WIDTH, WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        x = self.norm(self.word(input_ids) + self.position(positions) + self.kind(torch.zeros_like(input_ids)))
        padding = None if attention_mask is None else attention_mask == 0
        x = self.encoder(x, src_key_padding_mask=padding)
        return x, torch.tanh(self.pooler(x[:, 0]))


class T5Attention(nn.Module):
    """Relative positions by buckets, added to the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.bias = nn.Embedding(8, 2)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.view(y.shape[0], -1, 2, WIDTH // 2).transpose(1, 2)

        q, k, v = split(self.q(x)), split(self.k(memory)), split(self.v(memory))
        scores = torch.matmul(q, k.transpose(3, 2))
        distance = torch.arange(k.shape[2])[None, :] - torch.arange(q.shape[2])[:, None]
        bucket = torch.where(distance > 0, 4, 0) + torch.clamp(distance.abs(), max=3)
        scores = scores + self.bias(bucket).permute(2, 0, 1).unsqueeze(0)
        mixed = torch.matmul(F.softmax(scores.float(), dim=-1).type_as(scores), v)
        return self.o(mixed.transpose(1, 2).contiguous().view(x.shape[0], -1, WIDTH))


class T5Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class T5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(WORDS, WIDTH)
        self.encoder, self.decoder, self.cross = T5Attention(), T5Attention(), T5Attention()
        self.norms = nn.ModuleList([T5Norm() for _ in range(4)])
        self.wi, self.wo = nn.Linear(WIDTH, 32, bias=False), nn.Linear(32, WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x = self.shared(source)
        x = x + self.encoder(self.norms[0](x), self.norms[0](x))
        y = self.shared(target)
        y = y + self.decoder(self.norms[1](y), self.norms[1](y))
        y = y + self.cross(self.norms[2](y), x)
        y = y + self.wo(F.relu(self.wi(self.norms[3](y))))
        return self.head(y)


class Rotary(nn.Module):
    """LLaMA's attention: rotary positions, grouped keys, SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.wq, self.wk, self.wv = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 8), nn.Linear(WIDTH, 8)
        self.gate, self.up, self.down = nn.Linear(WIDTH, 24), nn.Linear(WIDTH, 24), nn.Linear(24, WIDTH)
        angles = torch.outer(torch.arange(LENGTH).float(), 1.0 / 100 ** (torch.arange(0, 4, 2).float() / 4))
        self.register_buffer("freqs", torch.polar(torch.ones_like(angles), angles))

    def rotate(self, x: Tensor) -> Tensor:
        turned = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(turned * self.freqs[None, : x.shape[1], None, :]).flatten(3).type_as(x)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q = self.rotate(self.wq(x).view(n, t, 4, 4)).transpose(1, 2)
        k = self.rotate(self.wk(x).view(n, t, 2, 4)).repeat_interleave(2, dim=2).transpose(1, 2)
        v = self.wv(x).view(n, t, 2, 4).repeat_interleave(2, dim=2).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + y.transpose(1, 2).reshape(n, t, WIDTH)
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


class MixtureOfExperts(nn.Module):
    """Mixtral's router: the two best experts of each token, a loss that balances them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, 4, bias=False)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(WIDTH, 8), nn.SiLU(), nn.Linear(8, WIDTH)) for _ in range(4)]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = F.softmax(self.gate(x), dim=-1)
        top, chosen = torch.topk(scores, 2, dim=-1)
        top = top / top.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            weight = torch.where(chosen == i, top, torch.zeros_like(top)).sum(-1, keepdim=True)
            out = out + weight * expert(x)
        share = F.one_hot(chosen, 4).float().mean((0, 1, 2))
        return out, 4 * (share * scores.mean((0, 1))).sum()


class SwitchExperts(nn.Module):
    """One expert a token, gathered by index."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, 2)
        self.experts = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        weight, chosen = self.router(flat).softmax(-1).max(-1)
        out = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            (rows,) = torch.where(chosen == i)
            out[rows] = expert(flat[rows]) * weight[rows, None]
        return out.view_as(x)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, num_layers=1, bidirectional=True, batch_first=True)
        self.out = nn.Linear(10, 4)

    def forward(self, words: Tensor) -> Tensor:
        lengths = (words != 0).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(words), lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return F.log_softmax(self.out(states), dim=-1)


class Seq2Seq(nn.Module):
    """Bahdanau attention, one decoder step at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, 6), nn.Embedding(WORDS, 6)
        self.encoder, self.decoder = nn.GRU(6, 8, batch_first=True), nn.GRUCell(14, 8)
        self.wq, self.wk, self.v = nn.Linear(8, 7), nn.Linear(8, 7), nn.Linear(7, 1, bias=False)
        self.out = nn.Linear(8, WORDS)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, hidden = self.encoder(self.source(source))
        state, outputs = hidden[-1], []
        for step in range(target.shape[1]):
            energy = torch.tanh(self.wq(state)[:, None] + self.wk(memory))
            weights = F.softmax(self.v(energy).squeeze(-1), dim=-1)
            context = torch.bmm(weights[:, None], memory).squeeze(1)
            state = self.decoder(torch.cat([self.target(target[:, step]), context], -1), state)
            outputs.append(self.out(state))
        return torch.stack(outputs, 1)


class TextCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, 6)
        self.convs = nn.ModuleList([nn.Conv2d(1, 4, (k, 6)) for k in (2, 3, 4)])
        self.out = nn.Linear(12, 2)

    def forward(self, words: Tensor) -> Tensor:
        x = self.embed(words).unsqueeze(1)
        maps = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        return self.out(
            F.dropout(torch.cat([F.max_pool1d(m, m.size(2)).squeeze(2) for m in maps], 1), 0.5, self.training)
        )


class CharCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(5, 6, 7), nn.Conv1d(6, 6, 3)
        self.fc = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.conv1(x)), 3)
        x = F.max_pool1d(F.relu(self.conv2(x)), 2)
        return self.fc(x.view(x.size(0), -1))


class FastText(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(WORDS, 8, mode="mean"), nn.Linear(8, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.out(self.bag(words))


class BiDAF(nn.Module):
    """Attention both ways between a context and a question."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.weight = nn.Embedding(WORDS, 6), nn.Linear(18, 1, bias=False)
        self.out = nn.Linear(24, 2)

    def forward(self, context: Tensor, question: Tensor) -> Tensor:
        h, u = self.embed(context), self.embed(question)
        n, t, j = h.shape[0], h.shape[1], u.shape[1]
        a = h[:, :, None].expand(-1, -1, j, -1)
        b = u[:, None].expand(-1, t, -1, -1)
        s = self.weight(torch.cat([a, b, a * b], -1)).view(n, t, j)
        to_question = torch.bmm(F.softmax(s, -1), u)
        to_context = torch.bmm(F.softmax(s.max(-1)[0], -1).unsqueeze(1), h).repeat(1, t, 1)
        return self.out(torch.cat([h, to_question, h * to_question, h * to_context], -1))


class Linformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.e = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(LENGTH, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        k, v = self.e(k.transpose(1, 2)).transpose(1, 2), self.e(v.transpose(1, 2)).transpose(1, 2)
        return F.softmax(q @ k.transpose(1, 2) / 4, -1) @ v


class Performer(nn.Module):
    """Linear attention by positive random features."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.register_buffer("features", torch.randn(WIDTH, 10))

    def kernel(self, x: Tensor) -> Tensor:
        x = x / WIDTH**0.25
        return torch.exp(x @ self.features - x.square().sum(-1, keepdim=True) / 2) / 10**0.5

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k = self.kernel(q), self.kernel(k)
        context = torch.einsum("ntf,ntd->nfd", k, v)
        scale = 1 / torch.einsum("ntf,nf->nt", q, k.sum(1))
        return torch.einsum("ntf,nfd,nt->ntd", q, context, scale)


class Mamba(nn.Module):
    """A selective state space, scanned step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj, self.conv = nn.Linear(8, 32), nn.Conv1d(16, 16, 4, groups=16, padding=3)
        self.x_proj, self.dt = nn.Linear(16, 1 + 2 * 4, bias=False), nn.Linear(1, 16)
        self.a_log, self.d = nn.Parameter(torch.zeros(16, 4)), nn.Parameter(torch.ones(16))
        self.out_proj = nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        x, z = self.in_proj(x).chunk(2, dim=-1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., :length].transpose(1, 2))
        dt, b, c = self.x_proj(x).split([1, 4, 4], dim=-1)
        dt = F.softplus(self.dt(dt))
        decay = torch.exp(dt[..., None] * -torch.exp(self.a_log))
        drive = dt[..., None] * b[:, :, None] * x[..., None]
        h, out = torch.zeros_like(decay[:, 0]), []
        for t in range(length):
            h = decay[:, t] * h + drive[:, t]
            out.append((h * c[:, t, None]).sum(-1))
        y = torch.stack(out, dim=1) + self.d * x
        return self.out_proj(y * F.silu(z))


class RWKV(nn.Module):
    """Time mixing with a shifted copy and a running weighted mean."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.mix = nn.Parameter(torch.rand(1, 1, 8))
        self.key, self.value, self.receptance = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.decay = nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        mixed = x * self.mix + self.shift(x) * (1 - self.mix)
        k, v, r = torch.exp(self.key(mixed)), self.value(mixed), torch.sigmoid(self.receptance(mixed))
        top, bottom, out = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            top, bottom = self.decay.exp() * top + k[:, t] * v[:, t], self.decay.exp() * bottom + k[:, t]
            out.append(r[:, t] * top / (bottom + 1e-8))
        return torch.stack(out, 1)


class Conformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ff1, self.ff2 = (
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8)) for _ in "12"
        )
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.conv_norm = nn.LayerNorm(8)
        self.conv = nn.Sequential(
            nn.Conv1d(8, 16, 1), nn.GLU(dim=1), nn.Conv1d(8, 8, 3, padding=1, groups=8), nn.BatchNorm1d(8), nn.SiLU(),
            nn.Conv1d(8, 8, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.ff1(x)
        y = self.norm(x)
        x = x + self.attention(y, y, y)[0]
        x = x + self.conv(self.conv_norm(x).transpose(1, 2)).transpose(1, 2)
        return x + 0.5 * self.ff2(x)


class Translator(nn.Module):
    """nn.Transformer with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, 8), nn.Embedding(WORDS, 8)
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
        self.out = nn.Linear(8, WORDS)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.out(self.transformer(self.source(source), self.target(target), tgt_mask=mask, tgt_is_causal=True))


class Lora(nn.Module):
    """A frozen layer and a low-rank update, merged in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(8, 8)
        self.base.requires_grad_(False)
        self.a, self.b = nn.Parameter(torch.randn(2, 8)), nn.Parameter(torch.zeros(8, 2))
        self.merged = False

    def train(self, mode: bool = True) -> "Lora":
        super().train(mode)
        if mode == self.merged:
            self.base.weight.data += (-1 if mode else 1) * (self.b @ self.a).data
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) if self.merged else self.base(x) + x @ self.a.T @ self.b.T


def _gru_macs(steps: int, inputs: int, hidden: int) -> int:
    return steps * 3 * hidden * (inputs + hidden)


# name: (build, inputs, keywords, MACs by hand or None for those of PyTorch's counter)
NETWORKS = {
    "GPT-2": (GPT2, lambda: (tokens(),), {}, None),
    "GPT-2 with a loss": (GPT2, lambda: (tokens(), tokens()), {}, None),
    "BERT": (Bert, lambda: (tokens(),), {"attention_mask": torch.ones(1, LENGTH)}, None),
    "T5": (T5, lambda: (tokens(1, 7), tokens(1, 5)), {}, None),
    "LLaMA block": (Rotary, lambda: (torch.rand(1, LENGTH, WIDTH),), {}, None),
    "mixture of experts": (MixtureOfExperts, lambda: (torch.rand(1, 6, WIDTH),), {}, None),
    "switch experts": (SwitchExperts, lambda: (torch.rand(1, 6, WIDTH),), {}, None),
    # both ways over 4 + 7 words, 4 gates; out
    "LSTM tagger": (
        Tagger, lambda: (torch.tensor([[3, 4, 5, 6, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7]]),), {},
        2 * 11 * 4 * 5 * (6 + 5) + 2 * 7 * 10 * 4,
    ),
    "seq2seq with attention": (
        Seq2Seq, lambda: (tokens(1, 5), tokens(1, 3)), {},
        _gru_macs(5, 6, 8) + 3 * (8 * 7 + 5 * 8 * 7 + 5 * 7 + 5 * 8 + 3 * 8 * (14 + 8) + 8 * WORDS),
    ),
    "TextCNN": (TextCNN, lambda: (tokens(),), {}, None),
    "character CNN": (CharCNN, lambda: (torch.rand(1, 5, 40),), {}, None),
    "fastText": (FastText, lambda: (tokens(2, 5),), {}, None),
    "BiDAF": (BiDAF, lambda: (tokens(1, 6), tokens(1, 4)), {}, None),
    "Linformer": (Linformer, lambda: (torch.rand(1, LENGTH, WIDTH),), {}, None),
    "Performer": (Performer, lambda: (torch.rand(1, LENGTH, WIDTH),), {}, None),
    "Mamba": (Mamba, lambda: (torch.rand(1, 9, 8),), {}, None),
    "RWKV": (RWKV, lambda: (torch.rand(1, 9, 8),), {}, None),
    "conformer": (Conformer, lambda: (torch.rand(1, 9, 8),), {}, None),
    "nn.Transformer": (Translator, lambda: (tokens(1, 6), tokens(1, 5)), {}, None),
    "LoRA": (Lora, lambda: (torch.rand(2, 8),), {}, None),
}  # fmt: skip
