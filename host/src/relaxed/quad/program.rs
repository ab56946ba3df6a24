//! The convex programs, in f32: what they find are slopes, which need not be right.

use certus_engine::bounds::Portable;
use certus_engine::model::Row;
use certus_engine::region::{Norm, Region};
use ndarray::{Array2, ArrayView1, ArrayViewMut1, Axis, Zip};

use super::{Certificate, Effort};
use crate::attack::project::rise;
use crate::geometry::interval::Interval;

/// A row is done when this share of what was possible at first is left.
const CLOSE: f64 = 1e-3;

/// Halvings that find how far a step goes.
const HALVINGS: usize = 10;

/// For each row `sum_i d_i phi_i(z_i) + g . (x - mid) + constant` over the unstable neurons with
/// `d_i > 0`; the others' lines are in `g` and the constant.
///
/// `phi` is the parabola `q z^2 + s z` as far as its slopes are from `leak` to 1, and goes on
/// straight: the largest of `a z - (a - s)^2 / 4q` over such slopes `a`. So it is below the activation
/// for any `q` and any such `s`, convex, and quadratic only where that helps.
pub struct Program<'a> {
    region: &'a Region<'a>,
    mid: &'a [f32],
    rad: &'a [f32],
    leak: f32,
    neurons: Vec<Neuron>,
    /// Their weights, `[neurons][inputs]`.
    weights: Array2<f32>,
    /// `d`, `[rows][neurons]`; 0 where a neuron has its line.
    gains: Array2<f32>,
    /// `g`, `[rows][inputs]`.
    lines: Array2<f32>,
    constants: Vec<f64>,
    /// Slopes of all hidden neurons, CROWN's.
    slopes: Array2<f64>,
}

/// An unstable neuron.
struct Neuron {
    /// Its place among the hidden neurons.
    place: usize,
    /// Its pre-activation at the middle.
    z: f32,
    /// `q` of the parabola through `(l, leak*l)`, `(0, 0)` and `(u, u)`.
    curvature: f32,
    /// Its `s`.
    slope: f32,
    /// The lower line's slope in CROWN-Ada.
    adaptive: f32,
}

/// Where the minimisation is.
struct Point {
    /// From the region's middle, `[rows][inputs]`.
    way: Array2<f32>,
    /// Pre-activations of the unstable neurons, `[rows][neurons]`.
    z: Array2<f32>,
}

/// The best planes so far.
struct Best {
    /// Slopes of the unstable neurons, `[rows][neurons]`.
    slopes: Array2<f32>,
    values: Vec<f64>,
    /// The first values, of CROWN's own slopes.
    first: Vec<f64>,
    /// Upper bounds of what any slopes give.
    most: Vec<f64>,
}

impl<'a> Program<'a> {
    pub fn new(certificate: &'a Certificate<'_>, region: &'a Region<'a>) -> Self {
        let leak = certificate.leak;
        let (d, inputs) = (&certificate.weights.centre, certificate.mid.len());
        let middle = |z: Interval| 0.5 * z.lo + 0.5 * z.hi;
        let mut slopes = Array2::zeros(d.raw_dim());
        let mut constants: Vec<f64> = certificate.bias.iter().map(|b| middle(*b)).collect();
        let mut neurons = Vec::new();
        for (place, &(lo, hi)) in certificate.ends.iter().enumerate() {
            let unstable = lo < 0.0 && hi > 0.0 && leak < 1.0;
            let z = middle(certificate.z[place]);
            let (l, u, a) = (f64::from(lo), f64::from(hi), f64::from(leak));
            let chord = (u - a * l) / (u - l);
            let adaptive = if hi >= -lo { 1.0 } else { a };
            let settled = if lo >= 0.0 || leak == 1.0 { 1.0 } else { a };
            for ((d, slope), constant) in
                d.column(place).iter().zip(slopes.column_mut(place)).zip(&mut constants)
            {
                *slope = match () {
                    () if !unstable => settled,
                    () if *d > 0.0 => adaptive,
                    () => chord,
                };
                *constant += match () {
                    () if !unstable => d * *slope * z,
                    () if *d > 0.0 => 0.0,
                    () => d * (chord * z + (1.0 - chord) * u),
                };
            }
            if unstable {
                let curvature = (1.0 - a) / (u - l);
                neurons.push(Neuron {
                    place,
                    z: z as f32,
                    curvature: curvature as f32,
                    slope: (a - curvature * l) as f32,
                    adaptive: adaptive as f32,
                });
            }
        }
        let gains = Array2::from_shape_fn((d.nrows(), neurons.len()), |(r, i)| {
            d[(r, neurons[i].place)].max(0.0) as f32
        });
        let mut weights = Array2::zeros((neurons.len(), inputs));
        for (neuron, mut row) in neurons.iter().zip(weights.outer_iter_mut()) {
            let row = row.as_slice_mut().expect("a row of its own");
            certificate.hidden.row(neuron.place).gather(None, row);
        }
        let mut lines = d * &slopes;
        // Slopes are not negative: what is positive here belongs to a parabola.
        for neuron in &neurons {
            lines.column_mut(neuron.place).mapv_inplace(|c| if c > 0.0 { 0.0 } else { c });
        }
        let lines = lines.dot(certificate.wide.weights()).mapv(|g| g as f32);
        let (mid, rad) = (&certificate.mid[..], &certificate.rad[..]);
        Self { region, mid, rad, leak, neurons, weights, gains, lines, constants, slopes }
    }

    /// The slopes of the best planes found, `[rows][hidden neurons]`.
    ///
    /// Frank-Wolfe: each step goes towards where the present plane is least over the region, as far
    /// as the function falls. That plane's least value is the bound that its slopes give. The next
    /// program's `s` are the slopes at the end of this one: the method of multipliers, which
    /// approaches the best slopes of all.
    pub fn solve(mut self, effort: &Effort) -> Array2<f64> {
        let (count, neurons) = self.gains.dim();
        let spread = |f: fn(&Neuron) -> f32| {
            Array2::from_shape_fn((count, neurons), |(_, i)| f(&self.neurons[i]))
        };
        let (adaptive, mut shifts) = (spread(|n| n.adaptive), spread(|n| n.slope));
        let mut way = Array2::zeros(self.lines.raw_dim());
        let first = self.plane(&adaptive, &mut way);
        let z = self.pre_activations(&way, true);
        let mut point = Point { way, z };
        let most = vec![f64::INFINITY; count];
        let mut best = Best { slopes: adaptive, values: first.clone(), first, most };
        let mut target = Array2::zeros(self.lines.raw_dim());
        'all: for _ in 0..effort.programs {
            for _ in 0..effort.steps {
                let slopes = self.tangents(&point, &shifts);
                let values = self.plane(&slopes, &mut target);
                self.keep(&mut best, &slopes, &values, &point);
                if self.done(&best, effort) {
                    break 'all;
                }
                self.step(&mut point, &shifts, &target);
            }
            shifts = self.tangents(&point, &shifts);
        }
        for (i, neuron) in self.neurons.iter().enumerate() {
            let column = self.slopes.column_mut(neuron.place);
            let found = self.gains.column(i);
            Zip::from(column).and(&found).and(&best.slopes.column(i)).for_each(
                |to, gain, slope| {
                    if *gain > 0.0 {
                        *to = f64::from(*slope);
                    }
                },
            );
        }
        self.slopes
    }

    /// The slope of a neuron's `phi` at `z`; the leak where that is no number.
    fn tangent(&self, neuron: &Neuron, shift: f32, z: f32) -> f32 {
        let slope = shift + 2.0 * neuron.curvature * z;
        if slope > self.leak { slope.min(1.0) } else { self.leak }
    }

    /// The slopes of `phi` at a point.
    fn tangents(&self, point: &Point, shifts: &Array2<f32>) -> Array2<f32> {
        let slope = |(r, i)| self.tangent(&self.neurons[i], shifts[(r, i)], point.z[(r, i)]);
        Array2::from_shape_fn(shifts.raw_dim(), slope)
    }

    /// The least values over the region of the planes with such slopes, and (into `target`) the ways
    /// to where they are least.
    fn plane(&self, slopes: &Array2<f32>, target: &mut Array2<f32>) -> Vec<f64> {
        let coefficients = &self.gains * slopes;
        let mut gradient = self.lines.clone();
        ndarray::linalg::general_mat_mul(1.0, &coefficients, &self.weights, 1.0, &mut gradient);
        let value = |r: usize| {
            let terms = coefficients.row(r).into_iter().zip(&self.neurons);
            let height: f64 = terms.map(|(c, n)| f64::from(*c) * f64::from(n.z)).sum();
            let row = gradient.row(r).to_vec();
            let reach = self.region.reach(&Portable, Row::F32(&row), self.mid, self.rad, false);
            self.constants[r] + height - f64::from(reach.below)
        };
        let values = (0..coefficients.nrows()).map(value).collect();
        for (gradient, target) in gradient.outer_iter().zip(target.outer_iter_mut()) {
            self.farthest(gradient, target);
        }
        values
    }

    /// The way to where a plane is least over the region; near it where a box cuts a round ball.
    fn farthest(&self, gradient: ArrayView1<'_, f32>, mut target: ArrayViewMut1<'_, f32>) {
        let ball = match self.region {
            Region::Ball(ball) | Region::BallInBox { ball, .. } if !self.region.is_box() => ball,
            _ => {
                let corner =
                    |to: &mut f32, g: &f32, rad: &f32| *to = if *g > 0.0 { -rad } else { *rad };
                return Zip::from(&mut target).and(&gradient).and(self.rad).for_each(corner);
            }
        };
        let row = gradient.to_vec();
        let least = |a: usize, b: usize| if row[b].abs() > row[a].abs() { b } else { a };
        let largest = (0..row.len()).fold(0, least);
        target.fill(0.0);
        if !(row[largest] != 0.0) {
            return;
        }
        let share: Box<dyn Fn(f64) -> f64> = match ball.norm {
            Norm::Lp(p) => Box::new(rise(&row, p)),
            Norm::L1 => {
                target[largest] = -ball.radius * row[largest].signum();
                return self.cut(target);
            }
            Norm::L2 | Norm::Linf => Box::new(|g| g),
        };
        let ways: Vec<f64> =
            row.iter().map(|g| share(f64::from(g.abs())).copysign(f64::from(-g))).collect();
        let scale = f64::from(ball.radius) / crate::attack::project::length(&ways, ball.norm);
        Zip::from(&mut target).and(&ways[..]).for_each(|to, way| *to = (scale * way) as f32);
        self.cut(target);
    }

    /// Cuts a way to the region's box.
    fn cut(&self, mut way: ArrayViewMut1<'_, f32>) {
        if let Region::BallInBox { lo, hi, .. } = self.region {
            for ((way, mid), (lo, hi)) in way.iter_mut().zip(self.mid).zip(lo.iter().zip(*hi)) {
                *way = way.max(lo - mid).min(hi - mid);
            }
        }
    }

    /// `W x`, with what it is at the middle if `whole`.
    fn pre_activations(&self, way: &Array2<f32>, whole: bool) -> Array2<f32> {
        let mut z = way.dot(&self.weights.t());
        if whole {
            for (mut column, neuron) in z.axis_iter_mut(Axis(1)).zip(&self.neurons) {
                column += neuron.z;
            }
        }
        z
    }

    /// Keeps what is better, and what the activations themselves at a point say of the best.
    fn keep(&self, best: &mut Best, slopes: &Array2<f32>, values: &[f64], point: &Point) {
        for (r, value) in values.iter().enumerate() {
            if *value > best.values[r] {
                best.values[r] = *value;
                best.slopes.row_mut(r).assign(&slopes.row(r));
            }
            let at = point.z.row(r).into_iter().zip(self.gains.row(r)).map(|(z, d)| {
                let z = if *z < 0.0 { self.leak * z } else { *z };
                f64::from(d * z)
            });
            let line = f64::from(self.lines.row(r).dot(&point.way.row(r)));
            let here = self.constants[r] + line + at.sum::<f64>();
            best.most[r] = best.most[r].min(here);
        }
    }

    /// Whether no row can gain much: it is enough, or cannot be, or hardly more is possible.
    fn done(&self, best: &Best, effort: &Effort) -> bool {
        let enough = f64::from(effort.enough);
        (0..best.values.len()).all(|r| {
            let (value, most) = (best.values[r], best.most[r]);
            let room = most - value;
            (value > enough || most <= enough && enough.is_finite())
                || room <= CLOSE * (most - best.first[r])
        })
    }

    /// One step of Frank-Wolfe, each row for itself, to where it is least along the way (the slope
    /// along it grows, and is bisected).
    fn step(&self, point: &mut Point, shifts: &Array2<f32>, target: &Array2<f32>) {
        let ways = target - &point.way;
        let moves = self.pre_activations(&ways, false);
        for r in 0..ways.nrows() {
            let line = self.lines.row(r).dot(&ways.row(r));
            let slope = |step: f32| {
                let each = self.neurons.iter().enumerate().map(|(i, neuron)| {
                    let z = point.z[(r, i)] + step * moves[(r, i)];
                    self.gains[(r, i)] * self.tangent(neuron, shifts[(r, i)], z) * moves[(r, i)]
                });
                line + each.sum::<f32>()
            };
            let mut step = 1.0;
            if slope(1.0) > 0.0 {
                let (mut low, mut high) = (0.0, 1.0);
                for _ in 0..HALVINGS {
                    step = 0.5 * (low + high);
                    *(if slope(step) > 0.0 { &mut high } else { &mut low }) = step;
                }
            }
            point.way.row_mut(r).scaled_add(step, &ways.row(r));
            point.z.row_mut(r).scaled_add(step, &moves.row(r));
        }
    }
}
