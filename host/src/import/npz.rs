//! `.npz`: a multilayer perceptron as NumPy arrays.
//!
//! | array | shape | what |
//! |---|---|---|
//! | `W1`, `W2`, ... | `[out, in]` | weights: layer k computes `W_k x + b_k` |
//! | `b1`, `b2`, ... | `[out]` | biases; all zero where absent |
//! | `activation` | one, or one per layer | string or integer: `identity` (0), `relu` (1), `leaky_relu` (2) |
//! | `slope` | one | of `leaky_relu`; 0.01 if absent |
//!
//! Without `activation`, Relu follows each layer but the last. One `activation` holds for each layer
//! but the last; one per layer holds for that layer, and one for each but the last likewise.
//! Elements are f32, or f64: these are rounded to f32, the loss bounded by the layer's errors. Other
//! arrays are refused, as they might mean something.

use std::io::{Cursor, Read};
use std::path::Path;

use certus_engine::model::Activation;
use npyz::npz::NpzArchive;
use npyz::{NpyFile, Order};

use super::chain::{Chain, Checked};
use super::exact::Approx;
use super::limits::Limits;
use crate::error::{Error, Result};
use crate::network::Network;

/// The most arrays.
const MAX_ARRAYS: usize = 1 << 13;
/// The longest header of an array, in bytes; NumPy writes 118.
const MAX_HEADER: usize = 4096;
/// The longest `activation` array, in bytes.
const MAX_NAMES: u64 = 1 << 20;

type Archive<'a> = NpzArchive<Cursor<&'a [u8]>>;

/// Reads an `.npz` model; `file` is only named in errors.
///
/// Errors: [`Error::Input`] with the array.
pub fn npz(bytes: &[u8], file: &Path) -> Result<Network> {
    let mut archive = NpzArchive::new(Cursor::new(bytes))
        .map_err(|e| Error::input(file, "archive", format!("{e}; expected an .npz file")))?;
    parse(&mut archive).map_err(|(place, message)| Error::input(file, place, message))
}

type Placed<T> = std::result::Result<T, (String, String)>;

fn at<T>(key: &str, result: Checked<T>) -> Placed<T> {
    result.map_err(|message| (format!("array '{key}'"), message))
}

fn parse(archive: &mut Archive<'_>) -> Placed<Network> {
    let archive_error = |message: String| ("archive".to_owned(), message);
    let mut names: Vec<String> =
        archive.array_names().take(MAX_ARRAYS + 1).map(str::to_owned).collect();
    names.sort();
    if names.len() > MAX_ARRAYS {
        return Err(archive_error(format!("more than {MAX_ARRAYS} arrays")));
    }
    let has = |name: &str| names.binary_search_by(|n| n.as_str().cmp(name)).is_ok();
    let layers = (1..).take_while(|k| has(&format!("W{k}"))).count();
    if layers == 0 {
        return Err(archive_error("no array 'W1'; expected W1, b1, W2, b2, ...".into()));
    }
    let known = |name: &str| {
        matches!(name, "activation" | "slope")
            || name.strip_prefix(['W', 'b']).is_some_and(|k| {
                k.parse().is_ok_and(|k: usize| (1..=layers).contains(&k))
                    && !k.starts_with(['0', '+'])
            })
    };
    if let Some(other) = names.iter().find(|name| !known(name)) {
        let shown: String = other.chars().take(80).flat_map(char::escape_debug).collect();
        return Err((
            format!("array '{shown}'"),
            format!("not known; expected W1 to W{layers}, b1 to b{layers}, activation and slope"),
        ));
    }
    let activations = activations(archive, layers, has("activation"), has("slope"))?;

    let limits = Limits::default();
    let mut chain: Option<Chain> = None;
    for (k, activation) in (1..=layers).zip(activations) {
        let key = format!("W{k}");
        let weights = at(&key, array(archive, &key, limits.layer_weights))?;
        let &[rows, cols] = weights.shape.as_slice() else {
            return Err((key, format!("shape {:?}; expected [out, in]", weights.shape)));
        };
        let chain = match &mut chain {
            Some(chain) => chain,
            None => chain.insert(at(&key, Chain::new(cols, limits))?),
        };
        if chain.len() != cols {
            let message = format!(
                "shape {:?}; expected {} columns, as many as the layer before has rows",
                weights.shape,
                chain.len()
            );
            return at(&key, Err(message));
        }
        let (values, error) = at(&key, weights.rounded())?;
        at(
            &key,
            chain.dense(rows, error, |r, row| {
                if let Some(from) = values.get(r * cols..(r + 1) * cols) {
                    row.copy_from_slice(from);
                }
            }),
        )?;
        let key = format!("b{k}");
        if has(&key) {
            let bias = at(&key, array(archive, &key, limits.elements))?;
            if bias.shape != [rows] {
                return at(&key, Err(format!("shape {:?}; expected [{rows}]", bias.shape)));
            }
            at(&key, bias.check_finite())?;
            at(&key, chain.scale_and_shift(|r| (Approx::ONE, bias.exact(r))))?;
        }
        // An identity before another layer is what two layers in a row are anyway.
        if activation != Activation::Identity {
            at(&format!("W{k}"), chain.activate(activation))?;
        }
    }
    chain.ok_or_else(|| archive_error("no layers".into()))?.finish().map_err(archive_error)
}

/// The activation of each layer.
fn activations(
    archive: &mut Archive<'_>,
    layers: usize,
    stated: bool,
    sloped: bool,
) -> Placed<Vec<Activation>> {
    let slope = if sloped {
        let slope = at("slope", array(archive, "slope", 1))?.exact(0).value;
        // A slope is not a weight: no error is carried for it.
        let nearest = slope as f32;
        if f64::from(nearest) != slope || !(0.0..=1.0).contains(&slope) {
            return Err(("array 'slope'".into(), format!("{slope}; expected an f32 from 0 to 1")));
        }
        nearest
    } else {
        0.01
    };
    let mut all = if stated {
        let names = at("activation", names(archive))?;
        let each: Checked<Vec<Activation>> = names
            .iter()
            .map(|name| match name.as_str() {
                "identity" | "linear" | "none" | "0" => Ok(Activation::Identity),
                "relu" | "1" => Ok(Activation::Relu),
                "leaky_relu" | "2" => Ok(Activation::LeakyRelu(slope)),
                other => {
                    let shown: String =
                        other.chars().take(40).flat_map(char::escape_debug).collect();
                    Err(format!("'{shown}'; expected identity (0), relu (1) or leaky_relu (2)"))
                }
            })
            .collect();
        at("activation", each)?
    } else {
        vec![Activation::Relu]
    };
    if let &[one] = all.as_slice()
        && (layers != 1 || !stated)
    {
        all = vec![one; layers - 1];
    }
    if all.len() + 1 == layers {
        all.push(Activation::Identity);
    }
    if all.len() != layers {
        return Err((
            "array 'activation'".into(),
            format!("{} entries for {layers} layers", all.len()),
        ));
    }
    Ok(all)
}

/// An array of floats.
struct Array {
    shape: Vec<usize>,
    data: Floats,
}

enum Floats {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Array {
    fn exact(&self, i: usize) -> Approx {
        Approx::exact(match &self.data {
            Floats::F32(v) => v.get(i).map_or(f64::NAN, |&x| f64::from(x)),
            Floats::F64(v) => v.get(i).map_or(f64::NAN, |&x| x),
        })
    }

    fn len(&self) -> usize {
        match &self.data {
            Floats::F32(v) => v.len(),
            Floats::F64(v) => v.len(),
        }
    }

    fn check_finite(&self) -> Checked<()> {
        let bad = (0..self.len()).find(|&i| !self.exact(i).value.is_finite());
        bad.map_or(Ok(()), |i| Err(format!("element {i} is {}", self.exact(i).value)))
    }

    /// The elements as f32, and what was lost relative to them.
    fn rounded(&self) -> Checked<(Vec<f32>, f64)> {
        self.check_finite()?;
        let mut error = 0.0_f64;
        let mut values = Vec::with_capacity(self.len());
        for i in 0..self.len() {
            let exact = self.exact(i);
            let (weight, lost) = exact
                .to_weight()
                .map_err(|what| format!("element {i} is {}: {what}", exact.value))?;
            values.push(weight);
            error = error.max(lost);
        }
        Ok((values, error))
    }
}

/// Reads an array of at most `most` floats, in C order.
fn array(archive: &mut Archive<'_>, key: &str, most: usize) -> Checked<Array> {
    let bytes = entry(archive, key, (most as u64).saturating_mul(8) + MAX_HEADER as u64)?;
    let npy = open(&bytes)?;
    let shape: Vec<usize> = npy
        .shape()
        .iter()
        .map(|&dim| usize::try_from(dim))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| "a dimension beyond memory")?;
    let count = npy.len();
    if count == 0 || count > most as u64 {
        return Err(format!("shape {shape:?}; expected 1 to {most} elements"));
    }
    if count > bytes.len() as u64 {
        return Err(format!("{} bytes for shape {shape:?}", bytes.len()));
    }
    if npy.order() != Order::C && shape.len() > 1 {
        return Err("Fortran order; store numpy.ascontiguousarray of it".into());
    }
    let npy = match npy.try_data::<f32>() {
        Ok(data) => {
            let values = data.collect::<std::io::Result<_>>().map_err(|e| e.to_string())?;
            return Ok(Array { shape, data: Floats::F32(values) });
        }
        Err(npy) => npy,
    };
    match npy.try_data::<f64>() {
        Ok(data) => {
            let values = data.collect::<std::io::Result<_>>().map_err(|e| e.to_string())?;
            Ok(Array { shape, data: Floats::F64(values) })
        }
        Err(npy) => Err(format!("elements of type {}; expected f32 or f64", npy.dtype().descr())),
    }
}

/// The strings, or integers as strings, of the array `activation`.
fn names(archive: &mut Archive<'_>) -> Checked<Vec<String>> {
    let bytes = entry(archive, "activation", MAX_NAMES)?;
    let npy = open(&bytes)?;
    if npy.len() == 0 || npy.len() > bytes.len() as u64 {
        return Err(format!("shape {:?} in {} bytes", npy.shape(), bytes.len()));
    }
    let npy = match npy.try_data::<i64>() {
        Ok(data) => {
            return data
                .map(|code| code.map(|c| c.to_string()).map_err(|e| e.to_string()))
                .collect();
        }
        Err(npy) => npy,
    };
    let npy = match npy.try_data::<i32>() {
        Ok(data) => {
            return data
                .map(|code| code.map(|c| c.to_string()).map_err(|e| e.to_string()))
                .collect();
        }
        Err(npy) => npy,
    };
    match npy.try_data::<String>() {
        Ok(data) => data.map(|name| name.map_err(|e| e.to_string())).collect(),
        Err(npy) => {
            Err(format!("elements of type {}; expected strings or integers", npy.dtype().descr()))
        }
    }
}

/// The bytes of an array's file, at most `most` of them.
fn entry(archive: &mut Archive<'_>, key: &str, most: u64) -> Checked<Vec<u8>> {
    let file = archive
        .zip_archive()
        .by_name(&npyz::npz::file_name_from_array_name(key))
        .map_err(|e| format!("cannot be read: {e}"))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("longer than the {most} bytes that are read"));
    }
    Ok(bytes)
}

/// The array in `bytes`, whose header is first checked to be one that `npyz` reads without overflow
/// or deep recursion: at most 19 digits in all, so that no product of sizes leaves u64, and few
/// brackets.
fn open(bytes: &[u8]) -> Checked<NpyFile<&[u8]>> {
    let expected = || "not a NumPy array of version 1 to 3".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(expected)?;
    let (length, header) = match rest {
        [1, _, a, b, header @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), header),
        [2 | 3, _, a, b, c, d, header @ ..] => {
            let length = u32::from_le_bytes([*a, *b, *c, *d]);
            (usize::try_from(length).map_err(|_| expected())?, header)
        }
        _ => return Err(expected()),
    };
    let header = header
        .get(..length)
        .filter(|h| h.len() <= MAX_HEADER)
        .ok_or("a header that is cut off or too long")?;
    let digits = header.iter().filter(|b| b.is_ascii_digit()).count();
    let brackets = header.iter().filter(|b| b"([{".contains(b)).count();
    if !header.is_ascii() || digits > 19 || brackets > 4 {
        return Err("a header that describes no plain array".into());
    }
    NpyFile::new(bytes).map_err(|e| e.to_string())
}
