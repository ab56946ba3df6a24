//! The program: the layer-wise relaxation of a network over a ball, as rows for a solver.

use certus_engine::model::Activation;
use certus_engine::region::Norm;
use certus_engine::relax::{self, LowerSlope};

use crate::slopes::Around;
use crate::slopes::live::{Live, slopes};

/// Ends of a column between -1 and 1 that bind nowhere, so that no bound rests on their multipliers:
/// an interior point needs some for its arithmetic.
const FAR: (f64, f64) = (-2.0, 2.0);

/// No ends.
const FREE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// Lines that a curved activation has on each side.
const ENVELOPE: usize = 9;

/// Sparse rows with a right-hand side each.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    /// Entries: row, column, coefficient.
    pub entries: Vec<(usize, usize, f64)>,
    /// What the rows are equal to, or at most.
    pub right: Vec<f64>,
}

impl Constraints {
    fn push(&mut self, entries: impl IntoIterator<Item = (usize, f64)>, right: f64) {
        let row = self.right.len();
        let entries = entries.into_iter().filter(|(_, a)| *a != 0.0);
        self.entries.extend(entries.map(|(column, a)| (row, column, a)));
        self.right.push(right);
    }
}

/// What holds of the columns beside rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Cone {
    /// The Euclidean norm of these columns is at most 1.
    Length(std::ops::Range<usize>),
    /// For each pair of columns `w`, `d`: `w^share >= |d|`.
    Powers {
        /// `1/p`.
        share: f64,
        /// The pairs.
        pairs: Vec<(usize, usize)>,
    },
}

/// Which rows of [`Program::below`] are the lines of a neuron, and their slopes.
#[derive(Clone, Debug)]
struct Envelope {
    /// The neuron's place among those of its layer that are live.
    slot: usize,
    /// Its first row; the lower lines come first.
    row: usize,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

/// A quantity as a function of a column: `slope * column + intercept`.
#[derive(Clone, Copy, Debug)]
struct Line {
    column: usize,
    slope: f64,
    intercept: f64,
}

impl Line {
    /// Between -1 and 1 where the quantity is between its ends, so that all columns are of one size.
    fn between(column: usize, lo: f32, hi: f32) -> Self {
        let (lo, hi) = (f64::from(lo), f64::from(hi));
        let half = 0.5 * (hi - lo);
        Self { column, slope: if half > 0.0 { half } else { 1.0 }, intercept: lo + half }
    }
}

/// A linear (or conic) program: the least of a function of the columns that meet
/// `equal` with equality, are at most what `below` says, lie between `ends` and in `cones`.
///
/// The first columns are the inputs, from the centre and in radii. Each layer but the last adds its
/// live neurons' pre-activations and, of unstable ones, their activations, which lie above the neuron's
/// lower lines and below its upper ones: the triangle of a ReLU (paper 004, problem C), several tangents
/// of a curved activation. All are scaled to be between -1 and 1.
#[derive(Clone, Debug)]
pub struct Program<'l> {
    /// What bounds each column, infinite where nothing does.
    pub ends: Vec<(f64, f64)>,
    /// Constraints that equal their right-hand side.
    pub equal: Constraints,
    /// Constraints that are at most their right-hand side.
    pub below: Constraints,
    /// Further restrictions.
    pub cones: Vec<Cone>,
    neurons: Vec<Vec<Envelope>>,
    posts: Vec<Line>,
    last: &'l Live,
}

impl<'l> Program<'l> {
    /// Of the layers of a network up to the one whose pre-activations are asked about; none where no
    /// neuron of them is unstable, so that there is nothing to choose.
    ///
    /// Memory: 24 bytes a live weight and 48 an input.
    pub(crate) fn new(layers: &'l [Live], around: &Around<'_>) -> Option<Self> {
        let (last, inner) = layers.split_last()?;
        let any = |layer: &Live| {
            let mut ends = layer.lo.iter().zip(&layer.hi).zip(&layer.activation);
            ends.any(|((lo, hi), activation)| relax::is_unstable(*activation, *lo, *hi))
        };
        if !inner.iter().any(any) {
            return None;
        }
        let mut program = Self {
            ends: Vec::new(),
            equal: Constraints::default(),
            below: Constraints::default(),
            cones: Vec::new(),
            neurons: Vec::new(),
            posts: Vec::new(),
            last,
        };
        program.inputs(around);
        for layer in inner {
            program.layer(layer);
        }
        Some(program)
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.ends.len()
    }

    fn column(&mut self, ends: (f64, f64)) -> usize {
        self.ends.push(ends);
        self.ends.len() - 1
    }

    /// The ball, cut by its box.
    fn inputs(&mut self, around: &Around<'_>) {
        let (epsilon, n) = (around.epsilon, around.center.len());
        for (j, x) in around.center.iter().enumerate() {
            let in_radii = |end: f32| (f64::from(end) - f64::from(*x)) / epsilon;
            // What the norm implies is said once.
            let (lo, hi) = if around.norm == Norm::Linf { (-1.0f64, 1.0f64) } else { FREE };
            let box_ends = around.clip.map_or((lo, hi), |(low, high)| {
                (in_radii(low[j]).max(lo), in_radii(high[j]).min(hi))
            });
            let column = self.column(box_ends);
            self.posts.push(Line { column, slope: epsilon, intercept: f64::from(*x) });
        }
        match around.norm {
            Norm::Linf => (),
            Norm::L2 => self.cones.push(Cone::Length(0..n)),
            Norm::L1 => {
                let lengths: Vec<usize> = (0..n).map(|_| self.column(FREE)).collect();
                for (j, length) in lengths.iter().enumerate() {
                    for side in [1.0, -1.0] {
                        self.below.push([(j, side), (*length, -1.0)], 0.0);
                    }
                }
                self.below.push(lengths.into_iter().map(|length| (length, 1.0)), 1.0);
            }
            Norm::Lp(p) => {
                let powers: Vec<usize> = (0..n).map(|_| self.column(FREE)).collect();
                self.below.push(powers.iter().map(|power| (*power, 1.0)), 1.0);
                let pairs = powers.into_iter().zip(0..n).collect();
                self.cones.push(Cone::Powers { share: 1.0 / f64::from(p.get()), pairs });
            }
        }
    }

    /// A layer and its activations.
    fn layer(&mut self, layer: &Live) {
        let before = std::mem::take(&mut self.posts);
        let mut neurons = Vec::new();
        for (slot, weights) in layer.weights.rows().into_iter().enumerate() {
            let column = self.column(FAR);
            let z = Line::between(column, layer.lo[slot], layer.hi[slot]);
            let row = weights.iter().map(|w| f64::from(*w));
            let (mut entries, constant) = combine(row, &before);
            entries.iter_mut().for_each(|(_, a)| *a /= -z.slope);
            entries.push((column, 1.0));
            let right = f64::from(layer.bias[slot]) + constant - z.intercept;
            self.equal.push(entries, right / z.slope);
            let post = self.activation(layer, slot, z, &mut neurons);
            self.posts.push(post);
        }
        self.neurons.push(neurons);
    }

    /// The activation of neuron `slot`, whose pre-activation is `z`.
    fn activation(
        &mut self,
        layer: &Live,
        slot: usize,
        z: Line,
        neurons: &mut Vec<Envelope>,
    ) -> Line {
        let (activation, lo, hi) = (layer.activation[slot], layer.lo[slot], layer.hi[slot]);
        let crown = relax::relax(activation, lo, hi, LowerSlope::Adaptive);
        if !relax::is_unstable(activation, lo, hi) {
            let (slope, intercept) = (f64::from(crown.slope_lo), f64::from(crown.icpt_lo));
            let intercept = slope * z.intercept + intercept;
            return Line { slope: slope * z.slope, intercept, ..z };
        }
        let column = self.column(FAR);
        let ends = relax::range(activation, lo, hi);
        let y = Line::between(column, ends.0, ends.1);
        let (lower, upper) = lines(activation, lo, hi, &crown);
        let row = self.below.right.len();
        let sides = [(1.0, &lower), (-1.0, &upper)];
        for (side, (slope, intercept)) in
            sides.iter().flat_map(|(s, l)| l.iter().map(move |l| (s, l)))
        {
            let line = side * slope * z.slope / y.slope;
            let rest = slope * z.intercept + intercept - y.intercept;
            self.below.push([(z.column, line), (column, -side)], -side * rest / y.slope);
        }
        let slopes = |lines: Vec<(f64, f64)>| lines.into_iter().map(|(slope, _)| slope).collect();
        neurons.push(Envelope { slot, row, lower: slopes(lower), upper: slopes(upper) });
        y
    }

    /// What a row over the last layer's pre-activations is as a function of the columns, and its
    /// constant.
    pub fn objective(&self, row: &[f32]) -> (Vec<f64>, f64) {
        let mut sum = vec![0.0; self.last.weights.ncols()];
        let mut constant = 0.0;
        for (c, (weights, bias)) in
            row.iter().zip(self.last.weights.rows().into_iter().zip(&self.last.bias))
        {
            if *c != 0.0 {
                let c = f64::from(*c);
                sum.iter_mut().zip(weights).for_each(|(sum, w)| *sum += c * f64::from(*w));
                constant += c * f64::from(*bias);
            }
        }
        let (entries, more) = combine(sum.into_iter(), &self.posts);
        let mut objective = vec![0.0; self.columns()];
        entries.into_iter().for_each(|(column, a)| objective[column] += a);
        (objective, constant + more)
    }

    /// Slopes of the lower and upper lines of all `neurons` by a solver's multipliers of `below`:
    /// of the lines that a neuron has on a side, the mean, each as its multiplier weighs. Those of
    /// `slopes` stay where no multiplier of a side counts.
    ///
    /// At an optimum of a linear program these are the slopes of the best bound: a multiplier says how
    /// much of a line the bound uses, and lines of one neuron and side used together are one line whose
    /// slope is between theirs.
    pub(crate) fn slopes(
        &self,
        multipliers: &[f64],
        layers: &[Live],
        (lower, upper): (&mut [f32], &mut [f32]),
    ) {
        let most = multipliers.iter().fold(0.0f64, |most, m| most.max(m.abs()));
        let mean = |row: usize, slopes: &[f64], default: f32| {
            let weights = multipliers.get(row..row + slopes.len()).unwrap_or(&[]);
            let (mut sum, mut total) = (0.0, 0.0);
            for (slope, weight) in slopes.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
                sum += slope * weight;
                total += weight;
            }
            let slope = (sum / total) as f32;
            if total > NEGLIGIBLE * most && slope.is_finite() { slope } else { default }
        };
        let mut from = 0;
        for (layer, neurons) in layers.iter().zip(&self.neurons) {
            for neuron in neurons {
                let at = from + layer.index[neuron.slot];
                let above = neuron.row + neuron.lower.len();
                lower[at] = mean(neuron.row, &neuron.lower, lower[at]);
                upper[at] = mean(above, &neuron.upper, upper[at]);
            }
            from += layer.rows;
        }
    }
}

/// The share of the largest multiplier below which one may be what an interior point leaves of 0.
const NEGLIGIBLE: f64 = 1e-9;

/// `row` over activations, as a function of the columns.
fn combine(row: impl Iterator<Item = f64>, posts: &[Line]) -> (Vec<(usize, f64)>, f64) {
    let mut constant = 0.0;
    let entries = row.zip(posts).filter(|(a, _)| *a != 0.0).map(|(a, post)| {
        constant += a * post.intercept;
        (post.column, a * post.slope)
    });
    let entries = entries.collect();
    (entries, constant)
}

/// Slope and intercept of each line.
type Lines = Vec<(f64, f64)>;

/// Lines below and above an unstable neuron's activation.
fn lines(activation: Activation, lo: f32, hi: f32, crown: &relax::Relaxation) -> (Lines, Lines) {
    let wide = |slope: f32, icpt: f32| (f64::from(slope), f64::from(icpt));
    if let Some(leak) = activation.leak() {
        return (vec![wide(leak, 0.0), wide(1.0, 0.0)], vec![wide(crown.slope_up, crown.icpt_up)]);
    }
    let (least, most) = slopes(activation, lo, hi, crown);
    let grid = (0..ENVELOPE).map(|i| least + (most - least) * i as f32 / (ENVELOPE - 1) as f32);
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    for (below, above) in grid.map(|slope| (slope, slope)).chain([(crown.slope_lo, crown.slope_up)])
    {
        let lines = relax::relax_with(activation, lo, hi, below, above);
        lower.push(wide(lines.slope_lo, lines.icpt_lo));
        upper.push(wide(lines.slope_up, lines.icpt_up));
    }
    (lower, upper)
}
