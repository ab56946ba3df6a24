//! Constants of the graph: decoded from the file or folded from others.

use super::proto::TensorProto;
use crate::import::chain::Checked;
use crate::import::exact::Approx;

/// A constant, row-major.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Sizes; their product is the number of elements.
    pub shape: Vec<usize>,
    pub data: Data,
}

/// The elements by what they are; every narrower type is held exactly by one of these.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// FLOAT, FLOAT16, BFLOAT16.
    F32(Vec<f32>),
    /// DOUBLE.
    F64(Vec<f64>),
    /// Integers and BOOL.
    Int(Vec<i64>),
}

/// What [`Tensor::weights`] gives: f32 weights and how far each may be off, relative to itself.
pub(super) struct Weights {
    pub values: Vec<f32>,
    pub error: f64,
}

impl Tensor {
    /// The tensor of an initializer or attribute. `most` bounds the number of elements.
    pub fn decode(proto: &TensorProto<'_>, most: usize) -> Checked<Self> {
        if proto.external {
            return Err(
                "external data: the weights lie in another file; save the model in one file".into(),
            );
        }
        let mut shape = Vec::with_capacity(proto.dims.len());
        for &dim in &proto.dims {
            shape.push(usize::try_from(dim).map_err(|_| format!("dimension {dim}"))?);
        }
        let count = count(&shape).filter(|&count| count <= most).ok_or_else(|| {
            format!("shape {shape:?}: more elements than the {most} that are read")
        })?;
        let data = decode_data(proto, count)?;
        if data.len() != count {
            return Err(format!(
                "{} elements of data for shape {shape:?}, which has {count}",
                data.len()
            ));
        }
        Ok(Tensor { shape, data })
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Element `i`, exactly; NaN if there is none (or the integer is beyond f64).
    pub fn number(&self, i: usize) -> f64 {
        match &self.data {
            Data::F32(v) => v.get(i).map_or(f64::NAN, |&x| f64::from(x)),
            Data::F64(v) => v.get(i).map_or(f64::NAN, |&x| x),
            Data::Int(v) => match v.get(i) {
                Some(&x) if x.unsigned_abs() <= 1 << 53 => x as f64,
                _ => f64::NAN,
            },
        }
    }

    /// Element `i` as an exact number.
    pub fn exact(&self, i: usize) -> Approx {
        Approx::exact(self.number(i))
    }

    /// The elements as integers, if they are some.
    pub fn ints(&self) -> Checked<&[i64]> {
        match &self.data {
            Data::Int(v) => Ok(v),
            _ => Err("holds floats where integers are expected".into()),
        }
    }

    /// The element of a tensor that has one, as an integer.
    pub fn single_int(&self) -> Checked<i64> {
        match self.ints()? {
            &[value] => Ok(value),
            _ => Err(format!("shape {:?} where one number is expected", self.shape)),
        }
    }

    /// An error that names the first element which is not finite.
    pub fn check_finite(&self) -> Checked<()> {
        let bad = match &self.data {
            Data::F32(v) => v.iter().position(|x| !x.is_finite()),
            Data::F64(v) => v.iter().position(|x| !x.is_finite()),
            Data::Int(_) => None,
        };
        bad.map_or(Ok(()), |i| {
            Err(format!(
                "holds {} at {:?}; weights must be finite",
                self.number(i),
                unravel(i, &self.shape)
            ))
        })
    }

    /// The elements as the weights of a layer. Those of type DOUBLE are rounded to f32.
    pub fn weights(&self) -> Checked<Weights> {
        self.check_finite()?;
        if let Data::F32(values) = &self.data {
            return Ok(Weights { values: values.clone(), error: 0.0 });
        }
        let mut error = 0.0_f64;
        let mut values = Vec::with_capacity(self.len());
        for i in 0..self.len() {
            let exact = self.exact(i);
            let (weight, lost) = exact.to_weight().map_err(|what| {
                format!("holds {} at {:?}: {what}", exact.value, unravel(i, &self.shape))
            })?;
            values.push(weight);
            error = error.max(lost);
        }
        Ok(Weights { values, error })
    }

    /// The elements at `indices`, in that order, in a new shape of as many elements.
    pub fn select(&self, shape: Vec<usize>, indices: &[usize]) -> Checked<Tensor> {
        let data = self.data.select(indices).ok_or("an index out of range")?;
        Ok(Tensor { shape, data })
    }
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::F64(v) => v.len(),
            Data::Int(v) => v.len(),
        }
    }

    fn select(&self, indices: &[usize]) -> Option<Data> {
        fn pick<T: Copy>(from: &[T], indices: &[usize]) -> Option<Vec<T>> {
            indices.iter().map(|&i| from.get(i).copied()).collect()
        }
        Some(match self {
            Data::F32(v) => Data::F32(pick(v, indices)?),
            Data::F64(v) => Data::F64(pick(v, indices)?),
            Data::Int(v) => Data::Int(pick(v, indices)?),
        })
    }
}

fn decode_data(proto: &TensorProto<'_>, count: usize) -> Checked<Data> {
    let typed = [proto.floats.len(), proto.doubles.len(), proto.int32s.len(), proto.int64s.len()];
    if proto.raw.is_some_and(|raw| !raw.is_empty()) && typed.iter().any(|&n| n > 0) {
        return Err("data in raw_data and in a typed field at once".into());
    }
    let raw =
        if typed.iter().all(|&n| n == 0) { Some(proto.raw.unwrap_or_default()) } else { None };
    // Every conversion here is exact.
    Ok(match (proto.data_type, raw) {
        (1, Some(raw)) => Data::F32(from_raw(raw, count, f32::from_le_bytes)?),
        (1, None) => Data::F32(proto.floats.clone()),
        (11, Some(raw)) => Data::F64(from_raw(raw, count, f64::from_le_bytes)?),
        (11, None) => Data::F64(proto.doubles.clone()),
        (10, Some(raw)) => Data::F32(from_raw(raw, count, |b| half(u16::from_le_bytes(b)))?),
        (10, None) => Data::F32(from_bits(&proto.int32s, half)?),
        (16, Some(raw)) => Data::F32(from_raw(raw, count, |b| bfloat(u16::from_le_bytes(b)))?),
        (16, None) => Data::F32(from_bits(&proto.int32s, bfloat)?),
        (7, Some(raw)) => Data::Int(from_raw(raw, count, i64::from_le_bytes)?),
        (7, None) => Data::Int(proto.int64s.clone()),
        (6, Some(raw)) => Data::Int(from_raw(raw, count, |b| i64::from(i32::from_le_bytes(b)))?),
        (2 | 9, Some(raw)) => Data::Int(from_raw(raw, count, |[b]: [u8; 1]| i64::from(b))?),
        (3, Some(raw)) => Data::Int(from_raw(raw, count, |b| i64::from(i8::from_le_bytes(b)))?),
        (2 | 3 | 6 | 9, None) => Data::Int(proto.int32s.clone()),
        (other, _) => return Err(format!("elements of type {}", type_name(other))),
    })
}

fn from_raw<const N: usize, T>(
    raw: &[u8],
    count: usize,
    read: impl Fn([u8; N]) -> T,
) -> Checked<Vec<T>> {
    if count.checked_mul(N) != Some(raw.len()) {
        return Err(format!("{} bytes of raw_data for {count} elements of {N} bytes", raw.len()));
    }
    Ok(raw.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok()).map(read).collect())
}

fn from_bits(ints: &[i64], read: impl Fn(u16) -> f32) -> Checked<Vec<f32>> {
    ints.iter()
        .map(|&bits| {
            u16::try_from(bits)
                .map(&read)
                .map_err(|_| format!("{bits} as the bits of a 16-bit float"))
        })
        .collect()
}

/// An IEEE half as f32.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = u32::from(bits >> 10 & 0x1f);
    let mantissa = u32::from(bits & 0x3ff);
    let magnitude = match exponent {
        // Subnormal: multiples of 2^-24.
        0 => mantissa as f32 / 16_777_216.0,
        31 if mantissa == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits((exponent + 112) << 23 | mantissa << 13),
    };
    sign * magnitude
}

/// A bfloat16 as f32.
fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The name of a `TensorProto.DataType`.
pub(super) fn type_name(number: i64) -> String {
    const NAMES: [&str; 17] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
    ];
    match usize::try_from(number).ok().and_then(|i| NAMES.get(i)) {
        Some(name) => (*name).to_owned(),
        None => format!("number {number}"),
    }
}

/// The number of elements of a shape, if it is a usize.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    // A dimension of 0 makes the product 0 however large the others are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))
}

/// The multi-index of element `i`; sizes of 0 count as 1.
pub(super) fn unravel(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (at, &dim) in index.iter_mut().zip(shape).rev() {
        *at = i % dim.max(1);
        i /= dim.max(1);
    }
    index
}

/// For each element of a tensor of shape `out`, the flat index given by `strides` along its axes.
/// The caller has bounded the number of elements.
pub(super) fn walk(out: &[usize], strides: &[usize]) -> Vec<usize> {
    if out.contains(&0) {
        return Vec::new();
    }
    let mut indices = vec![0];
    for (&dim, &stride) in out.iter().zip(strides) {
        let mut next = Vec::with_capacity(indices.len() * dim);
        for &base in &indices {
            next.extend((0..dim).map(|i| base + i * stride));
        }
        indices = next;
    }
    indices
}

/// Row-major strides.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    let mut product = 1usize;
    for (stride, &dim) in strides.iter_mut().zip(shape).rev() {
        *stride = product;
        product = product.saturating_mul(dim);
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), 2f32.powi(-24));
        assert_eq!(half(0x03ff), 1023.0 * 2f32.powi(-24));
        assert_eq!(half(0x0400), 2f32.powi(-14));
        assert_eq!(half(0x7bff), 65504.0);
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        assert_eq!(bfloat(0x3f80), 1.0);
    }

    #[test]
    fn walks_follow_strides() {
        assert_eq!(walk(&[2, 3], &[3, 1]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(walk(&[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(walk(&[2, 2], &[0, 1]), [0, 1, 0, 1]);
        assert_eq!(walk(&[], &[]), [0]);
        assert_eq!(strides(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(unravel(17, &[2, 3, 4]), [1, 1, 1]);
    }

    #[test]
    fn counts_do_not_overflow() {
        assert_eq!(count(&[usize::MAX, 2]), None);
        assert_eq!(count(&[usize::MAX, usize::MAX, 0]), Some(0));
        assert_eq!(count(&[]), Some(1));
    }
}
