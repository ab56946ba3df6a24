//! CROWN-Quad: a convex program for networks with one hidden layer (paper 003, section 3.3).

mod program;

use certus_engine::bounds::{Error, Method, Options, Portable, Work};
use certus_engine::model::{Layer, Model, Row};
use certus_engine::num::better_lower;
use certus_engine::region::Region;
use certus_engine::spec::Spec;
use ndarray::{Array2, ArrayView1};

use super::spread::{Spread, Wide};
use super::{ZERO, leak, narrow_down, rows, unfit};
use crate::cpu::{Report, Runner};
use crate::error;
use crate::geometry::interval::{Interval, add_up, mul_up};
use program::Program;

/// How long to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Convex programs, each with an `s` for each neuron from the one before. The first has the
    /// parabolas through `(l, sigma(l))`, `(0, 0)` and `(u, u)`.
    pub programs: usize,
    /// Steps of the minimisation of each.
    pub steps: usize,
    /// Rows whose bound by CROWN is above this are left at it, and the search ends where no row can
    /// pass it; infinity asks for the best bounds.
    pub enough: f32,
}

impl Default for Effort {
    fn default() -> Self {
        Self { programs: 16, steps: 2, enough: f32::INFINITY }
    }
}

/// Whether [`lower_bounds`] has something to add to CROWN for such networks.
///
/// # Errors
/// A network that is not: one hidden layer of ReLU or leaky ReLU, then a linear layer.
pub fn check(model: &Model<'_>) -> error::Result<()> {
    let found = match model.depth() {
        2 => unfit(model),
        1 => Some("a network of 1 layer".to_owned()),
        layers => Some(format!("a network of {layers} layers")),
    };
    let expected = "expected one hidden layer of ReLU or leaky ReLU, then a linear layer";
    found.map_or(Ok(()), |found| {
        Err(error::Error::Usage(format!("crown-quad: {found}; {expected}")))
    })
}

/// Lower bounds of the rows of `spec` over `region` into `out`, one each, never below CROWN's.
///
/// With `d = C W_2`, a row is `sum_i d_i sigma(z_i)` and a constant, `z = W_1 x + b_1`. Where
/// `d_i < 0` an unstable neuron has its chord, where `d_i > 0` a parabola `q z^2 + s z <= sigma(z)`,
/// `q >= 0`: their sum F is convex in x. At any y the plane `F(y) + grad F(y) . (x - y) <= F(x)`
/// bounds the row, and its least value over the region is known (over a ball by Hoelder). So y need
/// not be where F is least: it only chooses a plane, which is a slope `s + 2 q z_i(y)` for each
/// neuron. What is certified rests on those slopes alone, whatever found them: each neuron's
/// intercept is found after its slope, as large as holds over `[l, u]` (`soundness.md` 4). That is
/// never below the parabola's own tangent, so that the plane is never below F's.
///
/// As the best slopes of all give the value of the linear program (the least of
/// `sum d_i sigma(z_i)` over the region, chords where `d_i < 0`), no choice of parabolas gives more;
/// CROWN's two slopes give less. The `q` and `s` of later programs approach it.
///
/// In f64, rounded outward; the original network is covered where import rounded. CROWN's bound for
/// networks that [`check`] refuses; `-inf` where there is none.
///
/// # Errors
/// The engine's. Memory: 20 bytes a weight of the first layer. Work: CROWN's, then for each step
/// two products of the rows with the unstable neurons' weights in f32, and three with all weights in
/// f64.
pub fn lower_bounds(
    runner: &mut Runner<'_>,
    region: &Region<'_>,
    spec: &Spec<'_>,
    effort: &Effort,
    out: &mut Vec<f32>,
) -> Result<Work, Error> {
    let model = *runner.model();
    let Report { lower, mut layers, work } =
        runner.report(region, spec, &Options::new(Method::Crown))?;
    out.clone_from(&lower);
    let (Some(hidden), Some(last)) = (model.layer(0), model.layer(1)) else { return Ok(work) };
    let open: Vec<usize> = (0..out.len()).filter(|r| !(out[*r] > effort.enough)).collect();
    if check(&model).is_err() || open.is_empty() {
        return Ok(work);
    }
    let all = rows(spec, model.outputs());
    let open_rows = Spread {
        centre: all.centre.select(ndarray::Axis(0), &open),
        radius: all.radius.select(ndarray::Axis(0), &open),
    };
    let certificate = Certificate::new(hidden, last, layers.swap_remove(0), region, &open_rows);
    let program = Program::new(&certificate, region);
    let slopes = program.solve(effort);
    for (r, bound) in open.into_iter().zip(certificate.bounds(region, &slopes)) {
        out[r] = better_lower(out[r], narrow_down(bound));
    }
    Ok(work)
}

/// `rows . b`, with what the stored biases may be off by.
fn rows_of_bias(rows: &Spread, layer: &Layer<'_>) -> Vec<Interval> {
    let row = |r: usize| {
        let terms = layer.bias.iter().enumerate();
        terms.fold(ZERO, |sum, (j, b)| {
            sum + rows.interval(r, j) * Interval::stored(*b, 0.0, layer.bias_error)
        })
    };
    (0..rows.count()).map(row).collect()
}

/// What turns slopes into bounds.
struct Certificate<'m> {
    hidden: Layer<'m>,
    wide: Wide,
    /// Pre-activation ends of the hidden neurons.
    ends: Vec<(f32, f32)>,
    leak: f32,
    /// `C W_2`, `[rows][neurons]`.
    weights: Spread,
    /// `C b_2`.
    bias: Vec<Interval>,
    /// The box around the region.
    mid: Vec<f32>,
    rad: Vec<f32>,
    /// Pre-activations at `mid`.
    z: Vec<Interval>,
}

impl<'m> Certificate<'m> {
    fn new(
        hidden: Layer<'m>,
        last: Layer<'m>,
        ends: Vec<(f32, f32)>,
        region: &Region<'_>,
        rows: &Spread,
    ) -> Self {
        let (mut mid, mut rad) = (vec![0.0; hidden.cols], vec![0.0; hidden.cols]);
        region.enclose(&mut mid, &mut rad);
        let wide = Wide::new(&hidden);
        let at = Array2::from_shape_fn((1, mid.len()), |(_, k)| f64::from(mid[k]));
        let z = Spread::exact(at).forward(&wide);
        let bias = |i: usize| Interval::stored(hidden.bias[i], 0.0, hidden.bias_error);
        let z = (0..hidden.rows).map(|i| z.interval(0, i) + bias(i)).collect();
        let weights = rows.back(&Wide::new(&last));
        let bias = rows_of_bias(rows, &last);
        let leak = leak(&hidden);
        Self { hidden, wide, ends, leak, weights, bias, mid, rad, z }
    }

    /// Lower bounds of the rows by planes, `[rows]`: `slopes` are those of lines for the neurons,
    /// any floats.
    ///
    /// With `c_i` the floats' product of a row's `d_i` and the slope,
    /// `sum d_i sigma(z_i) >= sum (c_i z_i(mid) + r_i) + g . (x - mid)` with
    /// `r_i <= min over [l, u] of d_i sigma(z) - c_i z`, `g = sum c_i w_i`.
    fn bounds(&self, region: &Region<'_>, slopes: &Array2<f64>) -> Vec<f64> {
        let coefficients = &self.weights.centre * slopes;
        let planes = Spread::exact(coefficients).back(&self.wide);
        let bound = |r: usize| {
            let mut sum = self.bias[r];
            for (i, z) in self.z.iter().enumerate() {
                let d = self.weights.interval(r, i);
                let c = self.weights.centre[(r, i)] * slopes[(r, i)];
                let c = Interval { lo: c, hi: c };
                let rest = self.rest(d, c, i);
                sum = sum + c * *z + Interval { lo: rest, hi: rest };
            }
            (sum.lo - self.fall(region, &planes, r)).next_down()
        };
        (0..slopes.nrows()).map(bound).collect()
    }

    /// Lower bound of `d sigma(z) - c z` over neuron i's `[l, u]`: it is linear on either side of 0.
    fn rest(&self, d: Interval, c: Interval, i: usize) -> f64 {
        let (lo, hi) = self.ends[i];
        let leak = f64::from(self.leak);
        let at = |z: f32| {
            let z = Interval { lo: f64::from(z), hi: f64::from(z) };
            let value = match () {
                () if z.lo >= 0.0 || leak == 1.0 => z,
                () if leak == 0.0 => ZERO,
                () => z * Interval { lo: leak, hi: leak },
            };
            (d * value - c * z).lo
        };
        let bend = if lo < 0.0 && hi > 0.0 { 0.0 } else { f64::INFINITY };
        // So written that a NaN stays.
        let least = |a: f64, b: f64| if a < b || a.is_nan() { a } else { b };
        least(least(at(lo), at(hi)), bend)
    }

    /// Upper bound of `g . (mid - x)` over the region: by the engine for `g` in f32, by the box
    /// around the region for what that leaves of it.
    fn fall(&self, region: &Region<'_>, planes: &Spread, r: usize) -> f64 {
        let plane: ArrayView1<'_, f64> = planes.centre.row(r);
        let narrow: Vec<f32> = plane.iter().map(|g| *g as f32).collect();
        let reach = region.reach(&Portable, Row::F32(&narrow), &self.mid, &self.rad, false);
        let radii = planes.radius.row(r);
        let each = plane.iter().zip(&radii).zip(&narrow).zip(&self.rad);
        each.fold(f64::from(reach.below), |sum, (((g, radius), narrow), rad)| {
            let left = (g - f64::from(*narrow)).abs().next_up();
            add_up(sum, mul_up(add_up(left, *radius), f64::from(*rad)))
        })
    }
}

#[cfg(test)]
mod tests;
