//! The lines of a layer under search: slopes that move, and what follows from them.

use certus_engine::relax::{self, LowerSlope, Relaxation};

use crate::slopes::live::{Live, slopes};

/// One side of the lines of a layer, `[sets][live neurons]`.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Slopes.
    pub slope: Vec<f32>,
    /// Intercepts.
    pub icpt: Vec<f32>,
    /// Where each line touches.
    pub touch: Vec<f32>,
    /// First and second moments of the slopes' gradients.
    moments: [Vec<f32>; 2],
}

/// Adam's numbers of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Share of its range that a step may move the slope of a line of two, and of a curved activation.
    rates: [f32; 2],
    /// `1 - beta^t` for both moments.
    corrections: [f32; 2],
}

impl Step {
    /// Of step number `turn`, from 1 on.
    pub fn new(rates: [f32; 2], turn: i32) -> Self {
        Self { rates, corrections: BETAS.map(|beta| 1.0 - beta.powi(turn)) }
    }
}

const BETAS: [f32; 2] = [0.9, 0.999];
/// Keeps a slope with no gradient where it is.
const SMALL: f32 = 1e-8;

impl Side {
    fn new(lines: &[Relaxation], sets: usize, of: impl Fn(&Relaxation) -> (f32, f32)) -> Self {
        let all = || (0..sets).flat_map(|_| lines.iter().map(&of));
        let zero = vec![0.0; sets * lines.len()];
        Self {
            slope: all().map(|(slope, _)| slope).collect(),
            icpt: all().map(|(_, icpt)| icpt).collect(),
            touch: zero.clone(),
            moments: [zero.clone(), zero],
        }
    }

    /// One step up the gradient of slope `i`.
    fn climb(
        &mut self,
        i: usize,
        gradient: f32,
        (least, most): (f32, f32),
        rate: f32,
        step: &Step,
    ) {
        let [first, second] = &mut self.moments;
        first[i] = BETAS[0] * first[i] + (1.0 - BETAS[0]) * gradient;
        second[i] = BETAS[1] * second[i] + (1.0 - BETAS[1]) * gradient * gradient;
        let mean = first[i] / step.corrections[0];
        let size = (second[i] / step.corrections[1]).sqrt();
        let way = rate * (most - least) * mean / (size + SMALL);
        let moved = self.slope[i] + way;
        if moved.is_finite() {
            self.slope[i] = moved.clamp(least, most);
        }
    }
}

/// The lines of a layer.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub lower: Side,
    pub upper: Side,
    /// Neurons with slopes to move, and the range of those of the lower and the upper line; an empty
    /// range stays.
    movable: Vec<Movable>,
    width: usize,
}

#[derive(Clone, Copy, Debug)]
struct Movable {
    neuron: usize,
    curved: bool,
    lower: (f32, f32),
    upper: (f32, f32),
}

impl Lines {
    /// CROWN's lines for each of `sets`.
    pub fn new(layer: &Live, sets: usize) -> Self {
        let width = layer.index.len();
        let relax = |i: usize| {
            relax::relax(layer.activation[i], layer.lo[i], layer.hi[i], LowerSlope::Adaptive)
        };
        let lines: Vec<Relaxation> = (0..width).map(relax).collect();
        let movable = (0..width).filter_map(|neuron| {
            let (activation, lo, hi) =
                (layer.activation[neuron], layer.lo[neuron], layer.hi[neuron]);
            if !relax::is_unstable(activation, lo, hi) {
                return None;
            }
            let lower = slopes(activation, lo, hi, &lines[neuron]);
            let curved = activation.leak().is_none();
            let chord = lines[neuron].slope_up;
            let upper = if curved { lower } else { (chord, chord) };
            Some(Movable { neuron, curved, lower, upper })
        });
        let movable = movable.collect();
        let mut all = Self {
            lower: Side::new(&lines, sets, |line| (line.slope_lo, line.icpt_lo)),
            upper: Side::new(&lines, sets, |line| (line.slope_up, line.icpt_up)),
            movable,
            width,
        };
        all.settle(layer, sets);
        all
    }

    /// Intercepts and touching points of the slopes as they are.
    pub fn settle(&mut self, layer: &Live, sets: usize) {
        for at in (0..sets).map(|set| set * self.width) {
            for Movable { neuron, .. } in &self.movable {
                let i = at + neuron;
                // A line of two meets its activation at 0 whatever its slope.
                if layer.activation[*neuron].leak().is_some() {
                    continue;
                }
                let (lines, touch) = relax::relax_touching(
                    layer.activation[*neuron],
                    layer.lo[*neuron],
                    layer.hi[*neuron],
                    self.lower.slope[i],
                    self.upper.slope[i],
                );
                (self.lower.icpt[i], self.upper.icpt[i]) = (lines.icpt_lo, lines.icpt_up);
                [self.lower.touch[i], self.upper.touch[i]] = touch;
            }
        }
    }

    /// Moves the slopes of a set: `rows` are pairs of the coefficients of a row on the activations
    /// and the pre-activations at the point where the row is least. A lower line's slope changes the
    /// row by `a (z - touch)` where `a > 0`, the upper line's where `a < 0`.
    pub fn climb<'a>(
        &mut self,
        set: usize,
        rows: impl Iterator<Item = (&'a [f32], &'a [f32])> + Clone,
        step: &Step,
    ) {
        let at = set * self.width;
        for Movable { neuron, curved, lower, upper } in &self.movable {
            let i = at + neuron;
            let rate = step.rates[usize::from(*curved)];
            let (mut below, mut above) = (0.0, 0.0);
            for (a, z) in rows.clone() {
                let (a, z) = (a[*neuron], z[*neuron]);
                if a > 0.0 {
                    below += a * (z - self.lower.touch[i]);
                } else {
                    above += a * (z - self.upper.touch[i]);
                }
            }
            if lower.0 < lower.1 {
                self.lower.climb(i, below, *lower, rate, step);
            }
            if upper.0 < upper.1 {
                self.upper.climb(i, above, *upper, rate, step);
            }
        }
    }
}
