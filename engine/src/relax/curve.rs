//! The one rule for every curved activation: lines of least area, with certified intercepts.
//!
//! An activation is a few pieces that bend one way each (`shape.rs`). Of all lines above it over
//! `[lo, hi]`, the one that is lowest at the middle leaves the least area between (the area under a
//! line is its height there times the width); it supports the concave hull at the middle. For
//! S-shaped functions this gives the tangents, secants and tangents from an end of paper 003,
//! tables 2 and 3. The lower line is the upper line of the negated function.
//!
//! Slopes are found in floats. The intercept then bounds `sigma(z) - slope*z` with rounding outward
//! (`soundness.md` 4): over a convex piece its ends decide; a concave piece lies below any of its
//! tangents.

use super::shape::{self, Bend, Ends};
use crate::model::Activation;
use crate::num::{add_up, mul_down, mul_up, sub_up};

/// Rounds in which the two points that the line touches are sought.
const ROUNDS: usize = 6;
/// Steps of a search along a piece.
const STEPS: usize = 24;
/// Share of a search's first value at which it may stop.
const ENOUGH: f32 = 1e-4;

/// `sign * sigma(way * z)` over `[lo, hi]`, both factors 1 or -1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    activation: Activation,
    sign: f32,
    way: f32,
    lo: f32,
    hi: f32,
}

/// A piece within the interval.
#[derive(Clone, Copy, Debug)]
struct Part {
    index: usize,
    from: f32,
    to: f32,
    bend: Bend,
}

/// A line that is meant to lie above.
#[derive(Clone, Copy, Debug)]
struct Support {
    slope: f32,
    /// The piece and the point where the line is its tangent, if there is one.
    tangent: Option<(usize, f32)>,
}

/// A point that the line may touch.
#[derive(Clone, Copy, Debug)]
struct Contact {
    z: f32,
    y: f32,
    /// The piece, where the line may be its tangent.
    arc: Option<usize>,
}

impl Curve {
    /// The activation over `[lo, hi]`, finite, `lo <= hi`.
    pub(super) fn new(activation: Activation, lo: f32, hi: f32) -> Self {
        Self { activation, sign: 1.0, way: 1.0, lo, hi }
    }

    /// The function upside down: its upper line is the lower one's negation.
    pub(super) fn negated(self) -> Self {
        Self { sign: -self.sign, ..self }
    }

    /// The function seen from the other side.
    fn mirrored(self) -> Self {
        Self { way: -self.way, lo: -self.hi, hi: -self.lo, ..self }
    }

    /// A line above the function, as slope and intercept: `sigma(z) <= slope*z + icpt` over the
    /// interval, nearly the one of least area.
    pub(super) fn upper_line(&self) -> (f32, f32) {
        let support = self.support(0.5 * self.lo + 0.5 * self.hi);
        (support.slope, self.intercept(support).0)
    }

    /// The least intercept, rounded up, of a line above the function with the slope given, and
    /// close to where that line touches.
    pub(super) fn upper_intercept(&self, slope: f32) -> (f32, f32) {
        self.intercept(Support { slope, tangent: None })
    }

    /// The pieces that meet the interval.
    fn parts(self) -> impl Iterator<Item = Part> {
        let (low, high) = if self.way > 0.0 { (self.lo, self.hi) } else { (-self.hi, -self.lo) };
        let mut from = f32::NEG_INFINITY;
        shape::pieces(self.activation).into_iter().enumerate().filter_map(move |(index, piece)| {
            let start = if from > low { from } else { low };
            let end = if piece.to < high { piece.to } else { high };
            let empty = from == f32::INFINITY || !(start <= end);
            from = piece.to;
            let bend = match piece.bend {
                Bend::Convex if self.sign < 0.0 => Bend::Concave,
                Bend::Concave if self.sign < 0.0 => Bend::Convex,
                bend => bend,
            };
            let (from, to) = if self.way > 0.0 { (start, end) } else { (-end, -start) };
            (!empty).then_some(Part { index, from, to, bend })
        })
    }

    fn value(&self, index: usize, z: f32) -> Ends {
        let (lo, hi) = shape::value(self.activation, index, self.way * z);
        if self.sign < 0.0 { (-hi, -lo) } else { (lo, hi) }
    }

    fn slope(&self, index: usize, z: f32) -> Ends {
        let (lo, hi) = shape::slope(self.activation, index, self.way * z);
        if self.sign * self.way < 0.0 { (-hi, -lo) } else { (lo, hi) }
    }

    /// The slope in floats.
    fn slope_near(&self, part: &Part, z: f32) -> f32 {
        match (self.activation, part.index) {
            // The end of a piece has the slope of that piece.
            (Activation::Elu(_), _) => self.slope(part.index, z).1,
            _ => self.sign * self.way * shape::slope_near(self.activation, self.way * z),
        }
    }

    /// The line that is lowest at `m` of those above the function: through the two points, one on
    /// either side, that make it highest there; each is sought with the other held.
    fn support(&self, m: f32) -> Support {
        let mut left = self.end();
        let mut right = left;
        for _ in 0..ROUNDS {
            let Some(found) = self.steepest(left, m) else { break };
            right = found;
            let seen = Contact { z: -right.z, ..right };
            let Some(found) = self.mirrored().steepest(seen, -m) else { break };
            let found = Contact { z: -found.z, ..found };
            let settled = found.z == left.z;
            left = found;
            if settled {
                break;
            }
        }
        // Where both are m itself, m lies on the hull, and the line is the tangent there.
        for contact in [right, left] {
            if let Some(index) = contact.arc {
                let (lo, hi) = self.slope(index, contact.z);
                let slope = 0.5 * lo + 0.5 * hi;
                if slope.is_finite() {
                    return Support { slope, tangent: Some((index, contact.z)) };
                }
            }
        }
        let chord = (right.y - left.y) / (right.z - left.z);
        // Over a point any slope will do.
        Support { slope: if chord.is_finite() { chord } else { 0.0 }, tangent: None }
    }

    /// The left end.
    fn end(&self) -> Contact {
        let mut end = Contact { z: self.lo, y: f32::NEG_INFINITY, arc: None };
        for part in self.parts().filter(|part| part.from == self.lo) {
            let y = self.value(part.index, part.from).1;
            end.y = if y > end.y { y } else { end.y };
        }
        end
    }

    /// The point at or right of `m` that a line from `end` must rise most steeply to reach.
    fn steepest(&self, end: Contact, m: f32) -> Option<Contact> {
        let mut best: Option<(f32, Contact)> = None;
        let mut offer = |contact: Contact, rise: f32| {
            if rise.is_finite() && best.is_none_or(|(top, _)| rise > top) {
                best = Some((rise, contact));
            }
        };
        // An end is no point to rise to.
        let rise = |contact: &Contact| (contact.y - end.y) / larger(contact.z - end.z, 0.0);
        for part in self.parts().filter(|part| part.to >= m) {
            let index = part.index;
            let at = |z: f32, arc: Option<usize>| Contact { z, y: self.value(index, z).1, arc };
            if part.bend == Bend::Concave {
                let from = if part.from > m { part.from } else { m };
                if end.z >= from {
                    // The line may be the tangent at m.
                    offer(at(from, Some(index)), self.slope_near(&part, from));
                    continue;
                }
                let z = self.tangent(&part, end, from);
                let inner = z > part.from && z < part.to || z == m;
                let found = at(z, inner.then_some(index));
                offer(found, rise(&found));
            } else {
                for z in [part.from, part.to].into_iter().filter(|z| *z >= m) {
                    let found = at(z, None);
                    offer(found, rise(&found));
                }
            }
        }
        best.map(|(_, contact)| contact)
    }

    /// Where the tangent of a concave part passes through `end`, left of it, or the nearer end of
    /// the part from `from` on.
    fn tangent(&self, part: &Part, end: Contact, from: f32) -> f32 {
        let over = |z: f32| {
            let rise = self.value(part.index, z).1 - end.y;
            self.slope_near(part, z) * (z - end.z) - rise
        };
        descend(from, part.to, over).best
    }

    /// Upper bound of `f(z) - slope*z` over the interval, and close to where it is largest.
    fn intercept(&self, support: Support) -> (f32, f32) {
        let s = support.slope;
        let (mut most, mut at) = (f32::NEG_INFINITY, self.lo);
        for part in self.parts() {
            let Part { index, from, to, bend } = part;
            let (top, z) = match bend {
                Bend::Line | Bend::Convex => self.ends(&part, s),
                Bend::Either => {
                    let width = sub_up(to, from);
                    let (top, z) = self.ends(&part, s);
                    (add_up(top, mul_up(width, width)), z)
                }
                Bend::Concave => {
                    let ends = match support.tangent {
                        Some((of, z)) if of == index && from <= z && z <= to => (z, z),
                        _ => {
                            let found = descend(from, to, |z| self.slope_near(&part, z) - s);
                            (found.a, found.b)
                        }
                    };
                    (self.cap(&part, s, ends), 0.5 * ends.0 + 0.5 * ends.1)
                }
            };
            if top > most {
                at = z;
            }
            most = larger(most, top);
        }
        (most, at)
    }

    /// The larger of `f(z) - s*z` at the ends of a part, rounded up, and that end.
    fn ends(&self, part: &Part, s: f32) -> (f32, f32) {
        let above = |z: f32| sub_up(self.value(part.index, z).1, mul_down(s, z));
        let (left, right) = (above(part.from), above(part.to));
        (larger(left, right), if right > left { part.to } else { part.from })
    }

    /// Upper bound of `f(z) - s*z` over a concave part, from the tangents at a and b, `a <= b`: left
    /// of a the function is below the tangent there, right of b below that one, between them below
    /// both.
    fn cap(&self, part: &Part, s: f32, (a, b): Ends) -> f32 {
        let index = part.index;
        let (slope_a, slope_b) = (self.slope(index, a), self.slope(index, b));
        let at = |z: f32| sub_up(self.value(index, z).1, mul_down(s, z));
        let (at_a, at_b) = (at(a), at(b));
        // How much the tangents rise beyond their points, in the direction away from them.
        let rise = |steep: f32, way: f32| if steep > 0.0 { mul_up(steep, way) } else { 0.0 };
        let left = add_up(at_a, rise(sub_up(s, slope_a.0), sub_up(a, part.from)));
        let right = add_up(at_b, rise(sub_up(slope_b.1, s), sub_up(part.to, b)));
        let way = sub_up(b, a);
        let over_a = add_up(at_a, rise(sub_up(slope_a.1, s), way));
        let over_b = add_up(at_b, rise(sub_up(s, slope_b.0), way));
        let between = if over_a < over_b { over_a } else { over_b };
        larger(larger(left, right), between)
    }
}

/// Where a falling function was found to change its sign: above 0 at `a`, below at `b` (or both the
/// nearer end of the interval), closest to 0 at `best`.
#[derive(Clone, Copy, Debug)]
struct Crossing {
    a: f32,
    b: f32,
    best: f32,
}

/// Brackets the root of `f` within `[from, to]`: doubling steps away from `from`, then regula falsi
/// with the kept end's value halved (Illinois).
fn descend(from: f32, to: f32, f: impl Fn(f32) -> f32) -> Crossing {
    let at = |z: f32| Crossing { a: z, b: z, best: z };
    let (first, last) = (f(from), f(to));
    if !(first > 0.0) {
        return at(from);
    }
    if !(last < 0.0) {
        return at(to);
    }
    let ((mut a, mut at_a), (mut b, mut at_b)) = ((from, first), (to, last));
    let (mut best, mut least) = (from, first);
    let enough = ENOUGH * smaller(first, -last);
    let mut leap = 0.5;
    // Which end the last step moved: -1 the left one, 1 the right one.
    let mut moved = 0;
    for _ in 0..STEPS {
        leap *= 2.0;
        let leaping = b == to && from + leap < to;
        let share = at_a / (at_a - at_b);
        let z = if leaping { from + leap } else { a + share * (b - a) };
        if !(z > a && z < b) {
            break;
        }
        let y = f(z);
        if y.abs() < least {
            (best, least) = (z, y.abs());
        }
        if y > 0.0 {
            (a, at_a) = (z, y);
            at_b *= if moved < 0 && !leaping { 0.5 } else { 1.0 };
            moved = -1;
        } else if y < 0.0 {
            (b, at_b) = (z, y);
            at_a *= if moved > 0 { 0.5 } else { 1.0 };
            moved = 1;
        } else {
            return at(z);
        }
        if least <= enough {
            break;
        }
    }
    Crossing { a, b, best }
}

fn larger(a: f32, b: f32) -> f32 {
    // A NaN on either side stays one.
    if a >= b || a.is_nan() { a } else { b }
}

fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
