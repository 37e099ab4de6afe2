"""Reference values of np's functions, from NumPy and JAX: writes test/fixtures/numpy.json. Needs only Python, numpy and jax:
python test/conformance/np-reference.py"""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

np.seterr(all="ignore")
inf, nan = float("inf"), float("nan")
cases = []


def encode(x):
    """An argument or result: arrays as dtype and values, numbers as they are; NaN and infinities as words."""
    if isinstance(x, (np.ndarray, np.generic, jax.Array)):
        x = np.asarray(x)
        dtype = {"float64": "float32"}.get(str(x.dtype), str(x.dtype))
        return {"dtype": dtype, "shape": list(x.shape), "values": [encode(v) for v in x.ravel().tolist()]}
    if isinstance(x, float) and not np.isfinite(x):
        return str(x)
    if isinstance(x, float) and x == 0 and np.signbit(x):
        return "-0"
    if isinstance(x, (list, tuple)):
        return [encode(v) for v in x]
    if isinstance(x, dict):
        return {"options": {k: encode(v) for k, v in x.items()}}
    return x


def case(name, args, expected, exact=False):
    results = list(expected) if isinstance(expected, (tuple, list)) else [expected]
    cases.append(
        {"name": name, "args": encode(list(args)), "exact": exact, "expected": [encode(np.asarray(r)) for r in results]}
    )


def f32(*values):
    return np.array(values, np.float32)


def i32(*values):
    return np.array(values, np.int32)


def wide(x):
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x


# Element by element, in float64 of the float32 operands.
some = f32(-3.7, -1, -0.5, -1e-4, 0, 1e-4, 0.3, 0.5, 1, 2, 3.7, 9.5, inf, -inf, nan)
unit = f32(-1, -0.99, -0.5, -1e-3, 0, 1e-3, 0.5, 0.99, 1, 2, nan)
above = f32(0, 1e-3, 0.5, 1, 2, 3, 8, 10, 100, 1000, 1e6, inf, nan)
unary = {
    "sin": (np.sin, some), "cos": (np.cos, some), "tan": (np.tan, some), "sinh": (np.sinh, some),
    "cosh": (np.cosh, some), "tanh": (np.tanh, some), "arcsin": (np.arcsin, unit), "arccos": (np.arccos, unit),
    "arctan": (np.arctan, some), "arcsinh": (np.arcsinh, np.concatenate([some, f32(1e3, 1e6, 1e38, -1e38)])),
    "arccosh": (np.arccosh, f32(0.5, 1, 1.0001, 1.5, 3, 1e3, 1e6, 1e38, inf, nan, -5)),
    "arctanh": (np.arctanh, unit), "exp": (np.exp, some), "exp2": (np.exp2, some), "expm1": (np.expm1, some),
    "log": (np.log, above), "log2": (np.log2, above), "log10": (np.log10, above), "log1p": (np.log1p, above),
    "sqrt": (np.sqrt, above), "cbrt": (np.cbrt, np.concatenate([some, f32(-27, 8, 1e-30, 1e30)])),
    "sinc": (np.sinc, f32(-3.7, -0.5, -1e-4, 0, 1e-4, 0.3, 9.5)), "deg2rad": (np.deg2rad, some), "rad2deg": (np.rad2deg, some),
    "abs": (np.abs, some), "sign": (np.sign, some), "floor": (np.floor, some), "ceil": (np.ceil, some),
    "trunc": (np.trunc, some), "rint": (np.rint, f32(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)), "square": (np.square, some),
    "negative": (np.negative, some), "reciprocal": (np.reciprocal, some), "fabs": (np.fabs, some),
    "isFinite": (np.isfinite, some), "isInf": (np.isinf, some), "isPosInf": (np.isposinf, some),
    "isNegInf": (np.isneginf, some), "isNan": (np.isnan, some), "logicalNot": (np.logical_not, some),
    "nanToNum": (lambda x: np.nan_to_num(x.astype(np.float32)), some),
}
for name, (f, x) in unary.items():
    case(name, [x], f(wide(x)))
    keeps = name in ("abs", "sign", "floor", "ceil", "trunc", "rint", "square", "negative", "nanToNum")
    case(name, [i32(0, 0 if name == "sinc" else 1)], i32(0, -1 if name == "negative" else 1) if keeps else f(np.array([0, 0 if name == "sinc" else 1], np.float64)))
    case(name, [np.zeros((0, 2), np.float32)], f(np.zeros((0, 2), np.float32)))
for name in ("floor", "ceil", "trunc", "rint", "round"):
    case(name, [i32(16777217, -2147483648, 2147483647)], i32(16777217, -2147483648, 2147483647), exact=True)
for decimals in (-1, 1, 2):
    case("round", [f32(12.345, -0.25, 15, 25, -1234.5), decimals], np.round(f32(12.345, -0.25, 15, 25, -1234.5), decimals))
case("round", [i32(15, 25, -15, -14, 2147483640), -1], np.array([20, 20, -20, -10, 2147483640], np.int32), exact=True)
case("round", [i32(15, 2147483647), -10], i32(0, 0), exact=True)
case("modf", [f32(1.5, -1.5, inf, -inf, -0.0, nan)], np.modf(f32(1.5, -1.5, inf, -inf, -0.0, nan)))
case("signbit", [f32(-1, -0.0, 0, 1, -inf)], np.signbit(f32(-1, -0.0, 0, 1, -inf)))

# Pairs of floats and of integers.
odd = f32(-inf, -7.5, -1, -0.3, -0.0, 0, 0.1, 1, 3, 7.25, inf, nan)
pairs = [v.ravel() for v in np.meshgrid(odd, odd)]
ints = i32(-2147483648, -7, -1, 0, 1, 2, 7, 2147483647)
whole = [v.ravel() for v in np.meshgrid(ints, ints)]
for name, f in {"floorDivide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod, "divmod": np.divmod}.items():
    case(name, pairs, f(*pairs), exact=name == "fmod")
    safe = [whole[0].astype(np.int64), whole[1].astype(np.int64)]
    expected = f(*safe)
    case(name, whole, [np.asarray(e).astype(np.int32) for e in (expected if name == "divmod" else [expected])], exact=True)
    case(name, [np.array([200, 7], np.uint8), np.array([0, 3], np.uint8)], f(np.array([200, 7], np.uint8), np.array([0, 3], np.uint8)), exact=True)
for name, f in {
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin, "hypot": np.hypot,
    "copysign": lambda x, y: np.where(np.isnan(y), np.abs(x), np.copysign(x, y)), "heaviside": np.heaviside,
    "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2, "arctan2": np.arctan2, "logicalXor": np.logical_xor,
    "logicalAnd": np.logical_and, "logicalOr": np.logical_or, "isclose": np.isclose, "less": np.less, "equal": np.equal,
}.items():
    case(name, pairs, f(*[wide(p) for p in pairs]))
case("power", [i32(2, -2, 3, 0, 1, -1, 7), i32(3, 3, 0, 0, -1, -3, -1)], i32(8, -8, 1, 1, 1, -1, 0), exact=True)
case("power", [i32(2, -3), 5], i32(32, -243), exact=True)
case("power", [f32(2, 0.5, -2), f32(3, -2, 3)], f32(8, 4, -8))
case("floatPower", [i32(2, 4), i32(-1, -2)], np.float32([0.5, 0.0625]))
case("gcd", [i32(12, -18, 0, 7, 0), i32(18, 12, 5, 13, 0)], i32(6, 6, 5, 1, 0), exact=True)
case("lcm", [i32(4, -6, 0), i32(6, 4, 5)], i32(12, 12, 0), exact=True)
booleans = [np.array([[True], [False]]), np.array([True, False])]
for name, f in {
    "add": np.add, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "less": np.less,
    "bitwiseAnd": np.bitwise_and, "bitwiseXor": np.bitwise_xor, "equal": np.equal,
}.items():
    case(name, booleans, f(*booleans), exact=True)
m = np.array([[True, False], [True, True]])
for name, f in {"matmul": np.matmul, "dot": np.dot, "outer": np.outer, "inner": np.inner, "tensordot": lambda x, y: np.tensordot(x, y, 1)}.items():
    case(name, [m, m] + ([1] if name == "tensordot" else []), f(m, m), exact=True)
case("bitwiseCount", [i32(0, 1, 255, -3)], np.bitwise_count(i32(0, 1, 255, -3)), exact=True)

# Comparisons of integers with numbers beyond their range, and with fractions.
for name, f in {"less": np.less, "lessEqual": np.less_equal, "greater": np.greater, "greaterEqual": np.greater_equal, "equal": np.equal, "notEqual": np.not_equal}.items():
    for number in (3e9, -3e9, 0.5, -0.5, 2147483647.0, 2147483648.0, inf, -inf, nan):
        case(name, [ints, number], f(ints.astype(np.float64), number), exact=True)
        case(name, [number, ints], f(number, ints.astype(np.float64)), exact=True)

# Reductions.
holes = f32(1, nan, 3, -2, 5, nan, 0, 4, nan, nan, nan, nan).reshape(3, 4)
plain = f32(1, 7, 3, -2, 5, 2, 0, 4, 9, 6, 8, -1).reshape(3, 4)
for name, f in {
    "nansum": np.nansum, "nanprod": np.nanprod, "nanmean": np.nanmean, "nanvar": np.nanvar, "nanstd": np.nanstd,
    "nanmax": np.nanmax, "nanmin": np.nanmin, "nanmedian": np.nanmedian,
}.items():
    import warnings

    warnings.simplefilter("ignore")
    case(name, [holes], f(holes))
    case(name, [holes, {"axis": 1}], f(holes, axis=1))
    case(name, [holes, {"axis": 0, "keepdims": True}], f(holes, axis=0, keepdims=True))
case("nanargmax", [holes], jnp.nanargmax(holes, axis=-1).astype(np.int32))
case("nanargmin", [holes, 0], jnp.nanargmin(holes, axis=0).astype(np.int32))
case("nanargmax", [f32(nan, -inf, -inf)], np.int32(1))
for name, f in {"median": np.median, "ptp": np.ptp, "max": np.max, "min": np.min, "mean": np.mean, "std": np.std, "sum": np.sum}.items():
    case(name, [plain, {"axis": 1}], f(plain, axis=1))
    case(name, [holes, {"axis": 1}], f(holes, axis=1))
    case(name, [plain], f(plain))
for name, f in {"sum": jnp.sum, "prod": jnp.prod}.items():
    for dtype in (np.uint8, np.int8, np.uint16, np.bool_):
        case(name, [np.array([200, 100, 3]).astype(dtype)], f(np.array([200, 100, 3]).astype(dtype)), exact=True)
case("cumsum", [np.array([200, 100, 3], np.uint8)], np.array([200, 300, 303], np.uint32), exact=True)
case("mean", [i32(1, 2)], np.float32(1.5))
case("max", [np.array([True, False])], np.array(True), exact=True)
case("argmax", [np.array([False, True])], np.int32(1), exact=True)
for x in (plain, i32(1, 2, 3, 4)):
    case("cumprod", [x], np.cumprod(x, axis=-1).astype(x.dtype))
    case("diff", [x], np.diff(x))
case("diff", [plain, {"n": 2, "axis": 0}], np.diff(plain, n=2, axis=0))
case("nancumsum", [holes], np.nancumsum(holes, axis=-1))
case("nancumprod", [holes, 0], np.nancumprod(holes, axis=0))
case("trapezoid", [plain], np.trapezoid(plain))
case("trapezoid", [plain, {"x": f32(0, 1, 3, 4)}], np.trapezoid(plain, f32(0, 1, 3, 4)))
case("average", [plain, {"weights": f32(1, 2, 3), "axis": 0}], np.average(plain, weights=f32(1, 2, 3), axis=0))
case("countNonzero", [plain, {"axis": 0}], np.count_nonzero(plain, axis=0).astype(np.int32))
case("logsumexp", [np.zeros((0,), np.float32)], np.float32(-inf))
case("logsumexp", [f32(-inf, -inf)], np.float32(-inf))
for method in ("linear", "lower", "higher", "nearest", "midpoint"):
    q = f32(0, 0.1, 0.5, 0.9, 1)
    case("quantile", [plain, q, {"axis": 1, "method": method}], np.quantile(plain, q, axis=1, method=method))
    case("nanquantile", [holes[:2], q, {"axis": 1, "method": method}], np.nanquantile(holes[:2], q, axis=1, method=method))
case("percentile", [plain, 30], np.percentile(plain, 30))
case("quantile", [f32(1, inf, inf), f32(0, 0.5, 1)], f32(1, inf, inf))
case("bincount", [i32(1, 3, 1, 9), {"length": 4}], i32(0, 2, 0, 1), exact=True)
case("bincount", [i32(1, 3, 1), {"length": 5, "weights": f32(0.5, 2, 1)}], np.bincount([1, 3, 1], [0.5, 2, 1], 5))
case("histogram", [plain, {"bins": 4}], [h.astype(np.float32) for h in np.histogram(plain, 4)])
case("histogram", [plain, {"bins": f32(0, 2, 5, 9)}], [h.astype(np.float32) for h in np.histogram(plain, f32(0, 2, 5, 9))])
case("histogram", [plain, {"bins": 3, "range": [0, 6], "density": True}], [h.astype(np.float32) for h in np.histogram(plain, 3, (0, 6), density=True)])
case("cov", [plain], np.cov(plain))
case("corrcoef", [plain], np.corrcoef(plain))

# Shapes, joins and parts.
grid = np.arange(12, dtype=np.float32).reshape(3, 4)
cube = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
case("rollaxis", [cube, 2], np.rollaxis(cube, 2))
case("rollaxis", [cube, 0, 3], np.rollaxis(cube, 0, 3))
for k in (-1, 1, 2, 3):
    case("rot90", [grid, {"k": k}], np.rot90(grid, k))
case("rot90", [cube, {"axes": [2, 0]}], np.rot90(cube, axes=(2, 0)))
case("roll", [grid, 5], np.roll(grid, 5))
case("roll", [grid, [1, -1], [0, 1]], np.roll(grid, (1, -1), (0, 1)))
case("repeat", [grid, 2], np.repeat(grid, 2))
for name in ("vstack", "hstack", "dstack"):
    case(name, [[f32(1, 2), f32(3, 4)]], getattr(np, name)([f32(1, 2), f32(3, 4)]))
    case(name, [[grid, grid]], getattr(np, name)([grid, grid]))
case("columnStack", [[f32(1, 2), np.ones((2, 3), np.float32)]], np.column_stack([f32(1, 2), np.ones((2, 3), np.float32)]))
case("arraySplit", [np.arange(7, dtype=np.float32), 3], np.array_split(np.arange(7, dtype=np.float32), 3))
case("split", [grid, [1, 3], 1], np.split(grid, [1, 3], 1))
case("hsplit", [grid, 2], np.hsplit(grid, 2))
case("append", [grid, f32(1, 2)], np.append(grid, f32(1, 2)))
case("block", [[[grid, grid], [grid, grid]]], np.block([[grid, grid], [grid, grid]]))
case("remove", [grid, [0, -1], 1], np.delete(grid, [0, -1], 1))
case("insert", [f32(1, 2, 3), [1, 1, 3], f32(7, 8, 9)], np.insert(f32(1, 2, 3), [1, 1, 3], f32(7, 8, 9)))
case("insert", [grid, 1, f32(9, 8, 7), 1], np.insert(grid, 1, f32(9, 8, 7), axis=1))
case("resize", [f32(1, 2, 3), [2, 4]], np.resize(f32(1, 2, 3), (2, 4)))
for mode in ("edge", "reflect", "symmetric", "wrap"):
    case("pad", [grid, [[2, 1], [0, 3]], {"mode": mode}], np.pad(grid, [(2, 1), (0, 3)], mode=mode))
    case("pad", [f32(1, 2, 3), [8, 7], {"mode": mode}], np.pad(f32(1, 2, 3), (8, 7), mode=mode))
    case("pad", [f32(5), 2, {"mode": mode}], np.pad(f32(5), 2, mode=mode))
ints = np.array([[1, 2, 7], [4, 6, 3]], np.int32)
for mode in ("maximum", "mean", "median", "minimum"):
    case("pad", [grid, [[2, 1], [0, 3]], {"mode": mode}], np.pad(grid, [(2, 1), (0, 3)], mode=mode))
    case("pad", [ints, 2, {"mode": mode, "statLength": [[1, 9], [2, 2]]}], np.pad(ints, 2, mode, stat_length=[(1, 9), (2, 2)]))
case("pad", [grid, [[2, 1], [0, 3]], {"mode": "linear_ramp"}], np.pad(grid, [(2, 1), (0, 3)], "linear_ramp"))
case("pad", [ints, 3, {"mode": "linear_ramp", "endValues": [[9, -9], [5, 0]]}], np.pad(ints, 3, "linear_ramp", end_values=[(9, -9), (5, 0)]))
big = np.array([10**9, -(10**9)], np.int32)
case("pad", [big, [4, 0], {"mode": "linear_ramp"}], np.pad(big, (4, 0), "linear_ramp"))
case("pad", [big, [0, 2], {"mode": "mean", "statLength": [0, 2]}], np.pad(big, (0, 2), "mean", stat_length=(1, 2)))
for k in (-4, -1, 0, 1, 2, 9):
    case("diag", [grid, k], np.diag(grid, k))
    case("diag", [f32(1, 2), k], np.diag(f32(1, 2), k))
    case("tril", [grid, k], np.tril(grid, k))
    case("tri", [3, 4, {"k": k}], np.tri(3, 4, k, np.float32))
case("diagonal", [cube, {"k": 1, "axes": [2, 0]}], np.diagonal(cube, 1, 2, 0))
case("trace", [cube], np.trace(cube))
case("diagflat", [[[1, 2], [3, 4]]], np.diagflat(np.array([[1, 2], [3, 4]], np.float32)))
case("vander", [f32(1, 2, 3), 4], np.vander(f32(1, 2, 3), 4))
case("meshgrid", [[f32(1, 2, 3), f32(4, 5)]], np.meshgrid(f32(1, 2, 3), f32(4, 5)))
case("meshgrid", [[f32(1, 2), f32(3), f32(4, 5)], {"indexing": "ij"}], np.meshgrid(f32(1, 2), f32(3), f32(4, 5), indexing="ij"))
case("indices", [[2, 3]], np.indices((2, 3)).astype(np.int32))
case("linspace", [0, 10, 5, {"dtype": "int32"}], jnp.linspace(0, 10, 5, dtype=np.int32))
case("linspace", [0, -10, 4, {"dtype": "int32"}], jnp.linspace(0, -10, 4, dtype=np.int32))
case("linspace", [f32(0, 1), f32(1, 5), 3], np.linspace(f32(0, 1), f32(1, 5), 3))
case("logspace", [0, 3, 4], np.logspace(0, 3, 4))
case("geomspace", [1, 256, 9], np.geomspace(1, 256, 9))
case("arange", [0.5, 5, 1.5, "int32"], jnp.arange(0.5, 5, 1.5, dtype=np.int32))

# Products.
a3, b3 = f32(1, 2, 3), f32(-1, 0.5, 2)
case("cross", [a3, b3], np.cross(a3, b3))
case("cross", [grid[:, :3], a3], np.cross(grid[:, :3], a3))
case("kron", [grid[:2, :2], f32(1, 10)], np.kron(grid[:2, :2], f32(1, 10)))
case("inner", [grid, grid], np.inner(grid, grid))
case("vdot", [grid, grid], np.vdot(grid, grid))
case("vecdot", [grid, grid], np.vecdot(grid, grid))

# Positions, order and sets.
for axis in (0, 1):
    index = i32(-1, 0, 2, -3)
    case("take", [grid, index, axis], np.take(grid, index, axis), exact=True)
index = i32(-1, 0, 3, -4, 1, 2).reshape(3, 2)
case("takeAlongAxis", [grid, index, 1], np.take_along_axis(grid, index, 1), exact=True)
put = grid.copy()
np.put_along_axis(put, index, 7, 1)
case("putAlongAxis", [grid, index, 7, 1], put, exact=True)
mask = np.array([[True, False, True], [False, False, True]])
case("nonzero", [mask, {"size": 5}], jnp.nonzero(mask, size=5), exact=True)
case("argwhere", [mask, {"size": 5}], jnp.argwhere(mask, size=5), exact=True)
case("flatnonzero", [mask, {"size": 2}], jnp.flatnonzero(mask, size=2), exact=True)
case("extract", [mask, i32(1, 2, 3, 4, 5, 6).reshape(2, 3), {"size": 4}], i32(1, 3, 6, 0), exact=True)
case("unravelIndex", [i32(5, 11, -1), [3, 4]], [v.astype(np.int32) for v in np.unravel_index([5, 11, 11], (3, 4))], exact=True)
case("ravelMultiIndex", [[i32(1, 2), i32(1, 3)], [3, 4]], i32(5, 11), exact=True)
values = f32(3, nan, 1, 2, 1, inf, nan, -inf)
for name, options in (("sort", {}), ("argsort", {}), ("sort", {"descending": True}), ("argsort", {"descending": True})):
    case(name, [values, -1, options], getattr(jnp, name)(values, **options), exact=True)
case("lexsort", [[i32(1, 2, 1, 2), i32(1, 1, 0, 0)]], np.lexsort([i32(1, 2, 1, 2), i32(1, 1, 0, 0)]).astype(np.int32), exact=True)
edges = f32(-1, 0, 0, 2, nan)
for side in ("left", "right"):
    wanted = f32(-2, -1, 0, 1, 2, 3, nan, inf)
    case("searchsorted", [edges, wanted, {"side": side}], np.searchsorted(edges, wanted, side).astype(np.int32), exact=True)
case("digitize", [f32(-1, 0, 0.5, 3), f32(0, 1, 2)], np.digitize(f32(-1, 0, 0.5, 3), f32(0, 1, 2)).astype(np.int32), exact=True)
case("digitize", [f32(-1, 0, 0.5, 3), f32(2, 1, 0), {"falling": True}], np.digitize(f32(-1, 0, 0.5, 3), f32(2, 1, 0)).astype(np.int32), exact=True)
repeated = f32(3, 1, nan, 3, 1, nan, 7)
for size in (2, 4, 6):
    case("unique", [repeated, {"size": size}], jnp.unique(repeated, size=size), exact=True)
case("union1d", [i32(3, 1), i32(1, 5), {"size": 4}], jnp.union1d(i32(3, 1), i32(1, 5), size=4), exact=True)
case("intersect1d", [i32(3, 1, 3), i32(3, 5), {"size": 2, "fillValue": -1}], i32(3, -1), exact=True)
case("setdiff1d", [i32(3, 1, 2, 1), i32(3, 5), {"size": 3}], i32(1, 2, 0), exact=True)
case("setxor1d", [i32(3, 1, 2, 1), i32(3, 5), {"size": 4}], i32(1, 2, 5, 0), exact=True)
case("isin", [grid, f32(2, 5, 99)], np.isin(grid, [2, 5, 99]), exact=True)
case("interp", [f32(-1, 0, 0.5, 2, 3, 9, nan), f32(0, 1, 3), f32(10, 20, 0)], np.interp(f32(-1, 0, 0.5, 2, 3, 9, nan), f32(0, 1, 3), f32(10, 20, 0)))
case("interp", [f32(-1, 9), f32(0, 1), f32(10, 20), {"left": -5, "right": 7}], f32(-5, 7))
rng = np.random.default_rng(0)
long = np.sort(rng.integers(0, 60, 100)).astype(np.int32)
looked = np.arange(-2, 63, dtype=np.int32)
for side in ("left", "right"):
    case("searchsorted", [long, looked, {"side": side}], np.searchsorted(long, looked, side).astype(np.int32), exact=True)
many = np.concatenate([np.sort(rng.normal(size=40)), [inf, nan, nan]]).astype(np.float32)
sought = np.concatenate([many, f32(-inf, -9, 0.5, 9)])
for side in ("left", "right"):
    case("searchsorted", [many, sought, {"side": side}], np.searchsorted(many, sought, side).astype(np.int32), exact=True)
case("isin", [looked, long], np.isin(looked, long), exact=True)
case("isin", [sought, many, {"invert": True}], np.isin(sought, many, invert=True), exact=True)
case("gradient", [grid], np.gradient(grid, axis=-1))
case("gradient", [plain, {"dx": 0.5, "axis": 0}], np.gradient(plain, 0.5, axis=0))
angles = f32(0, 3, 6.5, 9, -3, 0.1, 12)
case("unwrap", [angles], np.unwrap(angles.astype(np.float64)))
case("unwrap", [f32(0, 2, 4, -4, 1), {"period": 4}], np.unwrap(f32(0, 2, 4, -4, 1), period=4))
case("matvec", [cube, f32(1, 2, 3, 4)], np.matvec(cube, f32(1, 2, 3, 4)))
case("vecmat", [f32(1, 2, 3), cube], np.vecmat(f32(1, 2, 3), cube))
case("ldexp", [f32(1.5, -3), i32(3, -2)], np.ldexp(f32(1.5, -3), i32(3, -2)))
case("polyval", [f32(1, -2, 3), f32(0, 1, 2)], np.polyval(f32(1, -2, 3), f32(0, 1, 2)))
case("polymul", [f32(1, -2, 3), f32(2, 5)], np.polymul(f32(1, -2, 3), f32(2, 5)))
case("polyadd", [f32(1, -2, 3), f32(2, 5)], np.polyadd(f32(1, -2, 3), f32(2, 5)))
case("polyder", [f32(1, -2, 3)], np.polyder(f32(1, -2, 3)))
case("polyint", [f32(1, -2, 3)], np.polyint(f32(1, -2, 3)))
case("select", [[mask, np.logical_not(mask)], [1, 2], 3], np.float32(np.select([mask, ~mask], [1, 2], 3)))
case("choose", [i32(0, 1, 2), [10, 20, 30]], f32(10, 20, 30))
case("compress", [np.array([False, True, True]), grid, {"size": 2, "axis": 0}], grid[1:], exact=True)
case("arrayEqual", [f32(1, nan), f32(1, nan), {"equalNan": True}], np.array(True))
case("allclose", [f32(1, 2), f32(1, 2.00001)], np.array(True))
case("clip", [f32(-5, 0, nan, 5), -1, None], np.clip(f32(-5, 0, nan, 5), -1, None))

path = pathlib.Path(__file__).parent.parent / "fixtures" / "numpy.json"
path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
print(len(cases), "cases")
