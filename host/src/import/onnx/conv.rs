//! Convolutions, lowered to dense layers by copying each weight to where it is used.

use super::call::{Call, Value};
use super::tensor::{count, strides, unravel};
use crate::import::chain::{Chain, Checked};
use crate::import::exact::Approx;

/// The attributes of Conv.
pub(super) const ATTRIBUTES: &[&str] =
    &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

/// The largest stride, dilation, pad or size along one axis: sums of products of two stay in i64.
const MOST: i64 = 1 << 30;

/// What a window may do at the end of an axis.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Edge {
    /// The last one ends within the padded input: the number of windows is rounded down.
    Within,
    /// The number of windows is rounded up, which must make no difference.
    Meets,
    /// It is rounded up; a window may hang over the edge if it begins before the padding there.
    HangsOver,
}

/// A kernel that slides over the spatial axes.
pub(super) struct Window {
    input: Vec<usize>,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// Of each tap, how far it lies from the window's corner along each axis.
    offsets: Vec<Vec<usize>>,
    /// Padding before each axis.
    before: Vec<usize>,
    /// Sizes of the output.
    pub output: Vec<usize>,
}

impl Window {
    /// The window over `input` that the attributes describe, of at most `most` taps.
    pub fn new(
        call: &Call<'_>,
        input: &[usize],
        kernel: &[usize],
        edge: Edge,
        most: usize,
    ) -> Checked<Self> {
        let taps = count(kernel).filter(|&taps| taps <= most).ok_or_else(|| {
            format!("a kernel of shape {kernel:?}; at most {most} elements are read")
        })?;
        let axes = input.len();
        let strides = positive(call, "strides", axes)?;
        let dilations = positive(call, "dilations", axes)?;
        let explicit = match call.ints("pads")? {
            None => vec![0; 2 * axes],
            Some(pads) if pads.len() == 2 * axes => pads.to_vec(),
            Some(pads) => return Err(format!("{} pads for {axes} axes", pads.len())),
        };
        if let Some(pad) = explicit.iter().find(|pad| !(0..=MOST).contains(*pad)) {
            return Err(format!("a pad of {pad}"));
        }
        let mode = call.text("auto_pad", "NOTSET")?;
        if mode != "NOTSET" && explicit.iter().any(|&pad| pad != 0) {
            return Err("pads and auto_pad at once".into());
        }
        let (mut before, mut output) = (Vec::new(), Vec::new());
        for i in 0..axes {
            let get = |list: &[usize]| {
                list.get(i).and_then(|&x| i64::try_from(x).ok()).filter(|&x| x <= MOST)
            };
            let sizes = (get(input), get(kernel), get(&strides), get(&dilations));
            let (Some(size), Some(kernel @ 1..), Some(stride), Some(dilation)) = sizes else {
                return Err(format!("input of shape {input:?} and kernel of shape {kernel:?}"));
            };
            let extent = dilation * (kernel - 1) + 1;
            let pads =
                explicit.get(i).zip(explicit.get(axes + i)).map_or((0, 0), |(&b, &a)| (b, a));
            let (first, last) = match mode {
                "NOTSET" | "VALID" => pads,
                "SAME_UPPER" | "SAME_LOWER" => {
                    let wanted = (size + stride - 1) / stride;
                    let total = ((wanted - 1) * stride + extent - size).max(0);
                    let half = total / 2;
                    if mode == "SAME_UPPER" { (half, total - half) } else { (total - half, half) }
                }
                _ => return Err("auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER".into()),
            };
            let room = size + first + last - extent;
            if room < 0 {
                return Err(format!(
                    "a kernel of extent {extent} over {size} elements padded to {}",
                    size + first + last
                ));
            }
            let hangs = room % stride != 0;
            if hangs && (edge == Edge::Meets || (edge == Edge::HangsOver && mode != "NOTSET")) {
                return Err(
                    "ceil_mode with a window that hangs over the edge: not supported".into()
                );
            }
            before.push(usize::try_from(first).map_err(|_| "a negative pad")?);
            let mut windows = room / stride + 1;
            if edge == Edge::HangsOver {
                windows += i64::from(hangs);
                windows -= i64::from((windows - 1) * stride >= size + first);
            }
            output.push(usize::try_from(windows).map_err(|_| "a negative size")?);
        }
        let offsets = (0..taps)
            .map(|tap| {
                unravel(tap, kernel)
                    .iter()
                    .zip(&dilations)
                    .map(|(at, dilation)| at * dilation)
                    .collect()
            })
            .collect();
        let (input, kernel) = (input.to_vec(), kernel.to_vec());
        Ok(Window { input, kernel, strides, dilations, offsets, before, output })
    }

    /// Along one axis, the number of positions and of taps.
    pub fn size(&self, axis: usize) -> (usize, usize) {
        let get = |list: &[usize]| list.get(axis).copied().unwrap_or(0);
        (get(&self.output), get(&self.kernel))
    }

    /// Where the taps lie along one axis when the window is at `position` there: those on the input.
    pub fn along(&self, axis: usize, position: usize) -> Vec<usize> {
        let get = |list: &[usize]| list.get(axis).copied().unwrap_or(0);
        let corner = position * get(&self.strides);
        (0..get(&self.kernel))
            .filter_map(|tap| (corner + tap * get(&self.dilations)).checked_sub(get(&self.before)))
            .filter(|&i| i < get(&self.input))
            .collect()
    }

    /// Calls `each` with the flat index in the kernel and in the input of every tap that lies on the
    /// input when the window is at output `position`.
    pub fn taps(&self, position: usize, mut each: impl FnMut(usize, usize)) {
        let at = unravel(position, &self.output);
        let input_strides = strides(&self.input);
        'taps: for (tap, offsets) in self.offsets.iter().enumerate() {
            let mut index = 0;
            for (axis, offset) in offsets.iter().enumerate() {
                let get = |list: &[usize]| list.get(axis).copied().unwrap_or(0);
                let padded = get(&at) * get(&self.strides) + offset;
                match padded.checked_sub(get(&self.before)).filter(|&i| i < get(&self.input)) {
                    Some(i) => index += i * get(&input_strides),
                    None => continue 'taps,
                }
            }
            each(tap, index);
        }
    }
}

/// An attribute of one positive number per axis; ones if absent.
fn positive(call: &Call<'_>, name: &str, axes: usize) -> Checked<Vec<usize>> {
    let Some(values) = call.ints(name)? else { return Ok(vec![1; axes]) };
    if values.len() != axes || values.iter().any(|v| !(1..=MOST).contains(v)) {
        return Err(format!("{name} {values:?} for {axes} axes"));
    }
    Ok(values.iter().filter_map(|&v| usize::try_from(v).ok()).collect())
}

/// The kernel's shape from the attribute, which must agree with `found`, if that is known.
pub(super) fn kernel_shape(call: &Call<'_>, found: Option<&[usize]>) -> Checked<Vec<usize>> {
    let stated = call.ints("kernel_shape")?;
    let stated: Option<Vec<usize>> =
        stated.map(|s| s.iter().map(|&k| usize::try_from(k).unwrap_or(0)).collect());
    match (stated, found) {
        (Some(stated), Some(found)) if stated != found => {
            Err(format!("kernel_shape {stated:?} and weights for {found:?}"))
        }
        (Some(stated), _) => Ok(stated),
        (None, Some(found)) => Ok(found.to_vec()),
        (None, None) => Err("no kernel_shape".into()),
    }
}

/// `[N, C, spatial...]` with weights `[M, C / group, kernel...]` and a bias `[M]`.
pub(super) fn conv(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    let weight_shape = call.constant(1)?.shape.as_slice();
    let misfit = || format!("a value of shape {shape:?} and weights of shape {weight_shape:?}");
    let (&[batch, channels, ref spatial @ ..], &[filters, depth, ref kernel @ ..]) =
        (shape, weight_shape)
    else {
        return Err(misfit());
    };
    let group = usize::try_from(call.int("group", 1)?).unwrap_or(0);
    let fits = spatial.len() == kernel.len()
        && !spatial.is_empty()
        && group > 0
        && filters > 0
        && depth.checked_mul(group) == Some(channels)
        && filters % group == 0;
    if !fits {
        return Err(format!("{} in {group} groups", misfit()));
    }
    let kernel = kernel_shape(call, Some(kernel))?;
    let window = Window::new(call, spatial, &kernel, Edge::Within, chain.limits().elements)?;
    let weights =
        call.constant(1)?.weights().map_err(|message| format!("{} {message}", call.name(1)))?;
    let bias = if call.optional(2).is_some() { Some(call.numbers(2)?) } else { None };
    if let Some(bias) = bias.filter(|bias| bias.shape != [filters]) {
        return Err(format!("a bias of shape {:?} for {filters} filters", bias.shape));
    }

    let out: Vec<usize> = [&[batch, filters], window.output.as_slice()].concat();
    let sizes = (count(&window.output), count(spatial), count(&kernel), count(&out));
    let (Some(positions), Some(size), Some(taps), Some(rows)) = sizes else {
        return Err("a shape beyond memory".into());
    };
    chain.charge((rows as u64).saturating_mul(taps as u64))?;
    let per_group = filters / group;
    chain.dense(rows, weights.error, |r, row| {
        let (filter, position) = (r / positions % filters, r % positions);
        let first = r / positions / filters * channels + filter / per_group * depth;
        window.taps(position, |tap, at| {
            for c in 0..depth {
                let weight = weights.values.get((filter * depth + c) * taps + tap);
                if let (Some(to), Some(&weight)) = (row.get_mut((first + c) * size + at), weight) {
                    *to = weight;
                }
            }
        });
    })?;
    if let Some(bias) = bias {
        chain.scale_and_shift(|i| (Approx::ONE, bias.exact(i / positions % filters)))?;
    }
    Ok(Value::Signal(out))
}
