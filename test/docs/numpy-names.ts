/**
 * How NumPy's functions are called here, how they differ, and why some are not there: what docs/numpy.md says beside
 * the names.
 */

// prettier-ignore
/** Our name, where it is not NumPy's in camelCase. */
export const names: Record<string, string> = {
  absolute: 'abs', acos: 'arccos', acosh: 'arccosh', asin: 'arcsin', asinh: 'arcsinh', atan: 'arctan', atanh: 'arctanh',
  bitwise_invert: 'bitwiseNot', bitwise_left_shift: 'leftShift', bitwise_right_shift: 'rightShift', concat: 'concat',
  asanyarray: 'asarray', ascontiguousarray: 'asarray', asfortranarray: 'asarray', copy: 'asarray',
  cumulative_prod: 'cumprod', cumulative_sum: 'cumsum', delete: 'remove', isfinite: 'isFinite', isinf: 'isInf',
  isnan: 'isNan', isneginf: 'isNegInf', isposinf: 'isPosInf', pow: 'power', promote_types: 'promote', row_stack: 'vstack',
  true_divide: 'divide', unique_counts: 'uniqueAll', unique_inverse: 'uniqueAll', unique_values: 'unique',
}

const sized = 'takes the `size` of the result, as JAX under `jit`; the end is filled'
const last = 'the axis is the last unless given, not the flattened array'
const integers = 'whole JS numbers make float32 unless a dtype is given'

// prettier-ignore
/** What differs from NumPy (or from JAX, where it says so). */
export const differences: Record<string, string> = {
  array: integers, asarray: integers, arange: 'int32 if all numbers are whole, else float32',
  argmax: last, argmin: last, argsort: '`(x, axis, { descending })`; always stable', argwhere: sized,
  asanyarray: integers, ascontiguousarray: 'arrays have no memory order', asfortranarray: 'arrays have no memory order',
  astype: 'floats saturate at the ends of integer dtypes, NaN gives 0, as XLA', bincount: 'takes the `length` of the result, as JAX under `jit`',
  choose: 'positions out of bounds are moved to the edge', compress: sized, copy: 'arrays never change: none need be copied',
  copysign: 'the sign of a NaN is not seen', cumprod: last, cumsum: last, cumulative_prod: last, cumulative_sum: last,
  delete: 'positions are JS numbers', diag_indices: 'one array an axis', digitize: 'option `falling` for edges that fall',
  einsum: 'texts only, no lists of axes', empty: 'zeros', empty_like: 'zeros', extract: sized, eye: '`(n, columns, { k, dtype })`',
  fill_diagonal: 'returns a new array', flatnonzero: sized, floor_divide: 'integers: x // 0 is 0', fmod: 'integers: x % 0 is 0',
  full: integers, histogram: 'counts are float32, as JAX; bins are a number or edges', histogram_bin_edges: 'bins are a number or edges', indices: 'int32',
  insert: 'positions are JS numbers', interp: 'no `period`', intersect1d: sized, linspace: 'float32 unless a dtype is given',
  lcm: 'integers only', gcd: 'integers only', median: 'float32 of integers', mod: 'integers: x % 0 is 0',
  nanargmax: `${last}; -1 where all are NaN, as JAX`, nanargmin: `${last}; -1 where all are NaN, as JAX`, nancumprod: last, nancumsum: last,
  nan_to_num: 'replacements are options `nan`, `posinf`, `neginf`', nonzero: sized,
  pad: 'all modes but that of a function', percentile: 'methods linear, lower, higher, nearest, midpoint', polyval: 'the coefficients are a vector',
  power: 'integers to a negative power are rounded towards 0', pow: 'integers to a negative power are rounded towards 0',
  put_along_axis: 'returns a new array', quantile: 'methods linear, lower, higher, nearest, midpoint', ravel: 'a new array',
  ravel_multi_index: 'positions beyond the ends are moved to the edge', reciprocal: 'integers give float32', remainder: 'integers: x % 0 is 0',
  divmod: 'integers: both are 0 by 0', repeat: 'one number of times for all elements', reshape: 'row-major order only',
  setdiff1d: sized, setxor1d: sized, signbit: 'the sign of a NaN is not seen',
  sort: '`(x, axis, { descending })`; always stable', std: 'option `correction` for ddof', var: 'option `correction` for ddof',
  nanstd: 'option `correction` for ddof', nanvar: 'option `correction` for ddof',
  gradient: 'of one axis; the spacing is an option `dx`',
  sum: 'narrow integers give 32 bits, as JAX', prod: 'narrow integers give 32 bits, as JAX', take: 'the axis is 0 unless given; positions beyond the ends are moved to the edge (JAX: NaN)',
  take_along_axis: 'positions beyond the ends are moved to the edge', tril_indices: '`(n, k, columns)`', triu_indices: '`(n, k, columns)`',
  union1d: sized, unique: `${sized} with the least element`, unique_all: sized, unique_counts: `${sized}; \`counts\` of the result`,
  unique_inverse: `${sized}; \`inverse\` of the result`, unique_values: sized,
  diagonal: '`(x, { k, axes })`', trace: '`(x, { k, axes })`', tri: '`(n, columns, { k, dtype })`', cov: 'options `correction`, `rowvar` only',
}

const complex = 'there are no complex numbers'
const io = 'files are read and written in TypeScript; `np.fromHost` takes the memory'
const dates = 'there are no dates'
const text = '`String(x)` is the type, `await x.numbers()` the values'
const settings = 'there are no global settings'
const python = 'a property of Python or of NumPy’s memory'
const data = 'the shape of the result depends on data'
const windows = 'signal processing: compute it from `np.cos`'
const later = 'not there yet'

// prettier-ignore
/** Why a function is not there, and what to use. */
export const absent: Record<string, string> = {
  angle: complex, conj: complex, conjugate: complex, imag: complex, real: complex, iscomplex: complex, iscomplexobj: complex,
  isreal: complex, isrealobj: complex, real_if_close: complex, sort_complex: complex, common_type: 'see `promote`',
  apply_along_axis: '`vmap`', apply_over_axes: 'reductions take several axes', vectorize: '`vmap`', frompyfunc: '`vmap`',
  fromfunction: '`np.indices` and a function of it', piecewise: '`np.select`', place: '`np.where`', put: '`x.at(positions).set(values)`',
  putmask: '`np.where`', copyto: 'arrays never change', array2string: text, array_repr: text, array_str: text,
  base_repr: 'JavaScript’s `toString(radix)`', binary_repr: 'JavaScript’s `toString(2)`', format_float_positional: 'JavaScript’s `toFixed`',
  format_float_scientific: 'JavaScript’s `toExponential`', bartlett: windows, blackman: windows, hamming: windows, hanning: windows,
  kaiser: windows, i0: later, bmat: '`np.block`', asmatrix: 'matrices are arrays of two axes', asarray_chkfinite: '`np.isFinite`',
  busday_count: dates, busday_offset: dates, datetime_as_string: dates, datetime_data: dates, is_busday: dates, isnat: dates,
  can_cast: 'see `promote`', isdtype: 'compare `x.dtype` with a name', issubdtype: 'compare `x.dtype` with a name', min_scalar_type: 'see `promote`',
  mintypecode: python, result_type: '`np.promote` of two dtypes', typename: python, convolve: 'no convolutions', correlate: 'no convolutions',
  diag_indices_from: '`np.diagIndices`', tril_indices_from: '`np.trilIndices`', triu_indices_from: '`np.triuIndices`', mask_indices: '`np.nonzero` of a mask',
  einsum_path: 'the cheapest pair is multiplied first', frexp: later, nextafter: later, spacing: later,
  from_dlpack: io, frombuffer: io, fromfile: io, fromiter: io, fromregex: io, fromstring: io, genfromtxt: io, load: io, loadtxt: io,
  save: io, savetxt: io, savez: io, savez_compressed: io, get_include: python, get_printoptions: settings, set_printoptions: settings,
  printoptions: settings, getbufsize: settings, setbufsize: settings, geterr: settings, geterrcall: settings, seterr: settings, seterrcall: settings,
  histogram2d: later, histogramdd: later, info: python, isfortran: python, isscalar: 'JavaScript’s `typeof`', iterable: python,
  ix_: '`np.expandDims` of each vector', may_share_memory: python, shares_memory: python, nested_iters: python,
  packbits: later, unpackbits: later, partition: '`np.sort`', argpartition: '`np.argsort`', poly: later, polydiv: later, polyfit: 'no linear solvers', roots: 'no eigen solvers',
  require: python, show_config: python, show_runtime: python, test: python, trim_zeros: data,
}
