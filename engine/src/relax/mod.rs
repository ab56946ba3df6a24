//! The two lines that bound an activation over an interval.
//!
//! For `z` in `[lo, hi]`: `slope_lo*z + icpt_lo <= sigma(z) <= slope_up*z + icpt_up`. Slopes may be
//! any floats of their range; intercepts are chosen after them, rounded outward
//! (`soundness.md` 4).

mod curve;
mod piecewise;
mod shape;

use crate::features::CURVED;
use crate::model::Activation;
use crate::num::{NEGLIGIBLE, add_down, add_up, mul_down, mul_up, sub_down, sub_up};
use curve::Curve;

/// The slope of the lower line of an unstable ReLU. Curved activations take the line of least area,
/// but for [`LowerSlope::SameAsUpper`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LowerSlope {
    /// 1 if `hi >= -lo`, else 0: the smaller area (CROWN-Ada, paper 003 section 3.2).
    #[default]
    Adaptive,
    /// 0, or the leaky ReLU's own slope.
    Zero,
    /// 1.
    One,
    /// The upper line's slope (Fast-Lin, paper 003 section 3.2): both walks share coefficients.
    SameAsUpper,
}

/// Two lines, see the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relaxation {
    /// Slope of the lower line.
    pub slope_lo: f32,
    /// Intercept of the lower line.
    pub icpt_lo: f32,
    /// Slope of the upper line.
    pub slope_up: f32,
    /// Intercept of the upper line.
    pub icpt_up: f32,
}

impl Relaxation {
    /// `sigma(z) = slope*z` on the whole interval.
    const fn linear(slope: f32) -> Self {
        Self::exact(slope, 0.0)
    }

    /// `sigma(z) = slope*z + icpt` on the whole interval.
    const fn exact(slope: f32, icpt: f32) -> Self {
        Self { slope_lo: slope, icpt_lo: icpt, slope_up: slope, icpt_up: icpt }
    }

    /// No lines: what is left out of the build proves nothing.
    const NONE: Self = Self::exact(f32::NAN, f32::NAN);

    /// How high the lower line, rounded down, and the upper line, rounded up, lie above `mid` at
    /// `z`: `slope*z + icpt - mid`.
    pub fn gains(&self, z: f32, mid: f32) -> (f32, f32) {
        // Slope 0 or 1 and no intercept, the lines of stable neurons: nothing to round but the
        // difference, and often not even that.
        let lower = match (self.slope_lo, self.icpt_lo) {
            (0.0, 0.0) => -mid,
            (1.0, 0.0) if z == mid => 0.0,
            (1.0, 0.0) => sub_down(z, mid),
            (slope, icpt) => sub_down(add_down(mul_down(slope, z), icpt), mid),
        };
        let upper = match (self.slope_up, self.icpt_up) {
            (0.0, 0.0) => -mid,
            (1.0, 0.0) if z == mid => 0.0,
            (1.0, 0.0) => sub_up(z, mid),
            (slope, icpt) => sub_up(add_up(mul_up(slope, z), icpt), mid),
        };
        // Outward from what would make products subnormal.
        let lower = if lower != 0.0 && lower.abs() < NEGLIGIBLE { -NEGLIGIBLE } else { lower };
        let upper = if upper != 0.0 && upper.abs() < NEGLIGIBLE { NEGLIGIBLE } else { upper };
        (lower, upper)
    }

    /// Whether the activation is 0 on the whole interval.
    pub fn is_dead(&self) -> bool {
        self.slope_lo == 0.0 && self.slope_up == 0.0 && self.icpt_lo == 0.0 && self.icpt_up == 0.0
    }

    /// Whether both walks multiply a coefficient by the same slope.
    pub fn is_shared(&self) -> bool {
        self.slope_lo == self.slope_up
    }

    /// Whether multiplying by the slopes is exact: each is 0 or 1.
    pub fn is_exact(&self) -> bool {
        let unit = |s: f32| s == 0.0 || s == 1.0;
        unit(self.slope_lo) && unit(self.slope_up)
    }
}

/// The lines of `activation` over `[lo, hi]`, both finite.
///
/// Stable neurons get the line they are: slope 1 or 0 (or the leak), intercept 0, exactly. Curved
/// activations get the lines of least area (module `curve`).
pub fn relax(activation: Activation, lo: f32, hi: f32, lower: LowerSlope) -> Relaxation {
    if let Some(leak) = activation.leak() {
        return piecewise::relax(leak, lo, hi, lower);
    }
    if !CURVED {
        return Relaxation::NONE;
    }
    if let Some((slope, icpt)) = shape::exact_line(activation, lo, hi) {
        return Relaxation::exact(slope, icpt);
    }
    let curve = Curve::new(activation, lo, hi);
    let (slope_up, icpt_up) = curve.upper_line();
    let (slope, icpt) = match lower {
        LowerSlope::SameAsUpper => (-slope_up, curve.negated().upper_intercept(-slope_up).0),
        _ => curve.negated().upper_line(),
    };
    Relaxation { slope_lo: -slope, icpt_lo: -icpt, slope_up, icpt_up }
}

/// The lines of `activation` over `[lo, hi]` with slopes of the caller's choice, for those who search
/// for better ones: any finite slopes give valid lines.
///
/// A ReLU's lower slope is moved into `[leak, 1]` and its upper line stays the chord, which no other
/// line is below; where the activation is one line, that is taken.
pub fn relax_with(
    activation: Activation,
    lo: f32,
    hi: f32,
    slope_lo: f32,
    slope_up: f32,
) -> Relaxation {
    relax_touching(activation, lo, hi, slope_lo, slope_up).0
}

/// [`relax_with`], and close to where the lower and the upper line touch the activation: with a slope
/// `s` a line changes at `z` by `(z - touch) ds`.
pub fn relax_touching(
    activation: Activation,
    lo: f32,
    hi: f32,
    slope_lo: f32,
    slope_up: f32,
) -> (Relaxation, [f32; 2]) {
    if let Some(leak) = activation.leak() {
        let mut lines = piecewise::relax(leak, lo, hi, LowerSlope::Adaptive);
        if lo < 0.0 && hi > 0.0 {
            // Written so that a NaN becomes the leak.
            let above = if slope_lo > leak { slope_lo } else { leak };
            lines.slope_lo = if above < 1.0 { above } else { 1.0 };
        }
        return (lines, [0.0; 2]);
    }
    if !CURVED {
        return (Relaxation::NONE, [f32::NAN; 2]);
    }
    if let Some((slope, icpt)) = shape::exact_line(activation, lo, hi) {
        return (Relaxation::exact(slope, icpt), [lo; 2]);
    }
    let curve = Curve::new(activation, lo, hi);
    let (icpt, below) = curve.negated().upper_intercept(-slope_lo);
    let (icpt_up, above) = curve.upper_intercept(slope_up);
    (Relaxation { slope_lo, icpt_lo: -icpt, slope_up, icpt_up }, [below, above])
}

/// Whether `activation` is not one line over `[lo, hi]`, so that tighter ends would help.
pub fn is_unstable(activation: Activation, lo: f32, hi: f32) -> bool {
    match activation {
        Activation::Identity => false,
        Activation::Relu => lo < 0.0 && hi > 0.0,
        Activation::LeakyRelu(slope) => slope != 1.0 && lo < 0.0 && hi > 0.0,
        _ if !CURVED => true,
        curved => lo < hi && shape::exact_line(curved, lo, hi).is_none(),
    }
}

/// Ends of `sigma([lo, hi])`, rounded outward; they also cover [`Activation::apply`] as it rounds.
pub fn range(activation: Activation, lo: f32, hi: f32) -> (f32, f32) {
    match activation {
        Activation::Identity => (lo, hi),
        Activation::Relu => (positive(lo), positive(hi)),
        Activation::LeakyRelu(slope) => (
            if lo < 0.0 { mul_down(slope, lo) } else { lo },
            if hi < 0.0 { mul_up(slope, hi) } else { hi },
        ),
        _ if !CURVED => (f32::NAN, f32::NAN),
        curved => {
            let ends = shape::range(curved, lo, hi);
            let error = shape::apply_error(curved, lo, hi, ends);
            if error == 0.0 {
                return ends;
            }
            (sub_down(ends.0, error), add_up(ends.1, error))
        }
    }
}

/// Upper bound of `|apply(z) - sigma(z)|` over `[lo, hi]` for [`Activation::apply`], in a few units in
/// the last place of the function's table ([`crate::num::functions`]); 0 for those that are exact and
/// for the leaky ReLU, whose one rounding is charged where it occurs.
pub fn apply_error(activation: Activation, lo: f32, hi: f32) -> f32 {
    if activation.leak().is_some() {
        return 0.0;
    }
    if !CURVED {
        return f32::NAN;
    }
    shape::apply_error(activation, lo, hi, shape::range(activation, lo, hi))
}

/// The slope of `activation` beside `z` in floats, for searches: at a kink, that of the side that
/// [`Activation::apply`] takes; a NaN counts as positive. No bound.
pub fn slope_near(activation: Activation, z: f32) -> f32 {
    match activation {
        Activation::Relu if z <= 0.0 => 0.0,
        Activation::LeakyRelu(slope) if z < 0.0 => slope,
        Activation::Identity | Activation::Relu | Activation::LeakyRelu(_) => 1.0,
        _ if !CURVED => f32::NAN,
        curved => shape::slope_near(curved, z),
    }
}

/// `max(x, 0)`, NaN kept.
fn positive(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
