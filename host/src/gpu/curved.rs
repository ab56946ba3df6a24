//! Lines of curved activations, which the host chooses from what a device knows of their neurons.
//!
//! A device's exp, tanh and division are too loose for an intercept, its f32 forward pass is not the one
//! that is deployed. So the engine's own rules choose the lines, on the cores; what a device's roundings
//! may take from a row that steps through them is added as the kernel `lines` adds it.

use certus_engine::model::Activation;
use certus_engine::num::{MAGNITUDE_LIMIT, NEGLIGIBLE, add_up, mul_up, sub_down, sub_up};
use certus_engine::relax::{self, LowerSlope, Relaxation};
use certus_shaders::layout::{DEPLOYED, GIVEN, GRAIN, LINES, SCALARS, Step};

use super::shape::{listed, normal_up};

/// Relative error of one operation on a device.
const U: f32 = certus_shaders::U as f32;

/// Steepest line of an activation that jumps: what meets a coefficient is bounded, see
/// [`super::net::Net::is_in_range`].
const JUMP: f32 = 256.0;

/// Words of a sample's lines of a layer of so many neurons, as the kernel `place` takes them.
pub const fn given(rows: usize) -> usize {
    GIVEN + (1 + LINES) * listed(rows)
}

/// Where the activation bends, see [`Step::bends`]: it is one line between ends that do not meet that, but
/// for ends on the bend of one that jumps.
pub fn bends(activation: Activation) -> [f32; 4] {
    match activation {
        Activation::Clip(lo, hi) => [lo, lo, hi, hi],
        Activation::Elu(_) => [0.0, f32::MIN, 0.0, f32::MIN],
        Activation::Softplus
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Atan
        | Activation::Silu
        | Activation::Gelu => [f32::MAX, f32::MIN, f32::MAX, f32::MIN],
        _ => [0.0; 4],
    }
}

/// The steepest line that [`lines`] takes for an activation, at least 1.
pub fn steepest(activation: Activation) -> f32 {
    match activation {
        Activation::Sign | Activation::Step => JUMP,
        Activation::Elu(scale) => 2.0 * scale.max(1.0),
        curved if curved.leak().is_none() => 2.0,
        _ => 1.0,
    }
}

/// Most of an activation's size, of one that some rows may pass by too, where `|z| <= size`.
pub fn size(activation: Activation, size: f64) -> f64 {
    if activation.leak().is_some() {
        return size;
    }
    let end = if size < f64::from(MAGNITUDE_LIMIT) { size as f32 } else { return f64::INFINITY };
    let (lo, hi) = relax::range(activation, -end.next_up(), end.next_up());
    // An end within may round further out than those of the whole, by a few units in the last place.
    (1.001 * f64::from(hi.max(-lo))).max(size)
}

/// What the device knows of a sample's neurons of a layer, each array `width` long.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Lower ends, upper ends.
    pub ends: &'a [f32],
    /// Masses, spreads, centres and how far those are off.
    pub known: &'a [f32],
}

/// What the device is told of a sample.
#[derive(Debug)]
pub struct Told<'a> {
    /// Middles of the activations.
    pub mid: &'a mut [f32],
    /// Radii around them.
    pub rad: &'a mut [f32],
    /// The device's scalars, as it has them.
    pub scalars: &'a mut [f32],
    /// Live neurons and their lines, [`given`] words.
    pub given: &'a mut [u32],
}

/// One neuron's part of the arrays.
struct Neuron {
    dead: bool,
    shared: bool,
    /// Slopes, gains, budget and radius.
    lines: [f32; LINES],
    mid: f32,
    /// The largest magnitude that an error of a coefficient may meet.
    largest: f32,
}

/// The lines of a sample's neurons of a layer, and all that the kernel `lines` writes with them.
///
/// `p`: the parameters of that kernel for the layer, with the same constants of sums. For `z` in `[lo, hi]`
/// and `zc` the centre
///
/// `gain_lo + slope_lo (z - zc) <= sigma(z) - mid <= gain_up + slope_up (z - zc)`,
///
/// under deployed semantics also for `sigma` as the forward pass rounds it, and `|sigma(z) - mid| <= rad` for
/// either ([`relax::relax`], [`relax::range`], `soundness.md` 4). Budgets are the sum that the engine's
/// `State::choose_lines` gives, with the device's unit: what a unit of a coefficient may lose. Nothing that is
/// told is subnormal.
///
/// A sample with an end, a mass or a line that is no number, or a mass out of range, is refused: marked so in
/// its scalars, with no live neuron. Memory: 48 bytes a neuron. Work: about 1.5 us a neuron.
pub fn lines(
    p: &Step,
    activation: Activation,
    lower: LowerSlope,
    known: Known<'_>,
    told: &mut Told<'_>,
) {
    let Told { mid, rad, scalars, given } = told;
    let total = scalars[0];
    let neurons: Option<Vec<Neuron>> =
        (0..p.rows as usize).map(|i| neuron(p, activation, i, lower, known, total)).collect();
    given.fill(0);
    let Some(neurons) = neurons.filter(|_| total.is_finite()) else {
        mid.fill(0.0);
        rad.fill(0.0);
        (scalars[0], scalars[2], scalars[SCALARS + p.layer as usize]) = (0.0, 1.0, 0.0);
        return;
    };
    let (counts, lists) = given.split_at_mut(GIVEN);
    let room = lists.len() / (1 + LINES);
    let mut count = 0;
    // Those first whose lines have one slope; both parts are filled up with lines of 0.
    for shared in [true, false] {
        let live = neurons.iter().enumerate().filter(|(_, of)| !of.dead && of.shared == shared);
        for (i, neuron) in live {
            lists[count] = i as u32;
            for (k, value) in neuron.lines.iter().enumerate() {
                lists[(1 + k) * room + count] = value.to_bits();
            }
            count += 1;
        }
        count = count.next_multiple_of(GRAIN);
        counts[usize::from(shared)] = count as u32;
    }
    let (mut largest, mut magnitudes) = (0.0f32, 0.0);
    for (neuron, (mid, rad)) in neurons.iter().zip(mid.iter_mut().zip(rad.iter_mut())) {
        (*mid, *rad) = (neuron.mid, neuron.lines[LINES - 1]);
        largest = largest.max(neuron.largest);
        magnitudes = add_up(magnitudes, add_up(mid.abs(), *rad));
    }
    // A coefficient's underflow meets an input, a gain, or a deviation from a centre.
    let met = mul_up(4.0 * p.rows as f32, largest);
    let under = mul_up(p.under, add_up(add_up(total, met), 2.0));
    scalars[SCALARS + p.layer as usize] = add_up(under, mul_up(NEGLIGIBLE, met));
    scalars[0] = magnitudes;
}

/// Neuron `i`; none where something is no number or out of range.
fn neuron(
    p: &Step,
    activation: Activation,
    i: usize,
    lower: LowerSlope,
    known: Known<'_>,
    total: f32,
) -> Option<Neuron> {
    let width = p.width as usize;
    let [lo, hi] = [0, 1].map(|k| known.ends[k * width + i]);
    let [mass, spread, centre, error] = [0, 1, 2, 3].map(|k| known.known[k * width + i]);
    let numbers = [lo, hi, spread, centre, error].iter().all(|x| x.is_finite());
    if !(numbers && lo <= hi && mass < MAGNITUDE_LIMIT) {
        return None;
    }
    let activation = if i < p.through as usize { Activation::Identity } else { activation };
    let line = line(activation, lo, hi, lower);
    let (bottom, top) = relax::range(activation, lo, hi);
    if line.is_dead() && bottom == 0.0 && top == 0.0 {
        return Some(Neuron {
            dead: true,
            shared: true,
            lines: [0.0; LINES],
            mid: 0.0,
            largest: 0.0,
        });
    }
    let (mid, radius) = middle(bottom, top);
    let (mut gain_lo, mut gain_up) = line.gains(centre, mid);
    if p.flags & DEPLOYED != 0 && activation.leak().is_none() {
        let off = relax::apply_error(activation, lo, hi);
        (gain_lo, gain_up) = (sub_down(gain_lo, off), add_up(gain_up, off));
    }
    let off = sub_up(hi, centre).max(sub_up(centre, lo));
    let mut budget = add_up(error, disturbance(p, mass));
    if !line.is_exact() {
        budget = add_up(budget, mul_up(U, mul_up(1.000_001, off)));
    }
    let dropped = mul_up(NEGLIGIBLE, total);
    budget = add_up(budget, add_up(mul_up(p.share, spread), dropped));
    let lines = [line.slope_lo, line.slope_up, gain_lo, gain_up, budget, radius];
    let met = [off, hi, -lo, radius, gain_lo.abs(), gain_up.abs()];
    let largest = met.into_iter().fold(0.0, f32::max);
    let whole = lines.iter().all(|x| x.is_finite()) && mid.is_finite() && off.is_finite();
    whole.then_some(Neuron { dead: false, shared: line.is_shared(), lines, mid, largest })
}

/// The engine's lines; where a slope is steeper than [`steepest`], or so small that it could be flushed, those
/// of the nearest slope that is not.
fn line(activation: Activation, lo: f32, hi: f32, lower: LowerSlope) -> Relaxation {
    let line = relax::relax(activation, lo, hi, lower);
    let most = steepest(activation);
    let fit = |s: f32| if s.abs() < NEGLIGIBLE { 0.0 } else { s.clamp(-most, most) };
    let (lower, upper) = (fit(line.slope_lo), fit(line.slope_up));
    if (lower, upper) == (line.slope_lo, line.slope_up) {
        return line;
    }
    relax::relax_with(activation, lo, hi, lower, upper)
}

/// The middle of a range and the radius around it.
fn middle(bottom: f32, top: f32) -> (f32, f32) {
    let half = if bottom == top { bottom } else { 0.5 * bottom + 0.5 * top };
    // Where it would be flushed the next layer's weights meet what is lost.
    let mid = if half.is_subnormal() { 0.0 } else { half };
    let radius =
        if mid == bottom && mid == top { 0.0 } else { sub_up(mid, bottom).max(sub_up(top, mid)) };
    (mid, normal_up(radius))
}

/// What separates computed or original pre-activations of this mass from the stored network's.
fn disturbance(p: &Step, mass: f32) -> f32 {
    let mut d = 0.0;
    if p.weight_error != 0.0 || p.bias_error != 0.0 {
        d = add_up(mul_up(p.weight_error, mass), p.bias_error);
    }
    if p.flags & DEPLOYED != 0 {
        d = add_up(d, add_up(mul_up(p.relative, mass), p.absolute));
    }
    d
}
