"""Networks for signals, sets, graphs and functions, small, each written in its usual style."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WaveNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 4, 1)
        self.filters = nn.ModuleList([nn.Conv1d(4, 4, 2, dilation=2**i) for i in range(3)])
        self.gates = nn.ModuleList([nn.Conv1d(4, 4, 2, dilation=2**i) for i in range(3)])
        self.residual = nn.ModuleList([nn.Conv1d(4, 4, 1) for _ in range(3)])
        self.out = nn.Conv1d(4, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.first(x), 0
        for conv, gate, residual in zip(self.filters, self.gates, self.residual, strict=True):
            y = torch.tanh(conv(x)) * torch.sigmoid(gate(x))
            y = residual(y)
            x = y + x[..., -y.size(-1) :]
            skips = y if isinstance(skips, int) else skips[..., -y.size(-1) :] + y
        return self.out(F.relu(skips))


class Chomp(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class TCN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        weight_norm = nn.utils.parametrizations.weight_norm
        self.conv1, self.chomp = weight_norm(nn.Conv1d(2, 4, 3, padding=4, dilation=2)), Chomp(4)
        self.down = nn.Conv1d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.relu(self.chomp(self.conv1(x))) + self.down(x))


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tnet = nn.Sequential(nn.Conv1d(3, 6, 1), nn.BatchNorm1d(6), nn.ReLU())
        self.tfc = nn.Linear(6, 9)
        self.body = nn.Sequential(nn.Conv1d(3, 8, 1), nn.ReLU(), nn.Conv1d(8, 8, 1))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        turn = self.tfc(torch.max(self.tnet(x), 2)[0]).view(-1, 3, 3) + torch.eye(3).to(x)
        x = torch.bmm(x.transpose(2, 1), turn).transpose(2, 1)
        return F.log_softmax(self.head(torch.max(self.body(x), 2)[0]), dim=1)


class GCN(nn.Module):
    """A dense adjacency matrix as a second input."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        a = adjacency + torch.eye(adjacency.size(-1)).to(adjacency)
        d = a.sum(-1).pow(-0.5)
        a = d.unsqueeze(-1) * a * d.unsqueeze(-2)
        return a @ self.w2(F.relu(a @ self.w1(x)))


class SparseGCN(nn.Module):
    """Kipf and Welling's layer: torch.sparse.mm with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.zeros(4))
        edges = torch.tensor([[0, 1, 1, 2, 3, 5], [1, 0, 2, 1, 4, 5]])
        self.register_buffer(
            "adjacency", torch.sparse_coo_tensor(edges, torch.ones(6), (6, 6), check_invariants=False).coalesce()
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.sparse.mm(self.adjacency, x @ self.weight) + self.bias


class MessagePassing(nn.Module):
    """Messages gathered along edges and summed by index, as PyTorch Geometric does."""

    def __init__(self) -> None:
        super().__init__()
        self.message, self.update = nn.Linear(10, 6), nn.Linear(11, 4)
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]))

    def forward(self, x: Tensor) -> Tensor:
        source, target = self.edges
        messages = F.relu(self.message(torch.cat([x[source], x[target]], -1)))
        gathered = torch.zeros(x.size(0), 6).to(x).index_add_(0, target, messages)
        return self.update(torch.cat([x, gathered], -1))


class GAT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.a = nn.Parameter(torch.randn(5, 4)), nn.Parameter(torch.randn(8, 1))

    def forward(self, h: Tensor, adjacency: Tensor) -> Tensor:
        wh = torch.mm(h, self.w)
        e = F.leaky_relu(torch.matmul(wh, self.a[:4]) + torch.matmul(wh, self.a[4:]).T, 0.2)
        attention = F.softmax(torch.where(adjacency > 0, e, -9e15 * torch.ones_like(e)), dim=1)
        return F.elu(torch.matmul(F.dropout(attention, 0.5, self.training), wh))


class DeepSet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8))
        self.rho = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.rho(self.phi(x).sum(dim=1))


class MAB(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        q, k, v = self.q(x), self.k(y), self.v(y)
        q_, k_, v_ = (torch.cat(part.split(4, 2), 0) for part in (q, k, v))
        a = torch.softmax(q_.bmm(k_.transpose(1, 2)) / 8**0.5, 2)
        o = torch.cat((q_ + a.bmm(v_)).split(x.size(0), 0), 2)
        return o + F.relu(self.o(o))


class SetTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inducing, self.seed = nn.Parameter(torch.randn(1, 3, 8)), nn.Parameter(torch.randn(1, 1, 8))
        self.one, self.two, self.pool = MAB(), MAB(), MAB()

    def forward(self, x: Tensor) -> Tensor:
        h = self.one(self.inducing.repeat(x.size(0), 1, 1), x)
        return self.pool(self.seed.repeat(x.size(0), 1, 1), self.two(x, h)).squeeze(1)


class Perceiver(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(4, 8))
        self.cross = nn.MultiheadAttention(8, 1, kdim=5, vdim=5, batch_first=True)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        latents = self.latents.expand(x.shape[0], -1, -1)
        latents = latents + self.cross(latents, x, x, need_weights=False)[0]
        return self.out(self.block(latents).mean(1))


class NeuralODE(nn.Module):
    """Runge-Kutta of order 4, eight steps of one network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))

    def slope(self, t: float, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, torch.full_like(x[:, :1], t)], 1))

    def forward(self, x: Tensor) -> Tensor:
        h = 0.125
        for i in range(8):
            t = i * h
            k1 = self.slope(t, x)
            k2 = self.slope(t + h / 2, x + h / 2 * k1)
            k3 = self.slope(t + h / 2, x + h / 2 * k2)
            k4 = self.slope(t + h, x + h * k3)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return x


class DEQ(nn.Module):
    """A fixed point found without a graph, then one more step with it."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.u = nn.Linear(6, 6), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.zeros(x.shape[0], 6).to(x)
        with torch.no_grad():
            for _ in range(10):
                z = torch.tanh(0.3 * self.w(z) + self.u(x))
        return torch.tanh(0.3 * self.w(z) + self.u(x))


class HyperNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.make, self.code = nn.Linear(3, 5 * 4 + 5), nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.make(self.code)
        return F.linear(x, weights[:20].view(5, 4), weights[20:])


class MemoryNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Embedding(20, 6), nn.Embedding(20, 6), nn.Embedding(20, 6)
        self.w = nn.Linear(6, 20, bias=False)

    def forward(self, story: Tensor, question: Tensor) -> Tensor:
        m, c, u = self.a(story).sum(2), self.c(story).sum(2), self.b(question).sum(1)
        for _ in range(2):
            p = F.softmax((m * u.unsqueeze(1)).sum(2), dim=1)
            u = u + (c * p.unsqueeze(2)).sum(1)
        return self.w(u)


class NTM(nn.Module):
    """Content addressing, one write and one read per step."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = nn.LSTMCell(3 + 4, 6)
        self.key, self.beta, self.erase, self.add = nn.Linear(6, 4), nn.Linear(6, 1), nn.Linear(6, 4), nn.Linear(6, 4)
        self.register_buffer("memory", torch.full((5, 4), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        memory, read = self.memory.expand(n, -1, -1), torch.zeros(n, 4).to(x)
        state, out = (torch.zeros(n, 6).to(x), torch.zeros(n, 6).to(x)), []
        for step in x.unbind(1):
            state = self.controller(torch.cat([step, read], 1), state)
            similarity = F.cosine_similarity(memory, self.key(state[0]).unsqueeze(1), dim=-1)
            w = F.softmax(F.softplus(self.beta(state[0])) * similarity, dim=1)
            memory = memory * (1 - w.unsqueeze(2) * torch.sigmoid(self.erase(state[0])).unsqueeze(1))
            memory = memory + w.unsqueeze(2) * self.add(state[0]).unsqueeze(1)
            read = (w.unsqueeze(2) * memory).sum(1)
            out.append(read)
        return torch.stack(out, 1)


class EchoState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w_in", torch.rand(8, 2) - 0.5)
        self.register_buffer("w", 0.2 * torch.randn(8, 8))
        self.readout = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        state, states = torch.zeros(x.shape[0], 8).to(x), []
        for t in range(x.shape[1]):
            state = 0.7 * state + 0.3 * torch.tanh(x[:, t] @ self.w_in.T + state @ self.w.T)
            states.append(state)
        return self.readout(torch.stack(states, dim=1))


class KAN(nn.Module):
    """A B-spline of degree 3 on every edge, beside a plain linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", torch.arange(-3, 9).float() / 2.5 - 1)
        self.base, self.spline = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(3, 4, 8))

    def basis(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(-1)
        b = ((x >= self.grid[:-1]) & (x < self.grid[1:])).to(x.dtype)
        for k in range(1, 4):
            left = (x - self.grid[: -(k + 1)]) / (self.grid[k:-1] - self.grid[: -(k + 1)]) * b[..., :-1]
            right = (self.grid[k + 1 :] - x) / (self.grid[k + 1 :] - self.grid[1:(-k)]) * b[..., 1:]
            b = left + right
        return b

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.silu(x), self.base) + F.linear(self.basis(x).flatten(1), self.spline.view(3, -1))


class Siren(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 8), nn.Linear(8, 8)])
        self.last = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(30 * layer(x))
        return self.last(x)


class NeRF(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pts = nn.ModuleList([nn.Linear(15, 8), nn.Linear(8, 8), nn.Linear(8 + 15, 8)])
        self.alpha, self.feature, self.views, self.rgb = (
            nn.Linear(8, 1),
            nn.Linear(8, 8),
            nn.Linear(11, 4),
            nn.Linear(4, 3),
        )

    @staticmethod
    def encode(x: Tensor) -> Tensor:
        return torch.cat([x, *[f(x * 2.0**i) for i in range(2) for f in (torch.sin, torch.cos)]], -1)

    def forward(self, points: Tensor, directions: Tensor) -> Tensor:
        x = self.encode(points)
        h = x
        for i, layer in enumerate(self.pts):
            h = F.relu(layer(torch.cat([x, h], -1) if i == 2 else h))
        alpha = self.alpha(h)
        rgb = self.rgb(F.relu(self.views(torch.cat([self.feature(h), directions], -1))))
        density = 1 - torch.exp(-F.relu(alpha[..., 0]))
        before = torch.cumprod(torch.cat([torch.ones_like(density[:, :1]), 1 - density + 1e-10], -1), -1)[:, :-1]
        return ((density * before)[..., None] * torch.sigmoid(rgb)).sum(-2)


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 2))
        self.weights = nn.ParameterList([self.encoder[2].weight, self.encoder[0].weight])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)  # the decoder is the encoder transposed
        return torch.sigmoid(F.relu(z @ self.weights[0]) @ self.weights[1])


class Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bilinear, self.out = nn.Bilinear(4, 5, 3), nn.Linear(3, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(torch.tanh(self.bilinear(a, b)))


class MetricNetwork(nn.Module):
    """Prototypes: distances to the class means."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(6, 4)

    def forward(self, support: Tensor, query: Tensor) -> Tensor:
        prototypes = self.net(support).view(3, 2, 4).mean(1)
        return -(self.net(query).unsqueeze(1) - prototypes.unsqueeze(0)).pow(2).sum(2)


def adjacency() -> Tensor:
    return (torch.rand(6, 6) > 0.5).float()


NETWORKS = {
    "WaveNet": (WaveNet, lambda: (torch.rand(1, 1, 20),), {}, None),
    "TCN": (TCN, lambda: (torch.rand(1, 2, 12),), {}, None),
    "PointNet": (PointNet, lambda: (torch.rand(1, 3, 10),), {}, None),
    "GCN": (GCN, lambda: (torch.rand(6, 5), adjacency()), {}, None),
    "sparse GCN": (SparseGCN, lambda: (torch.rand(6, 5),), {}, 6 * 5 * 4 + 6 * 4),  # 6 edges
    "message passing": (MessagePassing, lambda: (torch.rand(4, 5),), {}, None),
    "GAT": (GAT, lambda: (torch.rand(6, 5), adjacency()), {}, None),
    "DeepSet": (DeepSet, lambda: (torch.rand(1, 5, 3),), {}, None),
    "Set Transformer": (SetTransformer, lambda: (torch.rand(1, 6, 8),), {}, None),
    "Perceiver": (Perceiver, lambda: (torch.rand(1, 5, 3, 3),), {}, None),
    "neural ODE": (NeuralODE, lambda: (torch.rand(2, 2),), {}, None),
    "DEQ": (DEQ, lambda: (torch.rand(2, 4),), {}, None),
    "hypernetwork": (HyperNetwork, lambda: (torch.rand(2, 4),), {}, 3 * 25 + 2 * 4 * 5),
    "memory network": (
        MemoryNetwork, lambda: (torch.randint(20, (1, 4, 5)), torch.randint(20, (1, 3))), {}, None,
    ),
    "NTM": (NTM, lambda: (torch.rand(1, 4, 3),), {}, None),
    "echo state": (EchoState, lambda: (torch.rand(1, 7, 2),), {}, None),
    "KAN": (KAN, lambda: (torch.rand(2, 4),), {}, None),
    "SIREN": (Siren, lambda: (torch.rand(5, 2),), {}, None),
    "NeRF": (NeRF, lambda: (torch.rand(2, 4, 3), torch.rand(2, 4, 3)), {}, None),
    "tied autoencoder": (Autoencoder, lambda: (torch.rand(2, 12),), {}, None),
    "bilinear": (Bilinear, lambda: (torch.rand(2, 4), torch.rand(2, 5)), {}, 2 * 3 * 4 * 5 + 2 * 3),
    "prototypes": (MetricNetwork, lambda: (torch.rand(6, 6), torch.rand(4, 6)), {}, None),
}  # fmt: skip
