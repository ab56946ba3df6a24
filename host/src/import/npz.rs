//! `.npz`: a multilayer perceptron as NumPy arrays.
//!
//! | array | shape | what |
//! |---|---|---|
//! | `W1`, `W2`, ... | `[out, in]` | weights: layer k computes `W_k x + b_k` |
//! | `b1`, `b2`, ... | `[out]` | biases; all zero where absent |
//! | `activation` | one, or one per layer | name or number, see below |
//! | `slope` | one | of `leaky_relu`; 0.01 if absent |
//! | `clip_lo`, `clip_hi` | one each | the limits of `clip` |
//! | `elu_scale` | one | of `elu`; 1 if absent |
//!
//! Activations have the numbers of [the blob](certus_engine::model::blob): `identity` (0), `relu`,
//! `leaky_relu`, `abs`, `sign`, `step`, `clip`, `elu`, `softplus`, `sigmoid`, `tanh`, `atan`, `silu`,
//! `gelu` (13).
//!
//! Without `activation`, Relu follows each layer but the last. One `activation` holds for each layer
//! but the last; one per layer holds for that layer, and one for each but the last likewise.
//! Elements are f32, or f64: these are rounded to f32, the loss bounded by the layer's errors. Other
//! arrays are refused, as they might mean something.

use std::path::Path;

use certus_engine::model::Activation;

use super::activation;
use super::chain::{Chain, Checked};
use super::exact::Approx;
use super::limits::Limits;
use crate::dataset::array::{Array, Kind};
use crate::dataset::{npy, npz};
use crate::error::{Error, Result};
use crate::network::Network;

/// The most arrays.
const MAX_ARRAYS: usize = 1 << 13;
/// The longest header of an array, in bytes; NumPy writes 118.
const MAX_HEADER: u64 = 4096;
/// The longest `activation` array, in bytes.
const MAX_NAMES: u64 = 1 << 20;

/// An archive, and the file that it is of.
struct Source<'a> {
    archive: npz::Archive<'a, &'a [u8]>,
    file: &'a Path,
}

/// Reads an `.npz` model; `file` is only named in errors.
///
/// Errors: [`Error::Input`] with the array.
pub fn npz(bytes: &[u8], file: &Path) -> Result<Network> {
    let archive = npz::Archive::new(bytes, file)?;
    parse(&mut Source { archive, file })
}

impl Source<'_> {
    fn wrong(&self, place: &str, message: impl Into<String>) -> Error {
        Error::input(self.file, place, message)
    }

    fn at<T>(&self, key: &str, result: Checked<T>) -> Result<T> {
        result.map_err(|message| self.wrong(&format!("array '{key}'"), message))
    }

    /// An array of 1 to `most` floats.
    fn floats(&mut self, key: &str, most: usize) -> Result<Floats> {
        let place = format!("array '{key}'");
        let bytes = self.archive.bytes(key, (most as u64).saturating_mul(8) + MAX_HEADER)?;
        let array = npy::parse(bytes, self.file, &place)?;
        if !matches!(array.kind(), Kind::F32 | Kind::F64) {
            let message = format!("elements of type {:?}; expected f32 or f64", array.kind());
            return Err(self.wrong(&place, message));
        }
        let floats = Floats::of(&array);
        if floats.values.is_empty() || floats.values.len() > most {
            let message = format!("shape {:?}; expected 1 to {most} elements", floats.shape);
            return Err(self.wrong(&place, message));
        }
        Ok(floats)
    }
}

fn parse(source: &mut Source<'_>) -> Result<Network> {
    let names = source.archive.keys().to_vec();
    if names.len() > MAX_ARRAYS {
        return Err(source.wrong("archive", format!("more than {MAX_ARRAYS} arrays")));
    }
    let has = |name: &str| names.binary_search_by(|n| n.as_str().cmp(name)).is_ok();
    let layers = (1..).take_while(|k| has(&format!("W{k}"))).count();
    if layers == 0 {
        return Err(source.wrong("archive", "no array 'W1'; expected W1, b1, W2, b2, ..."));
    }
    let known = |name: &str| {
        name == "activation"
            || PARAMETERS.contains(&name)
            || name.strip_prefix(['W', 'b']).is_some_and(|k| {
                k.parse().is_ok_and(|k: usize| (1..=layers).contains(&k))
                    && !k.starts_with(['0', '+'])
            })
    };
    if let Some(other) = names.iter().find(|name| !known(name)) {
        let shown: String = other.chars().take(80).flat_map(char::escape_debug).collect();
        let parameters = PARAMETERS.join(", ");
        let expected = format!("W1 to W{layers}, b1 to b{layers}, activation, {parameters}");
        let place = format!("array '{shown}'");
        return Err(source.wrong(&place, format!("not known; expected {expected}")));
    }
    let activations = activations(source, layers, has("activation"), &has)?;

    let limits = Limits::default();
    let mut chain: Option<Chain> = None;
    for (k, activation) in (1..=layers).zip(activations) {
        let key = format!("W{k}");
        let weights = source.floats(&key, limits.layer_weights)?;
        let &[rows, cols] = weights.shape.as_slice() else {
            let message = format!("shape {:?}; expected [out, in]", weights.shape);
            return source.at(&key, Err(message));
        };
        let chain = match &mut chain {
            Some(chain) => chain,
            None => chain.insert(source.at(&key, Chain::new(cols, limits))?),
        };
        if chain.len() != cols {
            let message = format!(
                "shape {:?}; expected {} columns, as many as the layer before has rows",
                weights.shape,
                chain.len()
            );
            return source.at(&key, Err(message));
        }
        let (values, error) = source.at(&key, weights.rounded())?;
        source.at(
            &key,
            chain.dense(rows, error, |r, row| {
                if let Some(from) = values.get(r * cols..(r + 1) * cols) {
                    row.copy_from_slice(from);
                }
            }),
        )?;
        let key = format!("b{k}");
        if has(&key) {
            let bias = source.floats(&key, limits.elements)?;
            if bias.shape != [rows] {
                let message = format!("shape {:?}; expected [{rows}]", bias.shape);
                return source.at(&key, Err(message));
            }
            source.at(&key, bias.check_finite())?;
            source.at(&key, chain.scale_and_shift(|r| (Approx::ONE, bias.exact(r))))?;
        }
        // An identity before another layer is what two layers in a row are anyway.
        if activation != Activation::Identity {
            source.at(&format!("W{k}"), chain.activate(activation))?;
        }
    }
    let network = chain.ok_or_else(|| "no layers".to_owned()).and_then(Chain::finish);
    network.map_err(|message| source.wrong("archive", message))
}

/// The parameters of activations.
struct Parameters {
    slope: f32,
    clip_lo: Option<f64>,
    clip_hi: Option<f64>,
    elu_scale: f64,
}

/// The arrays that hold them.
const PARAMETERS: [&str; 4] = ["slope", "clip_lo", "clip_hi", "elu_scale"];

impl Parameters {
    fn read(source: &mut Source<'_>, has: &impl Fn(&str) -> bool) -> Result<Self> {
        let mut one = |name: &str| -> Result<Option<f64>> {
            if has(name) { Ok(Some(source.floats(name, 1)?.exact(0).value)) } else { Ok(None) }
        };
        let slope = one("slope")?;
        let (clip_lo, clip_hi) = (one("clip_lo")?, one("clip_hi")?);
        let elu_scale = one("elu_scale")?.unwrap_or(1.0);
        let slope = match slope {
            None => 0.01,
            // A slope is not a weight: no error is carried for it.
            Some(slope) if f64::from(slope as f32) == slope && (0.0..=1.0).contains(&slope) => {
                slope as f32
            }
            Some(slope) => {
                let message = format!("{slope}; expected an f32 from 0 to 1");
                return source.at("slope", Err(message));
            }
        };
        Ok(Parameters { slope, clip_lo, clip_hi, elu_scale })
    }

    /// The activation of this name or number.
    fn activation(&self, name: &str) -> Checked<Activation> {
        Ok(match name {
            "identity" | "linear" | "none" | "0" => Activation::Identity,
            "relu" | "1" => Activation::Relu,
            "leaky_relu" | "2" => Activation::LeakyRelu(self.slope),
            "abs" | "3" => Activation::Abs,
            "sign" | "4" => Activation::Sign,
            "step" | "5" => Activation::Step,
            "clip" | "6" => match (self.clip_lo, self.clip_hi) {
                (Some(lo), Some(hi)) => activation::clip(lo, hi)?,
                _ => return Err("'clip' without clip_lo and clip_hi".to_owned()),
            },
            "elu" | "7" => activation::elu(self.elu_scale)?,
            "softplus" | "8" => Activation::Softplus,
            "sigmoid" | "9" => Activation::Sigmoid,
            "tanh" | "10" => Activation::Tanh,
            "atan" | "11" => Activation::Atan,
            "silu" | "12" => Activation::Silu,
            "gelu" | "13" => Activation::Gelu,
            other => {
                let shown: String = other.chars().take(40).flat_map(char::escape_debug).collect();
                return Err(format!(
                    "'{shown}'; expected identity (0), relu (1), leaky_relu, abs, sign, step, clip, \
                     elu, softplus, sigmoid, tanh, atan, silu or gelu (13)"
                ));
            }
        })
    }
}

/// The activation of each layer.
fn activations(
    source: &mut Source<'_>,
    layers: usize,
    stated: bool,
    has: &impl Fn(&str) -> bool,
) -> Result<Vec<Activation>> {
    let parameters = Parameters::read(source, has)?;
    let mut all = if stated {
        let names = source.archive.words("activation", MAX_NAMES)?;
        let each: Checked<Vec<Activation>> =
            names.iter().map(|name| parameters.activation(name)).collect();
        source.at("activation", each)?
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
        let message = format!("{} entries for {layers} layers", all.len());
        return source.at("activation", Err(message));
    }
    Ok(all)
}

/// An array of floats, exact in f64.
struct Floats {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Floats {
    fn of(array: &Array) -> Self {
        Self { shape: array.shape().to_vec(), values: array.f64s() }
    }

    fn exact(&self, i: usize) -> Approx {
        Approx::exact(self.values.get(i).copied().unwrap_or(f64::NAN))
    }

    fn check_finite(&self) -> Checked<()> {
        let bad = self.values.iter().position(|value| !value.is_finite());
        bad.map_or(Ok(()), |i| Err(format!("element {i} is {}", self.values[i])))
    }

    /// The elements as f32, and what was lost relative to them.
    fn rounded(&self) -> Checked<(Vec<f32>, f64)> {
        self.check_finite()?;
        let mut error = 0.0_f64;
        let mut values = Vec::with_capacity(self.values.len());
        for i in 0..self.values.len() {
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
