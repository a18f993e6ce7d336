"""What one dispatcher operation costs: a table from operation to multiply-accumulates and floating-point operations.

The convention, the same forward and backward (a gradient kernel is an operation like any other):

- A MAC is one multiply-accumulate of a matrix product, convolution or attention; it counts as 2 FLOPs. A dot product of
  k terms has k products and k - 1 sums, so the sum that is counted too many stands for the bias. These counts equal
  those of `torch.utils.flop_counter`, which counts nothing else. A transposed convolution is counted at its true cost
  too: every input element meets every kernel tap. A factorisation, inverse or solution of linear equations is made of
  multiply-accumulates too, which that counter leaves out: its MACs are half of its FLOPs, n³ for the inverse of n×n.
- An elementwise function costs 1 FLOP per output element, however costly it is (exp, erf). A gradient kernel costs
  what its formula says: relu g·[x > 0] 1, sigmoid g·y·(1 - y) 3, tanh g·(1 - y²) 3, others 2 (derivative, product).
- A reduction costs 1 per input element, max-pooling one comparison per further tap, softmax 5 per element.
- Batch-norm with running statistics costs 2 per element (scale, shift), a normalisation that computes its statistics
  8 (mean 1, variance 3, normalise 2, affine 2); terms of one per channel or row are left out.
- Copies, views, indexing, masks, random draws and comparisons with a constant cost 0.
- An operation that is not in this table has no cost: `cost` returns None, and the report marks it as not counted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log2, prod
from typing import Any

import torch
from torch import Tensor

CONVENTION = "1 MAC = 2 FLOPs (the bias is the second of the last one); elementwise 1 per element; views and copies 0"


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates, and all floating-point operations (two for each of them, plus the rest)."""

    macs: int = 0
    flops: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.macs + other.macs, self.flops + other.flops)


NOTHING = Cost()


def cost(func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Cost | None:
    """The cost of one dispatcher call, or None where the table has no entry for it."""
    if func.namespace not in ("aten", "prims"):
        return None
    try:
        return _cost(operation_name(func), tuple(bound(func, args, kwargs).values()), out)
    except Exception:  # a form of the operation that its entry does not know
        return None


def bound(func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a call by the names of the operation's schema, in its order, those left out by their default."""
    arguments = func._schema.arguments
    return {
        argument.name: args[i] if i < len(args) else kwargs.get(argument.name, argument.default_value)
        for i, argument in enumerate(arguments)
    }


def _cost(name: str, args: tuple[Any, ...], out: Any) -> Cost | None:
    if name in _PRODUCTS:
        macs = _PRODUCTS[name](args, out)
        bias_gradient = _numel(args[0]) if name == "convolution_backward" and args[10][2] else 0
        return Cost(macs, 2 * macs + bias_gradient)
    if name in _FREE:
        return Cost()
    if name in PER_OUTPUT:
        per_element = PER_OUTPUT[name]
        if name in ("add", "sub") and args[2] != 1:
            per_element += 1
        return Cost(flops=per_element * _numel(out))
    if name in _PER_INPUT:
        return Cost(flops=_PER_INPUT[name] * _numel(args[0]))
    if name in _ALGEBRA:
        flops = _ALGEBRA[name](args, out)
        return Cost(flops // 2, flops)
    if name in _OTHER:
        return Cost(flops=_OTHER[name](args, out))
    return None


def operation_name(func: torch._ops.OpOverload) -> str:
    """`aten.relu_.default` -> `relu`: the operation without namespace, overload and in-place mark."""
    name = func._schema.name.split("::")[-1]
    return name if name.endswith("__") else name.removesuffix("_")


def _numel(value: Any) -> int:
    """Elements of a tensor, or of the first tensor of several results."""
    if isinstance(value, Tensor):
        return value.numel()
    return next((item.numel() for item in value if isinstance(item, Tensor)), 0)


def names_in(text: str) -> list[str]:
    return text.split()


# --- matrix products, convolutions, attention: MACs ---------------------------------------------------------------


def _convolution(args: tuple[Any, ...], out: Tensor) -> int:
    x, weight, transposed = args[0], args[1], args[6]
    # Weight (out, in / groups, *kernel); transposed: (in, out / groups, *kernel), each input element meets all of it.
    return (x if transposed else out).numel() * weight[0].numel()


def _convolution_backward(args: tuple[Any, ...], out: Any) -> int:
    grad, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    one = (x if transposed else grad).numel() * weight[0].numel()
    return one * sum(wanted[:2])  # of input and weight; the bias gradient is a plain sum


def _attention(args: tuple[Any, ...], out: Any) -> int:
    """Scores of every query with every key, and as many products with the values."""
    query, key, value = args[:3]  # (N, heads, length, width)
    return query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _trilinear(args: tuple[Any, ...], out: Tensor) -> int:
    """Elements of the product of all three tensors, before it is summed."""
    shapes = []
    for tensor, expand in zip(args[:3], args[3:6], strict=True):
        shape = list(tensor.shape)
        for dim in sorted(expand):
            shape.insert(dim, 1)
        shapes.append(shape)
    return torch.broadcast_shapes(*shapes).numel()


def _terms(matrix: Tensor) -> int:
    """Elements that take part in a product: of a sparse matrix those that it holds."""
    return matrix.numel() if matrix.layout == torch.strided else matrix._nnz()


_PRODUCTS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "mm": lambda args, out: _terms(args[0]) * args[1].shape[-1],
    "bmm": lambda args, out: _terms(args[0]) * args[1].shape[-1],
    "addmm": lambda args, out: _terms(args[1]) * args[2].shape[-1],
    "_sparse_mm": lambda args, out: _terms(args[0]) * args[1].shape[-1],
    "_sparse_addmm": lambda args, out: _terms(args[1]) * args[2].shape[-1],
    "baddbmm": lambda args, out: args[1].numel() * args[2].shape[-1],
    "addbmm": lambda args, out: args[1].numel() * args[2].shape[-1],
    "addmv": lambda args, out: args[1].numel(),
    "mv": lambda args, out: args[0].numel(),
    "dot": lambda args, out: args[0].numel(),
    "vdot": lambda args, out: args[0].numel(),
    "addr": lambda args, out: out.numel(),
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_backward": _convolution_backward,
    "_trilinear": _trilinear,
    "affine_grid_generator": lambda args, out: out.numel() * args[0].shape[-1],
    "_euclidean_dist": lambda args, out: out.numel() * args[0].shape[-1],
    "_addmm_activation": lambda args, out: args[1].numel() * args[2].shape[-1],
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}

# --- data movement, masks and random draws: nothing ---------------------------------------------------------------

_FREE = frozenset(
    names_in("""
        _conj _conj_physical _local_scalar_dense _pack_padded_sequence _pack_padded_sequence_backward
        _reshape_alias _reshape_copy _shape_as_tensor _to_copy _unsafe_index _unsafe_view alias alias_copy
        arange argmax argmin argsort as_strided bernoulli bitwise_and bitwise_not bitwise_or bitwise_xor
        broadcast_tensors cat channel_shuffle chunk clone complex constant_pad_nd contiguous copy detach
        diag_embed diagonal diagonal_backward embedding empty empty_like empty_strided eq expand expand_copy
        flip exponential eye fill full full_like gather ge gt im2col index index_select is_same_size isfinite
        isinf isnan item le lift_fresh linspace logical_and logical_not logical_or logical_xor lt masked_fill
        masked_select max_unpool2d max_unpool3d multinomial native_channel_shuffle ne new_empty
        new_empty_strided new_full new_ones new_zeros nonzero normal one_hot ones ones_like permute
        pixel_shuffle pixel_unshuffle rand rand_like randint randint_like randn randn_like randperm real
        reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d
        replication_pad2d replication_pad3d resize roll rot90 scalar_tensor scatter select select_backward
        select_scatter set slice slice_backward slice_scatter sort split split_with_sizes squeeze stack t topk
        transpose tril triu unbind unfold unsafe_chunk unsafe_split unsafe_split_with_sizes uniform unsqueeze
        upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
        _upsample_nearest_exact2d _upsample_nearest_exact3d where lift imag _neg_view resolve_conj resolve_neg
        isposinf isneginf signbit heaviside bucketize searchsorted __and__ __or__ __xor__ __lshift__ __rshift__
        bitwise_left_shift bitwise_right_shift histc bincount count_nonzero take index_copy index_fill
        masked_scatter diagonal_scatter as_strided_scatter view_copy slice_copy select_copy split_copy unbind_copy
        permute_copy transpose_copy squeeze_copy unsqueeze_copy as_strided_copy diagonal_copy unfold_copy block_diag
        fill_diagonal tril_indices triu_indices logspace range poisson binomial cauchy log_normal geometric
        random _unique2 unique_dim unique_consecutive nonzero_static median nanmedian mode kthvalue cummax cummin
        _cummax_helper _cummin_helper sparse_coo_tensor _sparse_coo_tensor_unsafe
        _sparse_coo_tensor_with_dims_and_tensors _coalesce coalesce _coalesced _indices _values indices values
        _linalg_check_errors equal allclose isin split_with_sizes_copy narrow_copy t_copy resize_as
        is_coalesced _nnz sparse_dim dense_dim sparse_mask _to_sparse _to_dense _to_sparse_csr _to_sparse_csc
        _assert_async _assert_scalar _assert_tensor_metadata sym_size sym_numel sym_stride set_data
        view view_as_complex view_as_real zero zeros
        zeros_like
    """)
)

# --- this many per element of the (first) output --------------------------------------------------------------------

PER_OUTPUT: dict[str, int] = {
    **dict.fromkeys(
        names_in("""
            _prelu_kernel abs acos add asin atan atan2 ceil celu clamp clamp_max clamp_min cos cosh div elu erf
            erfc erfinv exp exp2 expm1 floor floor_divide fmod frac gelu hardshrink hardsigmoid hardswish
            hardtanh leaky_relu log log10 log1p log2 log_sigmoid_forward logit maximum minimum mish mul neg pow
            reciprocal relu remainder round rsqrt rsub rrelu_with_noise selu sgn sigmoid sign silu sin sinh
            softplus softshrink sqrt square sub tan tanh threshold trunc nan_to_num xlogy acosh asinh atanh sinc
            atan2 hypot lgamma digamma polygamma igamma frexp ldexp fmax fmin gcd lcm copysign deg2rad rad2deg
            angle polar logaddexp logaddexp2 i0 mvlgamma special_entr special_erfcx igammac nextafter special_i0e
            special_i1 special_i1e special_log_ndtr special_ndtri special_xlog1py special_zeta float_power true_divide
            absolute negative positive subtract multiply divide
        """),
        1,
    ),
    **dict.fromkeys(["threshold_backward", "leaky_relu_backward", "hardtanh_backward", "masked_scatter_backward"], 1),
    **dict.fromkeys(
        names_in("""
            elu_backward gelu_backward silu_backward mish_backward softplus_backward hardswish_backward
            hardsigmoid_backward log_sigmoid_backward hardshrink_backward softshrink_backward
            _prelu_kernel_backward addcmul addcdiv native_dropout native_dropout_backward lerp glu glu_backward
        """),
        2,
    ),
    **dict.fromkeys(["sigmoid_backward", "tanh_backward"], 3),
    **dict.fromkeys(["_softmax", "_safe_softmax"], 5),  # maximum, difference, exp, sum, quotient
    "_log_softmax": 5,  # maximum, difference, exp, sum, difference
    "_softmax_backward_data": 4,  # product with g, sum, difference, product with y
    "_log_softmax_backward_data": 4,  # sum of g, exp, product, difference
    **dict.fromkeys(["upsample_linear1d"], 3),  # 2 products, 1 sum
    **dict.fromkeys(["upsample_bilinear2d", "_upsample_bilinear2d_aa"], 7),  # 4 products, 3 sums
    **dict.fromkeys(["upsample_trilinear3d"], 15),
    **dict.fromkeys(["upsample_bicubic2d", "_upsample_bicubic2d_aa"], 31),
    "_fused_rms_norm": 4,  # square, mean, quotient, scale
    **dict.fromkeys(["native_layer_norm", "native_group_norm"], 8),
}

# --- this many per element of the first input -----------------------------------------------------------------------

_PER_INPUT: dict[str, int] = {
    **dict.fromkeys(
        names_in("""
            sum mean amax amin max min prod any all nansum trace cumsum cumprod logcumsumexp embedding_dense_backward
            index_put index_add scatter_add scatter_reduce upsample_nearest1d_backward
            upsample_nearest2d_backward upsample_nearest3d_backward _upsample_nearest_exact2d_backward
            max_pool2d_with_indices_backward max_pool3d_with_indices_backward adaptive_max_pool2d_backward
            adaptive_max_pool3d_backward reflection_pad1d_backward reflection_pad2d_backward
            reflection_pad3d_backward replication_pad1d_backward replication_pad2d_backward
            replication_pad3d_backward unfold_backward col2im _index_put_impl _unsafe_index_put
            fractional_max_pool2d_backward fractional_max_pool3d_backward _upsample_nearest_exact1d_backward
            _upsample_nearest_exact3d_backward index_reduce
        """),
        1,
    ),
    "logsumexp": 4,  # maximum, difference, exp, sum
    "aminmax": 2,  # two comparisons
    "linalg_vector_norm": 2,  # square, sum
    "norm": 2,
    "_weight_norm_interface": 3,  # square, sum, scale
    "_weight_norm_interface_backward": 5,  # product with the direction, its sum, product, difference, scale
    "var": 4,  # mean, difference, square, sum
    "std": 4,
    "std_mean": 4,
    "dist": 4,  # difference, power, sum, root
    "_pdist_forward": 4,
    "_fused_rms_norm_backward": 8,
    "l1_loss": 3,
    "soft_margin_loss": 4,
    "soft_margin_loss_backward": 4,
    "multilabel_margin_loss_forward": 3,
    "multi_margin_loss": 3,
    "renorm": 3,
    "var_mean": 4,
    "native_layer_norm_backward": 13,  # x̂ 2, sums of g and g·x̂ 3, input gradient 5, gradients of scale and shift 3
    "native_group_norm_backward": 13,
    "mse_loss": 3,  # difference, square, sum
    "mse_loss_backward": 3,
    "smooth_l1_loss": 4,
    "smooth_l1_loss_backward": 3,
    "huber_loss": 4,
    "huber_loss_backward": 3,
    "binary_cross_entropy": 7,  # two logarithms, 1 - p, 1 - y, two products, difference
    "binary_cross_entropy_with_logits": 7,
    "binary_cross_entropy_backward": 5,
    "upsample_linear1d_backward": 4,  # a product and a sum per tap
    "upsample_bilinear2d_backward": 8,
    "upsample_trilinear3d_backward": 16,
    "upsample_bicubic2d_backward": 32,
}

# --- counts that need the arguments -------------------------------------------------------------------------------


def _taps(kernel: Any, dims: int) -> int:
    sizes = [kernel] if isinstance(kernel, int) else list(kernel)
    return prod(sizes * dims if len(sizes) == 1 else sizes)


def _adaptive_taps(x: Tensor, out: Tensor, dims: int) -> int:
    """Input elements over all windows: windows of an adaptive pool may overlap by one."""
    windows = [
        sum(-(-(o + 1) * size // count) - o * size // count for o in range(count))
        for size, count in zip(x.shape[-dims:], out.shape[-dims:], strict=True)
    ]
    return x.shape[:-dims].numel() * prod(windows)


def _batch_norm(args: tuple[Any, ...], out: Any) -> int:
    return args[0].numel() * (8 if args[5] else 2)


def _batch_norm_backward(args: tuple[Any, ...], out: Any) -> int:
    # native_batch_norm_backward(grad, x, weight, running mean, running var, mean, invstd, train, eps, output mask)
    grad, train, wanted = args[0], args[7], args[9]
    sums = 5 if train or wanted[1] or wanted[2] else 0  # x̂ 2, product with g, two sums
    inputs = (5 if train else 1) if wanted[0] else 0  # (g - mean g - x̂ · mean(g·x̂)) · scale, or g · scale
    return grad.numel() * (sums + inputs)


def _transform(x: Tensor, dims: list[int]) -> int:
    """5·n·log2(n) for each complex transform of n elements, as the radix-2 algorithm of Cooley and Tukey (1965)."""
    points = prod(x.shape[d] for d in dims)
    return round(5 * x.numel() * log2(points)) if points > 1 else 0


def _matrices(x: Tensor) -> int:
    """n³ for each n×n matrix; the factors in the table are those of Golub and Van Loan, Matrix Computations."""
    return x.numel() * x.shape[-1]


_ALGEBRA: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "linalg_inv_ex": lambda args, out: 2 * _matrices(args[0]),
    "linalg_lu_factor_ex": lambda args, out: 2 * _matrices(args[0]) // 3,
    "_linalg_det": lambda args, out: 2 * _matrices(args[0]) // 3,
    "_linalg_slogdet": lambda args, out: 2 * _matrices(args[0]) // 3,
    "linalg_cholesky_ex": lambda args, out: _matrices(args[0]) // 3,
    "_linalg_solve_ex": lambda args, out: 2 * _matrices(args[0]) // 3 + 2 * args[0].shape[-1] * out[0].numel(),
    "linalg_solve_triangular": lambda args, out: args[0].shape[-1] * out.numel(),
    "linalg_lu_solve": lambda args, out: 2 * args[0].shape[-1] * out.numel(),
    "cholesky": lambda args, out: _matrices(args[0]) // 3,
    "cholesky_inverse": lambda args, out: 2 * _matrices(args[0]) // 3,
    "cholesky_solve": lambda args, out: 2 * args[1].shape[-1] * out.numel(),
}
"""FLOPs of factorisations and what uses them; nearly all of them are multiply-accumulates (a -= l·u)."""

_OTHER: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "max_pool2d_with_indices": lambda args, out: out[0].numel() * (_taps(args[1], 2) - 1),
    "max_pool3d_with_indices": lambda args, out: out[0].numel() * (_taps(args[1], 3) - 1),
    "avg_pool2d": lambda args, out: out.numel() * _taps(args[1], 2),  # sums, one quotient
    "avg_pool3d": lambda args, out: out.numel() * _taps(args[1], 3),
    "avg_pool2d_backward": lambda args, out: args[0].numel() * (_taps(args[2], 2) + 1),  # quotient, a sum per tap
    "avg_pool3d_backward": lambda args, out: args[0].numel() * (_taps(args[2], 3) + 1),
    "_adaptive_avg_pool2d": lambda args, out: _adaptive_taps(args[0], out, 2),
    "_adaptive_avg_pool3d": lambda args, out: _adaptive_taps(args[0], out, 3),
    "_adaptive_avg_pool2d_backward": lambda args, out: args[0].numel() + _adaptive_taps(args[1], args[0], 2),
    "_adaptive_avg_pool3d_backward": lambda args, out: args[0].numel() + _adaptive_taps(args[1], args[0], 3),
    "adaptive_max_pool2d": lambda args, out: _adaptive_taps(args[0], out[0], 2) - out[0].numel(),
    "adaptive_max_pool3d": lambda args, out: _adaptive_taps(args[0], out[0], 3) - out[0].numel(),
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_batch_norm_with_update": lambda args, out: 8 * args[0].numel(),
    "_native_batch_norm_legit_no_training": lambda args, out: 2 * args[0].numel(),
    "native_batch_norm_backward": _batch_norm_backward,
    "_fft_c2c": lambda args, out: _transform(args[0], args[1]),
    "_fft_r2c": lambda args, out: _transform(args[0], args[1]) // 2,
    "_fft_c2r": lambda args, out: _transform(out, args[1]) // 2,
    "grid_sampler_2d": lambda args, out: out.numel() * {0: 7, 1: 0, 2: 31}[args[2]],  # as resizing of the same kind
    "grid_sampler_3d": lambda args, out: out.numel() * {0: 15, 1: 0}[args[2]],
    "grid_sampler_2d_backward": lambda args, out: args[0].numel() * {0: 16, 1: 1, 2: 64}[args[3]],
    "grid_sampler_3d_backward": lambda args, out: args[0].numel() * {0: 32, 1: 1}[args[3]],
    "fractional_max_pool2d": lambda args, out: out[0].numel() * (_taps(args[1], 2) - 1),
    "fractional_max_pool3d": lambda args, out: out[0].numel() * (_taps(args[1], 3) - 1),
    "_cdist_forward": lambda args, out: 3 * out.numel() * args[0].shape[-1],  # difference, power, sum
    "_cdist_backward": lambda args, out: 4 * args[0].numel() * args[1].shape[-1],
    "linalg_cross": lambda args, out: 3 * out.numel(),
    "_embedding_bag": lambda args, out: args[1].numel() * args[0].shape[-1],  # a sum per looked-up number
    "_embedding_bag_forward_only": lambda args, out: args[1].numel() * args[0].shape[-1],
    "_embedding_bag_backward": lambda args, out: args[1].numel() * args[0].shape[-1],
    "nll_loss_forward": lambda args, out: args[1].numel(),
    "nll_loss2d_forward": lambda args, out: args[1].numel(),
    "nll_loss_backward": lambda args, out: args[2].numel(),
    "nll_loss2d_backward": lambda args, out: args[2].numel(),
}
